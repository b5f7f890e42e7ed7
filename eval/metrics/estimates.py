"""Metrics of scored traces as numbers: the value, its interval, and the paired comparison of two systems."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from eval.metrics.bootstrap import (
    Difference,
    Interval,
    Percentile,
    Ratio,
    Statistic,
    Units,
    difference,
    draw,
    interval,
    quotient,
    units_of,
)
from eval.metrics.catalogue import Metric
from eval.metrics.scored_trace import ScoredTrace


def value_of(metric: Metric, scored: Sequence[ScoredTrace]) -> float | None:
    """The metric in its unit, without an interval; None where it does not apply or was not measured."""
    value = statistic_of(metric, scored)[0].value()
    return None if value is None else value * metric.scale


def measured(metric: Metric, scored: Sequence[ScoredTrace]) -> int | None:
    """How many values a percentile ranks; None for a ratio."""
    return None if metric.values is None else sum(1 for _ in _values(metric, scored))


def estimate(metric: Metric, scored: Sequence[ScoredTrace]) -> Interval:
    """The metric and its interval, in the metric's unit."""
    statistic, units = statistic_of(metric, scored)
    ends = interval(statistic, _drawn(units))
    return Interval(*(None if v is None else v * metric.scale for v in (ends.value, ends.low, ends.high)))


def compare(metric: Metric, left: Sequence[ScoredTrace], right: Sequence[ScoredTrace]) -> Difference:
    """Left minus right in the metric's unit, on the same recordings in the same order.

    Raises `ValueError` where the recordings are not the same.
    """
    (one, units), (other, same) = statistic_of(metric, left), statistic_of(metric, right)
    if len(units.strata) != len(same.strata):
        raise ValueError("two systems are compared on the same recordings; wanted the same utterances in both")
    change = difference(one, other, _drawn(units))
    scaled = [None if v is None else v * metric.scale for v in (change.value, change.low, change.high, change.error)]
    return Difference(scaled[0], scaled[1], scaled[2], change.p, scaled[3])


def ratio(metric: Metric, left: Sequence[ScoredTrace], right: Sequence[ScoredTrace]) -> Interval:
    """Left over right, on the same recordings in the same order."""
    (one, units), (other, _) = statistic_of(metric, left), statistic_of(metric, right)
    return quotient(one, other, _drawn(units))


def statistic_of(metric: Metric, scored: Sequence[ScoredTrace]) -> tuple[Statistic, Units]:
    """What can be resampled, and its units. A trace to which the metric does not apply is still part of its unit.

    Raises `ValueError` for a metric with neither sums nor values.
    """
    if metric.sums is not None:
        rows = [(s, place, sums) for s in scored for place, sums in enumerate(metric.sums(s) or [(0.0, 0.0)])]
        units = _units([(s, place) for s, place, _ in rows])
        return Ratio([above for *_, (above, _) in rows], [below for *_, (_, below) in rows], units), units
    units = _units([(s, 0) for s in scored])
    pairs = list(_values(metric, scored))
    values, owners = [value for value, _ in pairs], [owner for _, owner in pairs]
    return Percentile(values, owners, metric.percentile, units), units


def resampling_note(scored: Sequence[ScoredTrace]) -> str:
    """What the intervals resample, in words."""
    return _units([(s, place) for s in scored for place in range(len(s.segment_counts))]).note


def peak_memory_bytes(scored: Sequence[ScoredTrace]) -> int | None:
    """The largest resident memory of these traces. It is no sum, so it has no interval."""
    return max((s.trace.peak_memory_bytes for s in scored if s.trace.peak_memory_bytes is not None), default=None)


def _values(metric: Metric, scored: Sequence[ScoredTrace]) -> Iterator[tuple[float, int]]:
    if metric.values is None:
        raise ValueError(f"metric {metric.key} has neither sums nor values; wanted one of them")
    for owner, trace in enumerate(scored):
        yield from ((value, owner) for value in metric.values(trace) if value is not None)


def _units(rows: Sequence[tuple[ScoredTrace, int]]) -> Units:
    """One row for each trace and segment."""
    traces = [(scored.trace, place) for scored, place in rows]
    names = [f"{trace.utterance}/{place}" for trace, place in traces]
    return units_of([t.dataset for t, _ in traces], [t.speaker for t, _ in traces], names)


def _drawn(units: Units) -> np.ndarray:
    """The resamples ``(resamples, units)``; equal strata share them."""
    return _drawn_for(tuple(units.strata.tolist()))


@lru_cache(maxsize=64)
def _drawn_for(strata: tuple[str, ...]) -> np.ndarray:
    return draw(Units(np.zeros(0, int), np.array(strata), ""))
