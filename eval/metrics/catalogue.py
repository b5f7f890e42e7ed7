"""The figures of a report, each defined once: what is summed or ranked, its name, its unit, which way is better.

A figure is made of judged traces, gets its interval from `eval.metrics.bootstrap`, and its difference from another
system on the same recordings. Tables, the gate, the sweep and the tracking of experiments all take it from here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from eval.metrics.bootstrap import (
    Difference,
    Figure,
    Interval,
    Percentile,
    Ratio,
    Units,
    difference,
    interval,
    quotient,
    units_of,
    weights,
)
from eval.metrics.scored_trace import Judged

Sums = Callable[[Judged], Sequence[tuple[float, float]]]
"""Numerator and denominator of an utterance, or of each of its pieces; () where it says nothing."""
Values = Callable[[Judged], Sequence[float | None]]
"""The values of an utterance that are ranked (the delay of each word); None where one is not known."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure. ``scale`` turns it into ``unit`` for people; ``better`` is lower, higher or "" (neither)."""

    key: str
    title: str
    unit: str
    what: str
    sums: Sums | None = None
    values: Values | None = None
    q: float = 50
    scale: float = 1.0
    digits: int = 2
    better: str = "lower"


def _one(sums: Callable[[Judged], tuple[float, float]]) -> Sums:
    return lambda judged: [sums(judged)]


def _known(above: Callable[[Judged], float | None], below: Callable[[Judged], float] = lambda _: 1.0) -> Sums:
    """Sums of what was measured; an utterance without it counts in neither."""

    def sums(judged: Judged) -> Sequence[tuple[float, float]]:
        value = above(judged)
        return [] if value is None else [(value, below(judged))]

    return sums


def _audio_s(judged: Judged) -> float:
    return judged.trace.duration_s


def _delays(moment: str, clock: str = "wall") -> Values:
    return lambda judged: [word.delay_s(moment, clock) for word in judged.words] if judged.timed else []


def _timed(values: Values) -> Values:
    return lambda judged: values(judged) if judged.timed else []


def _percentiles(key: str, title: str, what: str, values: Values) -> tuple[Measure, ...]:
    return tuple(
        Measure(f"{key}_p{q}", f"{title}, p{q}", "s", what, values=_timed(values), q=q) for q in (50, 90, 95, 99)
    )


WER = Measure(
    "wer",
    "WER",
    "%",
    "Substitutions, deletions and insertions of a minimal alignment per reference word (character where no spaces are "
    "written), both texts normalised (Radford et al. 2022); words where nothing is said are insertions.",
    sums=lambda judged: [(counts.errors, counts.reference_length) for counts in judged.pieces],
    scale=100,
)
STABLE = _percentiles(
    "stable",
    "shown for good",
    "From a word's end until it is shown and never changes again.",
    _delays("stable"),
)
SETTLED = _percentiles(
    "settled",
    "settled",
    "From a word's end until neither it nor any word before it changes again: the text up to it may be copied away.",
    _delays("settled"),
)
STABLE_P95 = STABLE[2]
CPU = Measure(
    "cpu",
    "CPU",
    "CPU-s per audio-s",
    "CPU time of the process that recognised, all threads, per second of audio.",
    sums=_known(lambda judged: judged.trace.cpu_s, _audio_s),
    digits=3,
)
MEASURES: tuple[Measure, ...] = (
    WER,
    Measure(
        "wer_raw",
        "WER as written",
        "%",
        "The same of the texts as they stand: case and punctuation count.",
        sums=_one(lambda judged: (judged.raw.errors, judged.raw.reference_length)),
        scale=100,
    ),
    Measure(
        "cer",
        "CER",
        "%",
        "The same in characters of the normalised texts, spaces left out.",
        sums=_one(lambda judged: (judged.characters.errors, judged.characters.reference_length)),
        scale=100,
    ),
    Measure(
        "made_up",
        "made up",
        "words a minute of non-speech",
        "Words written where nothing is said (hallucinations), per minute of recordings with an empty reference.",
        sums=lambda j: [(j.counts.insertions, j.trace.duration_s / 60)] if j.silent else [],
    ),
    Measure(
        "made_up_share",
        "non-speech with words",
        "% of recordings",
        "Of the recordings in which nothing is said, those in which words were written.",
        sums=lambda j: [(float(j.counts.insertions > 0), 1.0)] if j.silent else [],
        scale=100,
        digits=0,
    ),
    *_percentiles(
        "first",
        "first words",
        "From the first word's onset until any word is shown.",
        lambda judged: [judged.first_partial_s],
    ),
    *_percentiles(
        "shown",
        "first shown",
        "From a word's end until it first stands at its place (negative: guessed before its end).",
        _delays("shown"),
    ),
    *STABLE,
    *SETTLED,
    *_percentiles(
        "stable_audio",
        "shown for good, computing left out",
        "The same by the audio heard at that moment.",
        _delays("stable", "audio"),
    ),
    *_percentiles("committed", "final", "From a word's end until it is final and cannot change.", _delays("committed")),
    *_percentiles(
        "finalisation",
        "last word after the end",
        "From the end of the stream until its last final with words; 0 when all were final before.",
        lambda judged: [judged.finalisation_s],
    ),
    *_percentiles(
        "endpoint",
        "end of speech noticed",
        "From the last word's end until the end of speech is said, where the stream went on.",
        lambda judged: judged.endpoints_s,
    ),
    *_percentiles(
        "lag",
        "lag",
        "At each update of the text: audio spoken by then and not yet heard by the update.",
        lambda judged: [lag for lag, _ in judged.lags_s],
    ),
    *_percentiles(
        "lag_audio",
        "lag, computing left out",
        "The same by the audio received at that moment.",
        lambda judged: [lag for _, lag in judged.lags_s],
    ),
    Measure(
        "laal",
        "LAAL, computation-aware",
        "s",
        "Length-adaptive average lagging of final words (Papi et al. 2022), mean over utterances.",
        sums=_known(lambda judged: judged.laal_s() if judged.timed else None),
    ),
    Measure(
        "laal_audio",
        "LAAL",
        "s",
        "The same by the audio received: what waiting alone costs.",
        sums=_known(lambda judged: judged.laal_s("audio") if judged.timed else None),
    ),
    Measure(
        "coverage",
        "words with a delay",
        "%",
        "Words of the transcript whose end is known: with a reference alignment those that are in it.",
        sums=lambda j: [(sum(w.end_s is not None for w in j.words), len(j.words))] if j.timed else [],
        scale=100,
        digits=1,
        better="",
    ),
    Measure(
        "changed",
        "taken back",
        "% of shown words",
        "Words shown that later changed or vanished.",
        sums=lambda judged: [(judged.stability.changed, judged.stability.shown)] if judged.timed else [],
        scale=100,
        digits=1,
    ),
    Measure(
        "flicker",
        "flicker",
        "changes per s",
        "Shown words that changed or vanished, per second of audio.",
        sums=lambda judged: [(judged.stability.changed, judged.trace.duration_s)] if judged.timed else [],
    ),
    Measure(
        "unstable",
        "unstable words",
        "per final word",
        "Changed words per word of the final transcript (Shangguan et al. 2020: unstable partial word ratio).",
        sums=lambda judged: [(judged.stability.changed, judged.stability.final)] if judged.timed else [],
    ),
    CPU,
    Measure(
        "rtfx",
        "RTFx",
        "times real time",
        "Seconds of audio per second of work, in process.",
        sums=lambda j: [] if j.trace.busy_s is None else [(j.trace.duration_s, j.trace.busy_s)],
        digits=1,
        better="higher",
    ),
)
BY_KEY = {measure.key: measure for measure in MEASURES}


