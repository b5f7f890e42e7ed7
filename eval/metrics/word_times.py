"""When each word of the final transcript was shown, stopped changing and became final: pure functions of a trace.

A reader sees the committed words and behind them the tail, which may change. A trace becomes the sequence of such
displays. A word of the final transcript is

    shown      when a display first contains it,
    stable     from the display on after which every display contains it (partial or final, both are shown),
    settled    when it is stable and every word before it is stable too,
    committed  when its `Final` arrives.

A delay is such a moment minus the word's end, so a word guessed before its end has a negative delay. A minimal
alignment decides which word of a display is which word of the transcript (`_matched`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.events import Final, Partial, Word
from asr.normalisation.normalise import is_by_character, normalise, plain
from eval.metrics.word_errors import EQUAL, INSERT, Edit, align
from eval.trace import Span, Trace

SAME_MOMENT_S = 0.05
"""Events this close in wall time are one display. A server sends a final and the partial after it as two messages;
nobody sees the tail vanish for a millisecond between them. Three frames of a screen."""

_LENGTH_SLACK = 4
"""A display may be this many words longer or shorter than the part of the transcript that it shows."""

Key = Callable[[str], str]
"""Words with equal keys are the same word: `plain` ignores case and punctuation, `str.strip` does not."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time on both clocks, see `eval.trace.Entry`."""

    audio_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Display:
    """The text on screen from ``moment`` on: the first ``committed`` words of the final transcript, then ``tail``."""

    moment: Moment
    committed: int
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WordTimes:
    """The moments of one word of the final transcript. ``end_s`` is None where the reference alignment lacks it."""

    text: str
    end_s: float | None
    shown: Moment
    stable: Moment
    settled: Moment
    committed: Moment

    def delay_s(self, moment: str, clock: str = "wall") -> float | None:
        """Seconds from the word's end to a moment; None where the end is unknown.

        ``moment`` is shown, stable, settled or committed; ``clock`` is wall (includes computation) or audio (does not).
        """
        at: Moment = getattr(self, moment)
        return None if self.end_s is None else (at.wall_s if clock == "wall" else at.audio_s) - self.end_s


def final_words(trace: Trace) -> tuple[Word, ...]:
    """The words of the final transcript, in order."""
    return tuple(word for entry in trace.entries if isinstance(entry.event, Final) for word in entry.event.words)


def displays(trace: Trace, key: Key = plain) -> tuple[Display, ...]:
    """The displays in order, with words as their keys. One that stood for less than `SAME_MOMENT_S` is dropped."""
    shown: list[Display] = []
    opened_s, committed = -np.inf, 0
    tail: tuple[Word, ...] = ()
    for entry in trace.entries:
        if not isinstance(entry.event, Partial | Final):
            continue
        tail = tail_after(entry.event, tail)
        committed += len(entry.event.words) if isinstance(entry.event, Final) else 0
        display = Display(Moment(entry.audio_s, entry.wall_s), committed, tuple(key(word.text) for word in tail))
        if entry.wall_s - opened_s <= SAME_MOMENT_S:
            shown[-1] = display
        else:
            shown.append(display)
            opened_s = entry.wall_s
    return tuple(shown)


def word_times(trace: Trace, key: Key = plain) -> tuple[WordTimes, ...]:
    """The moments of each word of the final transcript; a word's end is the one of `word_ends`."""
    words = final_words(trace)
    if not words:
        return ()
    shown = displays(trace, key)
    keys = [key(word.text) for word in words]
    contains = _contains(shown, keys)
    moments = [
        _moments(shown, np.argmax(contains, axis=0)),
        _moments(shown, _stable_from(contains)),
        _moments(shown, _stable_from(np.logical_and.accumulate(contains, axis=1))),
        _moments(shown, np.searchsorted([display.committed for display in shown], range(len(keys)), side="right")),
    ]
    times = zip(words, word_ends(trace), *moments, strict=True)
    return tuple(WordTimes(word.text, end_s, *at) for word, end_s, *at in times)


def word_ends(trace: Trace) -> tuple[float | None, ...]:
    """When each word of the final transcript ends: from the reference alignment where there is one, else the system's.

    The system's own word times are wrong by their error, in its favour or not; a report must say which it used
    (`end_source`). Where the reference's segments have times, no word of a segment ends after the segment: a word time
    that is too late would hide a late word.
    """
    words = final_words(trace)
    texts = [word.text for word in words]
    if trace.reference_words:
        return _aligned_ends(trace.reference_words, texts, trace.language)
    latest = _aligned_ends(_segment_words(trace), texts, trace.language)
    return tuple(word.end_s if end is None else min(word.end_s, end) for word, end in zip(words, latest, strict=True))


def end_source(traces: Iterable[Trace]) -> str:
    """Where the words' ends come from: every source that `word_ends` used for one of the traces."""
    return " + ".join(sorted({_end_source(trace) for trace in traces}))


def finalisation_s(trace: Trace) -> float | None:
    """From the end of the stream to the last final with words; 0 when all were final before; None without words."""
    at = [e.wall_s for e in trace.entries if isinstance(e.event, Final) and e.event.words]
    return max(0.0, at[-1] - trace.end_wall_s) if at else None


