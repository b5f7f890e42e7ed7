"""How much of what was shown was taken back: pure functions of a trace.

Counted are *showings*: a word appearing at a place of the transcript where another word, or none, stood before. A
showing is *changed* when later another word, or none, stands there. Shangguan et al. 2020 ("Analyzing the Quality and
Stability of a Streaming End-to-End On-Device Speech Recognizer") divide by the words of the final result instead
(unstable partial word ratio); both are here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from eval.metrics.word_times import Display, Moment, Same, displays, final_words
from eval.normalise import plain
from eval.trace import Trace


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts that add up: showings, those of them that changed, words of the final transcript."""

    shown: int = 0
    changed: int = 0
    final: int = 0

    def __add__(self, other: "Stability") -> "Stability":
        return Stability(self.shown + other.shown, self.changed + other.changed, self.final + other.final)

    @property
    def share_changed(self) -> float | None:
        """Of the words shown, the share that later changed."""
        return self.changed / self.shown if self.shown else None

    @property
    def unstable_word_ratio(self) -> float | None:
        """Changed words per word of the final transcript."""
        return self.changed / self.final if self.final else None


def stability(traces: Iterable[Trace], same: Same = plain) -> Stability:
    """The summed counts of all traces."""
    return sum((_of_one(trace, same) for trace in traces), start=Stability())


def _of_one(trace: Trace, same: Same) -> Stability:
    keys = [same(word.text) for word in final_words(trace)]
    shown = changed = 0
    before = Display(Moment(0.0, 0.0), 0, ())
    for display in displays(trace, same):
        old = before.tail
        new = [*keys[before.committed : display.committed], *display.tail]
        kept = sum(a == b for a, b in zip(old, new, strict=False))
        shown += len(new) - kept
        changed += len(old) - kept
        before = display
    return Stability(shown, changed, len(keys))
