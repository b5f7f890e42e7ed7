"""When words came: pure functions of a trace.

A reader sees the committed words and the tail after them. Each trace is turned into the sequence of such displays; a
word of the final transcript is *first shown* when a display first has it, *stable* from the display on after which each
has it (partial or final, both are shown), *settled* when moreover no word before it changes any more, and *committed*
with its `Final`. A delay is that moment minus the word's end, so a word guessed before its end has a negative one.
Which word of a display is which of the transcript, a minimal alignment tells (`_matched`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.events import Final, Partial, Word
from eval.normalise import is_by_character, normalise, plain
from eval.trace import Span, Trace

SAME_MOMENT_S = 0.05
"""Events this near in wall time are one display: a server says a final and the partial after it in two messages, and
nobody sees the tail vanish for a millisecond between them. Three frames of a screen."""

_LONGER_WORDS = 4
"""By so many words a display may be longer or shorter than what it comes to be."""

Same = Callable[[str], str]
"""What two words must have in common to be the same: `plain` minds no case and punctuation, `str` minds all."""


@dataclass(frozen=True, slots=True)
class Moment:
    audio_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Display:
    """What a reader saw from ``moment`` on: the first ``committed`` words of the final transcript, then ``tail``."""

    moment: Moment
    committed: int
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordTimes:
    """One word of the final transcript. ``end_s`` is None where the reference alignment has no such word."""

    text: str
    end_s: float | None
    shown: Moment
    stable: Moment
    settled: Moment
    committed: Moment

    def delay_s(self, moment: str, clock: str = "wall") -> float | None:
        """``moment``: shown, stable, settled, committed; ``clock``: wall (all computation in it) or audio (none)."""
        at: Moment = getattr(self, moment)
        return None if self.end_s is None else (at.wall_s if clock == "wall" else at.audio_s) - self.end_s


def final_words(trace: Trace) -> tuple[Word, ...]:
    """The words of the final transcript, in order."""
    return tuple(word for entry in trace.entries if isinstance(entry.event, Final) for word in entry.event.words)


def displays(trace: Trace, same: Same = plain) -> tuple[Display, ...]:
    """What was seen, one display a moment; what stood for less than `SAME_MOMENT_S` was not seen."""
    seen: list[Display] = []
    opened_s, committed = -np.inf, 0
    tail: tuple[Word, ...] = ()
    for entry in trace.entries:
        if not isinstance(entry.event, Partial | Final):
            continue
        tail = _tail_after(entry.event, tail)
        committed += len(entry.event.words) if isinstance(entry.event, Final) else 0
        display = Display(Moment(entry.audio_s, entry.wall_s), committed, tuple(same(word.text) for word in tail))
        if entry.wall_s - opened_s <= SAME_MOMENT_S:
            seen[-1] = display
        else:
            seen.append(display)
            opened_s = entry.wall_s
    return tuple(seen)


def word_times(trace: Trace, same: Same = plain) -> tuple[WordTimes, ...]:
    """The times of each word of the final transcript; a word's end as `word_ends` says."""
    words = final_words(trace)
    if not words:
        return ()
    seen = displays(trace, same)
    keys = [same(word.text) for word in words]
    has = _matches(seen, keys)
    moments = [
        _moments(seen, np.argmax(has, axis=0)),
        _moments(seen, _since(has)),
        _moments(seen, _since(np.logical_and.accumulate(has, axis=1))),
        _moments(seen, np.searchsorted([display.committed for display in seen], range(len(keys)), side="right")),
    ]
    times = zip(words, word_ends(trace), *moments, strict=True)
    return tuple(WordTimes(word.text, end_s, *at) for word, end_s, *at in times)


def word_ends(trace: Trace) -> tuple[float | None, ...]:
    """When each word of the final transcript ends: by the reference alignment where the trace has one, else its own.

    The system's own word times flatter or wrong it by their error; a report must say which it used (`end_source`).
    Where the reference's segments have times, no word of one ends after it: a late time would hide a late word.
    """
    words = final_words(trace)
    said = [word.text for word in words]
    if trace.reference_words:
        return _aligned_ends(trace.reference_words, said, trace.language)
    latest = _aligned_ends(_segment_words(trace), said, trace.language)
    return tuple(word.end_s if end is None else min(word.end_s, end) for word, end in zip(words, latest, strict=True))


def end_source(traces: Iterable[Trace]) -> str:
    """Where the words' ends come from, each source that `word_ends` had for one of the traces."""
    return " + ".join(sorted({_end_source(trace) for trace in traces}))