def estimate(measure: Measure, judged: Sequence[Judged]) -> Interval:
    """The figure of these traces and its interval, in the measure's unit."""
    figure, units = figure_of(measure, judged)
    return _scaled(interval(figure, _drawn(tuple(units.strata.tolist()))), measure.scale)


def compare(measure: Measure, left: Sequence[Judged], right: Sequence[Judged]) -> Difference:
    """Left minus right on the same recordings in the same order, in the measure's unit."""
    (one, units), (other, same) = figure_of(measure, left), figure_of(measure, right)
    if len(units.strata) != len(same.strata):
        raise ValueError("two systems are compared on the same recordings; wanted the same utterances in both")
    found = difference(one, other, _drawn(tuple(units.strata.tolist())))
    scaled = [None if v is None else v * measure.scale for v in (found.value, found.low, found.high, found.error)]
    return Difference(scaled[0], scaled[1], scaled[2], found.p, scaled[3])


def ratio(measure: Measure, left: Sequence[Judged], right: Sequence[Judged]) -> Interval:
    """Left over right on the same recordings."""
    (one, units), (other, _) = figure_of(measure, left), figure_of(measure, right)
    return quotient(one, other, _drawn(tuple(units.strata.tolist())))


def figure_of(measure: Measure, judged: Sequence[Judged]) -> tuple[Figure, Units]:
    """What can be resampled: every utterance is a unit's, also one that says nothing to this measure."""
    if measure.sums is not None:
        rows = [(j, place, sums) for j in judged for place, sums in enumerate(measure.sums(j) or [(0.0, 0.0)])]
        units = _units([(j, place) for j, place, _ in rows])
        return Ratio([above for *_, (above, _) in rows], [below for *_, (_, below) in rows], units), units
    units = _units([(j, 0) for j in judged])
    pairs = list(_values(measure, judged))
    return Percentile([value for value, _ in pairs], [owner for _, owner in pairs], measure.q, units), units


def note(judged: Sequence[Judged]) -> str:
    """What was resampled, in words."""
    return _units([(j, place) for j in judged for place in range(len(j.pieces))]).note


def peak_memory_bytes(judged: Sequence[Judged]) -> int | None:
    """The largest resident memory that was seen; no interval: it is no sum."""
    return max((j.trace.peak_memory_bytes for j in judged if j.trace.peak_memory_bytes is not None), default=None)


def _values(measure: Measure, judged: Sequence[Judged]) -> Iterator[tuple[float, int]]:
    if measure.values is None:
        raise ValueError(f"measure {measure.key} has neither sums nor values; wanted one of them")
    for owner, j in enumerate(judged):
        yield from ((value, owner) for value in measure.values(j) if value is not None)


def _units(rows: Sequence[tuple[Judged, int]]) -> Units:
    traces = [(judged.trace, place) for judged, place in rows]
    names = [f"{trace.utterance}/{place}" for trace, place in traces]
    return units_of([t.dataset for t, _ in traces], [t.speaker for t, _ in traces], names)


@lru_cache(maxsize=64)
def _drawn(strata: tuple[str, ...]) -> np.ndarray:
    return weights(Units(np.zeros(0, int), np.array(strata), ""))


def _scaled(found: Interval, scale: float) -> Interval:
    return Interval(*(None if v is None else v * scale for v in (found.value, found.low, found.high)))