def tail_after(event: Partial | Final, tail: tuple[Word, ...]) -> tuple[Word, ...]:
    """The tail after an event. A partial replaces it; a final removes what it covers, the rest stays on screen."""
    if isinstance(event, Partial):
        return event.words
    if event.ends_utterance:
        return ()
    return tuple(word for word in tail if (word.start_s + word.end_s) / 2 > event.end_s)


def one_unit(word: str, language: str) -> str:
    """A word as it is compared with another, without spaces."""
    return normalise(word, language).replace(" ", "_") or "_"


def _end_source(trace: Trace) -> str:
    if trace.reference_words:
        return f"reference alignment ({trace.aligner})" if trace.aligner else "reference alignment"
    return "system's own word times" + (", segment-clipped" if _segment_words(trace) else "")


def _segment_words(trace: Trace) -> tuple[Span, ...]:
    """The reference's words, each with the times of its segment; empty in a language without spaces."""
    if is_by_character(trace.language):
        return ()
    segments = trace.reference_segments
    return tuple(Span(word, s.start_s, s.end_s) for s in segments for word in s.text.split())


def _contains(shown: Sequence[Display], keys: Sequence[str]) -> np.ndarray:
    """Which display contains which word of the transcript: bool ``(displays, words)``. Committed words stay."""
    contains = np.zeros((len(shown), len(keys)), bool)
    for row, display in zip(contains, shown, strict=True):
        row[: display.committed] = True
        end = display.committed + len(display.tail) + _LENGTH_SLACK
        places = _matched(display.tail, keys[display.committed : end])
        row[[display.committed + place for place in places]] = True
    return contains


def _matched(tail: Sequence[str], keys: Sequence[str]) -> list[int]:
    """Places in `keys` that a minimal alignment of `tail` with the closest prefix of `keys` pairs with an equal word.

    Ties between prefixes go to the one closest in length.
    """
    lengths = range(max(0, min(len(keys), len(tail) - _LENGTH_SLACK)), len(keys) + 1)
    distances = {n: (Levenshtein.distance(tail, keys[:n]), abs(n - len(tail))) for n in lengths}
    opcodes = Levenshtein.opcodes(tail, keys[: min(distances, key=distances.__getitem__)])
    return [place for op in opcodes if op.tag == "equal" for place in range(op.dest_start, op.dest_end)]


def _stable_from(contains: np.ndarray) -> np.ndarray:
    """For each word ``(words,)`` the first display after the last one ``(displays, words)`` that lacks it."""
    since: np.ndarray = len(contains) - np.argmin(np.concatenate([contains[::-1], np.zeros_like(contains[:1])]), axis=0)
    return since


def _moments(shown: Sequence[Display], places: Iterable[int]) -> list[Moment]:
    return [shown[place].moment for place in places]


def _aligned_ends(reference: Sequence[Span], words: Sequence[str], language: str) -> tuple[float | None, ...]:
    """For each word the end of the reference word that it stands for; None for one that stands for none.

    A minimal alignment pairs the equal words. Between two of them, the words that were misheard stand for the reference
    words there (`_misheard_ends`); words where the reference has none were made up. Each word stays one unit here, also
    where normalising splits it ("21st" -> two words), so that it has one end. This alignment is therefore not that of
    the word errors.
    """
    units = [one_unit(span.text, language) for span in reference]
    keys = [one_unit(word, language) for word in words]
    ends: list[float | None] = []
    span = 0
    for is_equal, block in groupby(align(units, keys), key=lambda edit: edit.kind == EQUAL):
        edits = list(block)
        stop, last = span + sum(edit.kind != INSERT for edit in edits), len(ends) + sum(map(_has_word, edits))
        if is_equal:
            ends += [reference[place].end_s for place in range(span, stop)]
        else:
            spans = [(unit, each.end_s) for unit, each in zip(units[span:stop], reference[span:stop], strict=True)]
            ends += _misheard_ends(spans, keys[len(ends) : last])
        span = stop
    return tuple(ends)


def _has_word(edit: Edit) -> bool:
    return bool(edit.hypothesis)


def _misheard_ends(spans: Sequence[tuple[str, float]], words: Sequence[str]) -> list[float | None]:
    """For each of these wrong words the end of the reference word with the last letter that it took the place of.

    Letters are paired by a minimal alignment of both sides without spaces, so that "in to" for "into", or "into" for
    "in to", ends with the whole. A word none of whose letters has a partner ends with the word before it.
    """
    if not spans:
        return [None] * len(words)
    letters = [(letter, end_s) for unit, end_s in spans for letter in unit]
    opcodes = Levenshtein.opcodes([letter for letter, _ in letters], list("".join(words)))
    partners = {
        there: letters[here][1]
        for op in opcodes
        if op.tag in ("equal", "replace")
        for here, there in zip(range(op.src_start, op.src_end), range(op.dest_start, op.dest_end), strict=True)
    }
    ends: list[float | None] = []
    place, end_s = 0, spans[0][1]
    for word in words:
        end_s = max((partners[at] for at in range(place, place + len(word)) if at in partners), default=end_s)
        ends.append(end_s)
        place += len(word)
    return ends