def _end_source(trace: Trace) -> str:
    if trace.reference_words:
        return f"reference alignment ({trace.aligner})" if trace.aligner else "reference alignment"
    return "system's own word times" + (", segment-clipped" if _segment_words(trace) else "")


def _segment_words(trace: Trace) -> tuple[Span, ...]:
    """The reference's words, each with its segment's times; none in a language that does not write words apart."""
    if is_by_character(trace.language):
        return ()
    segments = trace.reference_segments
    return tuple(Span(word, s.start_s, s.end_s) for s in segments for word in s.text.split())


def delays_s(traces: Iterable[Trace], moment: str, clock: str = "wall", same: Same = plain) -> tuple[float | None, ...]:
    """The delay of every word of every trace, pooled; None for a word without a known end."""
    return tuple(word.delay_s(moment, clock) for trace in traces for word in word_times(trace, same))


def finalisation_s(trace: Trace) -> float | None:
    """From the end of the stream to the last final with words; 0 when all were final before; None without words."""
    at = [e.wall_s for e in trace.entries if isinstance(e.event, Final) and e.event.words]
    return max(0.0, at[-1] - trace.end_wall_s) if at else None


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of ``count`` values known out of ``of``; None where there are none."""

    count: int
    of: int
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None


def percentiles(values: Sequence[float | None]) -> Percentiles:
    """Percentiles with linear interpolation between closest ranks (Hyndman and Fan 1996, definition 7)."""
    known = [value for value in values if value is not None]
    if not known:
        return Percentiles(0, len(values))
    return Percentiles(len(known), len(values), *(float(p) for p in np.percentile(known, (50, 90, 95, 99))))


def _tail_after(event: Partial | Final, tail: tuple[Word, ...]) -> tuple[Word, ...]:
    """A partial replaces the tail. A final takes out of it what it covers; the rest stands until the next partial."""
    if isinstance(event, Partial):
        return event.words
    if event.ends_utterance:
        return ()
    return tuple(word for word in tail if (word.start_s + word.end_s) / 2 > event.end_s)


def _matches(seen: Sequence[Display], keys: Sequence[str]) -> np.ndarray:
    """Which display has which word of the transcript: bool ``(displays, words)``; what is committed, all after have."""
    has = np.zeros((len(seen), len(keys)), bool)
    for row, display in zip(has, seen, strict=True):
        row[: display.committed] = True
        places = _matched(display.tail, keys[display.committed : display.committed + len(display.tail) + _LONGER_WORDS])
        row[[display.committed + place for place in places]] = True
    return has


def _matched(tail: Sequence[str], keys: Sequence[str]) -> list[int]:
    """Places in `keys` of the words that a minimal alignment of `tail` with some beginning of `keys` finds equal.

    Of beginnings equally far from it that which is most nearly as long.
    """
    lengths = range(max(0, min(len(keys), len(tail) - _LONGER_WORDS)), len(keys) + 1)
    far = {n: (Levenshtein.distance(tail, keys[:n]), abs(n - len(tail))) for n in lengths}
    opcodes = Levenshtein.opcodes(tail, keys[: min(far, key=far.__getitem__)])
    return [place for op in opcodes if op.tag == "equal" for place in range(op.dest_start, op.dest_end)]


def _since(has: np.ndarray) -> np.ndarray:
    """For each word the first display after the last one that has it not."""
    since: np.ndarray = len(has) - np.argmin(np.concatenate([has[::-1], np.zeros_like(has[:1])]), axis=0)
    return since


def _moments(seen: Sequence[Display], places: Iterable[int]) -> list[Moment]:
    return [seen[place].moment for place in places]


def _aligned_ends(reference: Sequence[Span], words: Sequence[str], language: str) -> tuple[float | None, ...]:
    """The end of the equal reference word, for each word that has one in a minimal alignment."""
    if not reference:
        return (None,) * len(words)
    left = [_one_token(span.text, language) for span in reference]
    right = [_one_token(word, language) for word in words]
    ends: list[float | None] = [None] * len(words)
    for chunk in jiwer.process_words(" ".join(left), " ".join(right)).alignments[0]:
        if chunk.type == "equal":
            for i in range(chunk.hyp_end_idx - chunk.hyp_start_idx):
                ends[chunk.hyp_start_idx + i] = reference[chunk.ref_start_idx + i].end_s
    return tuple(ends)


def _one_token(word: str, language: str) -> str:
    return normalise(word, language).replace(" ", "_") or "_"
