"""Traces -> scores: the one place where counts, delays, stability and cost of a set of traces are put together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from eval.metrics.cost import audio_s, cpu_per_audio, rtfx
from eval.metrics.stability import Stability, stability
from eval.metrics.word_errors import Counts, count, total
from eval.metrics.word_times import Percentiles, delays_s, end_source, finalisation_s, percentiles
from eval.normalise import is_by_character, normalise, units
from eval.trace import OFFLINE, Trace

LAST_UNITS = 3
"""A last word within so many words of the end of the streamed text is there: what follows it may be heard otherwise."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Summed counts; ``unit`` is word, character, or both where languages are mixed."""

    unit: str
    raw: Counts
    normalised: Counts


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds from a word's end; pooled over all words of the final transcripts (see `eval.metrics.word_times`).

    ``stable`` minds no case and punctuation, ``stable_exact`` minds them; ``*_audio`` leaves computation out.
    """

    end_source: str
    shown: Percentiles
    stable: Percentiles
    settled: Percentiles
    stable_exact: Percentiles
    stable_audio: Percentiles
    committed: Percentiles
    finalisation: Percentiles


@dataclass(frozen=True, slots=True)
class Score:
    """All of one model in one mode on one data set. ``delays`` and ``stability`` are None where all came at once."""

    model: str
    dataset: str
    mode: str
    utterances: int
    failed: int
    audio_s: float
    accuracy: Accuracy
    delays: Delays | None
    stability: Stability | None
    cpu_per_audio: float | None
    rtfx: float | None


@dataclass(frozen=True, slots=True)
class LostEnd:
    """An utterance whose last word of the offline text is missing at the end of the streamed text."""

    utterance: str
    offline_end: str
    streamed_end: str


def scores(traces: Sequence[Trace]) -> tuple[Score, ...]:
    """One score for each model, data set and mode, in the order of their first traces."""
    keys = dict.fromkeys((trace.model, trace.dataset, trace.mode) for trace in traces)
    return tuple(_score(key, [t for t in traces if (t.model, t.dataset, t.mode) == key]) for key in keys)


def accuracy(traces: Iterable[Trace]) -> Accuracy:
    """Errors of the committed text against the reference; an empty reference makes every word an insertion."""
    listed = list(traces)
    kinds = sorted({"character" if is_by_character(trace.language) else "word" for trace in listed})
    raw = total(count(t.reference, t.text, t.language) for t in listed)
    return Accuracy(" + ".join(kinds), raw, total(_normalised(t) for t in listed))


def delays(traces: Sequence[Trace]) -> Delays:
    """The delays of all words of all traces."""
    return Delays(
        end_source=end_source(traces),
        shown=percentiles(delays_s(traces, "shown")),
        stable=percentiles(delays_s(traces, "stable")),
        settled=percentiles(delays_s(traces, "settled")),
        stable_exact=percentiles(delays_s(traces, "stable", same=str.strip)),
        stable_audio=percentiles(delays_s(traces, "stable", clock="audio")),
        committed=percentiles(delays_s(traces, "committed")),
        finalisation=percentiles([finalisation_s(trace) for trace in traces]),
    )


def lost_ends(offline: Iterable[Trace], streamed: Iterable[Trace]) -> tuple[LostEnd, ...]:
    """Utterances that lost their last word, of those in both; texts are compared normalised."""
    texts = {trace.utterance: _units(trace) for trace in offline}
    lost = []
    for trace in streamed:
        whole, said = texts.get(trace.utterance, ()), _units(trace)
        if whole and whole[-1] not in said[-LAST_UNITS:]:
            lost.append(LostEnd(trace.utterance, _end(whole, trace), _end(said, trace)))
    return tuple(lost)


def streamed_minus_offline(streamed: Score, offline: Score) -> float | None:
    """Difference of the normalised error rates, in points (per cent)."""
    left, right = streamed.accuracy.normalised.rate, offline.accuracy.normalised.rate
    return None if left is None or right is None else 100 * (left - right)


def _score(key: tuple[str, str, str], traces: Sequence[Trace]) -> Score:
    model, dataset, mode = key
    timed = mode != OFFLINE
    return Score(
        model=model,
        dataset=dataset,
        mode=mode,
        utterances=len(traces),
        failed=sum(bool(trace.error) for trace in traces),
        audio_s=audio_s(traces),
        accuracy=accuracy(traces),
        delays=delays(traces) if timed else None,
        stability=stability(traces) if timed else None,
        cpu_per_audio=cpu_per_audio(traces),
        rtfx=rtfx(traces),
    )


def _normalised(trace: Trace) -> Counts:
    reference = normalise(trace.reference, trace.language)
    return count(reference, normalise(trace.text, trace.language), trace.language)


def _units(trace: Trace) -> tuple[str, ...]:
    return units(normalise(trace.text, trace.language), trace.language)


def _end(said: Sequence[str], trace: Trace) -> str:
    return ("" if is_by_character(trace.language) else " ").join(said[-2 * LAST_UNITS :])
