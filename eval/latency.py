"""When words came: pure functions of a trace.

A reader sees the committed words and the tail after them. Each trace is turned into the sequence of such displays; a
word of the final transcript is *first shown* when a display first has it at its place, *stable* from the display on
after which neither it nor any word before it changes again (partial or final, both are shown), and *committed* with its
`Final`. A delay is that moment minus the word's end, so a word guessed before its end has a negative one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np

from asr.events import Final, Partial, Word
from eval.text import is_by_character, normalise, plain
from eval.trace import Span, Trace

SAME_MOMENT_S = 0.05
"""Events this near in wall time are one display: a server says a final and the partial after it in two messages, and
nobody sees the tail vanish for a millisecond between them. Three frames of a screen."""

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
    committed: Moment

    def delay_s(self, moment: str, clock: str = "wall") -> float | None:
        """``moment`` is shown, stable or committed; ``clock`` is wall (all computation in it) or audio (none)."""
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
    seen = displays(trace, same)
    keys = [same(word.text) for word in words]
    shown = _first_shown(seen, keys)
    stable = _stable_since(seen, keys)
    committed = _first(seen, len(keys), [display.committed for display in seen])
    times = zip(words, word_ends(trace), shown, stable, committed, strict=True)
    return tuple(WordTimes(word.text, end_s, *moments) for word, end_s, *moments in times)


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


def _first_shown(seen: Sequence[Display], keys: Sequence[str]) -> list[Moment]:
    shown: list[Moment | None] = [None] * len(keys)
    settled = 0
    for display in seen:
        tail = range(display.committed, min(display.committed + len(display.tail), len(keys)))
        right = [i for i in tail if display.tail[i - display.committed] == keys[i]]
        for i in [*range(settled, display.committed), *right]:
            shown[i] = shown[i] or display.moment
        settled = display.committed
    return [moment for moment in shown if moment is not None]


def _stable_since(seen: Sequence[Display], keys: Sequence[str]) -> list[Moment]:
    """The length of the prefix that each display has right and that is never lost again, turned around to words."""
    right = [display.committed + _common(display.tail, keys[display.committed :]) for display in seen]
    kept = list(np.minimum.accumulate(right[::-1])[::-1]) if right else []
    return _first(seen, len(keys), kept)


def _first(seen: Sequence[Display], count: int, reached: Sequence[int]) -> list[Moment]:
    """For each place below ``count`` the first display whose (never falling) ``reached`` is beyond it."""
    moments: list[Moment] = []
    for display, length in zip(seen, reached, strict=True):
        moments.extend([display.moment] * (int(length) - len(moments)))
    return moments[:count]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))


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
