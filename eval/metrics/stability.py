"""How much of the shown text was taken back: pure functions of a trace.

The unit is a *showing*: a word appears at a place of the transcript where another word, or none, stood before. A
showing is *changed* when another word, or none, stands there later. Shangguan et al. 2020 ("Analyzing the Quality and
Stability of a Streaming End-to-End On-Device Speech Recognizer") divide by the words of the final result instead
(unstable partial word ratio). The catalogue has both.

A place is what a reader's eye rests on; but a word put in front of five counts as five changes there. So the counts by
alignment stand beside it, as the delays until a word is stable are measured.
"""

from collections import Counter
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from asr.normalisation.normalise import plain
from eval.metrics.word_times import Display, Key, Moment, displays, final_words
from eval.trace import Trace


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts of one trace: showings, showings that changed later, words of the final transcript.

    ``shown_aligned`` and ``changed_aligned`` count by a minimal alignment of each display with the one before instead
    of by place: a word put in front moves the others along and changes none of them.
    """

    shown: int = 0
    changed: int = 0
    final: int = 0
    shown_aligned: int = 0
    changed_aligned: int = 0


def stability(trace: Trace, key: Key = plain) -> Stability:
    """The counts of one trace; words with equal keys are the same word."""
    keys = [key(word.text) for word in final_words(trace)]
    shown = changed = shown_aligned = changed_aligned = 0
    before = Display(Moment(0.0, 0.0), 0, ())
    for display in displays(trace, key):
        old = before.tail
        new = [*keys[before.committed : display.committed], *display.tail]
        kept = sum(a == b for a, b in zip(old, new, strict=False))
        shown += len(new) - kept
        changed += len(old) - kept
        kinds = Counter(edit.tag for edit in Levenshtein.editops(old, new))
        shown_aligned += kinds["replace"] + kinds["insert"]
        changed_aligned += kinds["replace"] + kinds["delete"]
        before = display
    return Stability(shown, changed, len(keys), shown_aligned, changed_aligned)
