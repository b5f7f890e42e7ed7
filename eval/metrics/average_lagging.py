"""Average lagging: how far the final words trail behind ideal words that come evenly while the source is spoken.

LAAL is for one sentence. In a long recording the ideal pace of the whole says nothing about a word, so StreamLAAL cuts
the transcript to the reference's segments, and takes LAAL of each from the segment's own start.
"""

from collections.abc import Iterator, Sequence

from asr.normalisation.normalise import is_by_character
from eval.equivalents import plain_reference
from eval.metrics.word_errors import INSERT, align
from eval.metrics.word_times import WordTimes, one_unit
from eval.trace import Span, Trace


def laal_s(delays_s: Sequence[float], source_s: float, reference_length: int) -> float:
    """Length-adaptive average lagging (Papi et al. 2022, "Over-generation cannot be rewarded") of one word or more.

    The mean of d_i - (i - 1) * X / max(|Y|, |Y*|) over the words i up to the first that comes after the end of the
    source: d_i is the delay of word i from the start of the source, X its length in seconds, Y the transcript, Y* the
    reference. As in SimulEval, a first word that comes after the end of the source is its own delay.
    """
    ended = next((i for i, delay_s in enumerate(delays_s) if delay_s >= source_s), len(delays_s) - 1) + 1
    ideal_s = source_s / max(len(delays_s), reference_length)
    return sum(delay_s - i * ideal_s for i, delay_s in enumerate(delays_s[:ended])) / ended


def stream_laal_s(trace: Trace, words: Sequence[WordTimes], clock: str = "wall") -> tuple[float, ...]:
    """LAAL of each reference segment with words (Papi et al. 2024, "StreamAtt", section 5.2).

    `words` are the transcript's. A minimal alignment with the whole reference gives each to the segment of its
    reference word, an inserted one to that of the next (as mweralign does). The metric is the mean of the segments'; a
    segment without words has none. Without segments, the whole is one.
    """
    segments = trace.reference_segments or (Span(trace.reference, 0.0, trace.duration_s),)
    units = [list(_units(plain_reference(segment.text), trace.language)) for segment in segments]
    lagging = []
    for segment, delays_s, reference in zip(segments, _cut(trace, units, words, clock), units, strict=True):
        if delays_s and segment.end_s > segment.start_s:
            from_start_s = [delay_s - segment.start_s for delay_s in delays_s]
            lagging.append(laal_s(from_start_s, segment.end_s - segment.start_s, len(reference)))
    return tuple(lagging)


def _cut(
    trace: Trace, units: Sequence[Sequence[str]], words: Sequence[WordTimes], clock: str
) -> Sequence[Sequence[float]]:
    """The moments at which the words of each segment were final."""
    owners = [place for place, segment in enumerate(units) for _ in segment]
    pairs = [(unit, _final_s(word, clock)) for word in words for unit in _units(word.text, trace.language)]
    edits = align([unit for segment in units for unit in segment], [unit for unit, _ in pairs])
    moments, used, parts = iter(pairs), 0, [list[float]() for _ in units]
    for edit in edits:
        if edit.hypothesis:
            parts[owners[min(used, len(owners) - 1)] if owners else 0].append(next(moments)[1])
        used += edit.kind != INSERT
    return parts


def _final_s(word: WordTimes, clock: str) -> float:
    return word.committed.wall_s if clock == "wall" else word.committed.audio_s


def _units(text: str, language: str) -> Iterator[str]:
    """The words of a text as they are compared; its characters in a language without spaces."""
    if is_by_character(language):
        yield from "".join(text.split())
    else:
        yield from (one_unit(word, language) for word in text.split())
