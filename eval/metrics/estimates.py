"""Metrics of scored traces as numbers: the value, its interval, and the paired comparison of two systems."""

from collections.abc import Iterable, Iterator, Sequence

from asr.normalisation.normalise import is_by_character
from eval.metrics.catalogue import Metric
from eval.metrics.resampling import (
    Difference,
    Interval,
    Percentile,
    Ratio,
    Statistic,
    Units,
    difference,
    interval,
    quotient,
    units_of,
)
from eval.metrics.rounds import with_noise_of_rounds
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.significance import too_few_units


def value_of(metric: Metric, scored: Sequence[ScoredTrace]) -> float | None:
    """The metric in its unit, without an interval; None where it does not apply or was not measured."""
    value = statistic_of(metric, scored).value()
    return None if value is None else value * metric.scale


def measured(metric: Metric, scored: Sequence[ScoredTrace]) -> int | None:
    """How many values a percentile ranks; None for a ratio."""
    return None if metric.values is None else sum(1 for _ in _values(metric, scored))


def estimate(metric: Metric, scored: Sequence[ScoredTrace]) -> Interval:
    """The metric and its interval, in the metric's unit."""
    ends = interval(statistic_of(metric, scored))
    high = min(ends.high, 1.0) if metric.is_share and ends.high is not None else ends.high
    return Interval(*(None if v is None else v * metric.scale for v in (ends.value, ends.low, high)))


def estimate_of_rounds(metric: Metric, rounds: Sequence[Sequence[ScoredTrace]]) -> Interval:
    """The metric over all repeats of a run; from three on, the interval has the machine's noise in it.

    Only the first repeat counts for a metric that the machine's speed does not touch: the others are the same.
    """
    if not metric.with_machine or len(rounds) == 1:
        return estimate(metric, rounds[0])
    of_all = estimate(metric, [scored for each in rounds for scored in each])
    values = [value for each in rounds if (value := value_of(metric, each)) is not None]
    tied = of_all.low is None and not too_few_units(units_of_traces(rounds[0]).count)
    noisy = with_noise_of_rounds(Difference(of_all.value, of_all.low, of_all.high, tied=tied), values)
    return of_all if noisy.low is None else Interval(noisy.value, noisy.low, noisy.high)


def compare(
    metric: Metric, left: Sequence[ScoredTrace], right: Sequence[ScoredTrace], comparisons: float = 1
) -> Difference:
    """Left minus right in the metric's unit, on the same recordings in the same order.

    The interval is corrected for this number of comparisons; p is not. Raises `ValueError` where the recordings are
    not the same.
    """
    change = difference(*_paired(metric, left, right), comparisons)
    scaled = [None if v is None else v * metric.scale for v in (change.value, change.low, change.high, change.error)]
    return Difference(scaled[0], scaled[1], scaled[2], change.p, scaled[3], change.tied)


def flip_error(metric: Metric, left: Sequence[ScoredTrace], right: Sequence[ScoredTrace]) -> float | None:
    """`eval.metrics.resampling.Ratio.flip_error` of the difference in a rate, in the metric's unit.

    None where the two are no rates of the same recordings.
    """
    one, other = _paired(metric, left, right)
    change = one.minus(other) if isinstance(one, Ratio) and isinstance(other, Ratio) else None
    return None if change is None else change.flip_error * metric.scale


def ratio(
    metric: Metric, left: Sequence[ScoredTrace], right: Sequence[ScoredTrace], comparisons: float = 1
) -> Difference:
    """Left over right, as `compare`."""
    return quotient(*_paired(metric, left, right), comparisons)


def statistic_of(
    metric: Metric, scored: Sequence[ScoredTrace], labelled: Sequence[ScoredTrace] | None = None
) -> Statistic:
    """What can be resampled. A trace to which the metric does not apply is still part of its unit.

    Nothing, without a value, for a metric that would add words to characters.
    ``labelled`` are traces of the same recordings that have the speakers; without it, ``scored`` themselves. Raises
    `ValueError` for a metric with neither sums nor values.
    """
    labelled = scored if labelled is None else labelled
    if metric.sums is not None:
        pairs_of = zip(scored, labelled, strict=True)
        rows = [(label, sums) for s, label in pairs_of for sums in metric.sums(s) or [(0.0, 0.0)]]
        if metric.by_unit and " and " in unit_of(label for label, sums in rows if any(sums)):
            return Ratio([], [], units_of_traces([]))
        units = units_of_traces([label for label, _ in rows])
        above, below = [above for _, (above, _) in rows], [below for _, (_, below) in rows]
        return Ratio(above, below, units, loops=metric.by_unit)
    units = units_of_traces(labelled)
    pairs = list(_values(metric, scored))
    values, owners = [value for value, _ in pairs], [owner for _, owner in pairs]
    return Percentile(values, owners, metric.percentile, units)


def units_of_traces(scored: Sequence[ScoredTrace]) -> Units:
    """The speakers of these traces, and the recordings whose speaker is unknown; one row for each trace."""
    traces = [s.trace for s in scored]
    return units_of([t.dataset for t in traces], [t.speaker for t in traces], [t.utterance for t in traces])


def unit_of(scored: Iterable[ScoredTrace]) -> str:
    """The scoring unit of these traces: words, characters, or "words and characters"."""
    kinds = {"characters" if is_by_character(s.trace.language) else "words" for s in scored}
    return " and ".join(sorted(kinds, reverse=True))


def peak_memory_bytes(scored: Sequence[ScoredTrace]) -> int | None:
    """The largest resident memory of these traces. It is no sum, so it has no interval."""
    return max((s.trace.peak_memory_bytes for s in scored if s.trace.peak_memory_bytes is not None), default=None)


def _values(metric: Metric, scored: Sequence[ScoredTrace]) -> Iterator[tuple[float, int]]:
    if metric.values is None:
        raise ValueError(f"metric {metric.key} has neither sums nor values; wanted one of them")
    for owner, trace in enumerate(scored):
        yield from ((value, owner) for value in metric.values(trace) if value is not None)


def _paired(metric: Metric, left: Sequence[ScoredTrace], right: Sequence[ScoredTrace]) -> tuple[Statistic, Statistic]:
    if [s.key for s in left] != [s.key for s in right]:
        raise ValueError("two systems are compared on the same recordings; wanted the same utterances in both")
    labelled = [a if a.trace.speaker else b for a, b in zip(left, right, strict=True)]
    return statistic_of(metric, left, labelled), statistic_of(metric, right, labelled)
