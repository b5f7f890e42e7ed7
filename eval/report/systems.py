"""Runs as systems on the same recordings, and what differs between each two of them."""

import math
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from eval.html.formatting import p_value
from eval.metrics.catalogue import CPU, STABLE_AUDIO_P95, STABLE_P95, WER, Metric
from eval.metrics.estimates import compare, flip_error, ratio, unit_of, units_of_traces, value_of
from eval.metrics.resampling import ALPHA, Difference
from eval.metrics.rounds import MIN_ROUNDS, in_turns, with_noise_of_rounds
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.significance import (
    Mapsswe,
    Sample,
    holm,
    holm_comparisons,
    mapsswe,
    smallest_difference,
    too_few_units,
    units_needed,
)
from eval.metrics.word_errors import Edit
from eval.runs.folder import Run
from eval.trace import MODES, OFFLINE


@dataclass(frozen=True, slots=True)
class System:
    """One model of one run in one mode.

    Attributes:
        name: The model's name, with the run's where several runs have the model.
        model: The model's name.
        run: The run's name.
        mode: One of `eval.trace.MODES`.
        scored: Everything that it recognised.
        repeats: The same recordings in each further repeat of the run, in the same order.
    """

    name: str
    model: str
    run: str
    mode: str
    scored: tuple[ScoredTrace, ...]
    repeats: tuple[tuple[ScoredTrace, ...], ...] = ()

    @property
    def rounds(self) -> tuple[tuple[ScoredTrace, ...], ...]:
        """All repeats, the first included."""
        return (self.scored, *self.repeats)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorComparison:
    """The errors of left against right on recordings that both have; differences are left minus right.

    Attributes:
        mode: The mode of both.
        unit: "words" or "characters": what the errors are of.
        left: Name of the first system.
        right: Name of the second system.
        utterances: Number of common recordings.
        speakers: Number of units that were resampled: speakers, and recordings of unknown speakers.
        comparisons: The number of comparisons for which the interval of ``wer`` is corrected.
        wer: Difference in WER, in points.
        p_holm: Its p-value, adjusted for all comparisons; None where there is none.
    """

    mode: str
    unit: str
    left: str
    right: str
    utterances: int
    speakers: int
    comparisons: int
    wer: Difference
    p_holm: float | None

    @property
    def is_significant(self) -> bool:
        """True where the difference in WER is beyond chance, given all comparisons."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def has_too_few_speakers(self) -> bool:
        """True where no result of these speakers could have been beyond chance."""
        return too_few_units(self.speakers, self.comparisons)


WORTH_SHOWING = 0.1
"""Share of the lower error rate: a smaller difference than that is hardly a reason to choose."""


@dataclass(frozen=True, slots=True)
class MoreData:
    """The further data that would settle which of two systems has fewer errors.

    Attributes:
        points: The true difference that all data together would show in four of five cases: the one
            found, or a tenth of the lower error rate where that is more.
        recordings: Further recordings; 0 where this data is enough, None where a million speakers would not do.
        speakers: Their speakers: all new, with as many recordings each as those of this data.
    """

    points: float
    recordings: int | None
    speakers: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(ErrorComparison):
    """Two systems on all of their common recordings.

    All intervals and adjusted p-values are corrected for the pairs of the mode (Holm), twice where recordings are
    counted in words and others in characters: such errors are not added.

    Attributes:
        unknown: How many of ``speakers`` are recordings of unknown speakers.
        taken_as_speakers: How many of those count as if each were of another speaker.
        smallest: The smallest true difference in WER that this data could show; None where that is not known.
        more: The data that is missing for an answer; None where there is one, or where nothing is known.
        matched_pairs: The second test (MAPSSWE), which takes segments, not speakers, as independent; None where there
            is nothing to test.
        cost: Left's CPU time over right's; without an interval where the machine's noise is not known.
        delay: Difference of the p95 of the delay, in seconds; None in a mode without delays. On the wall clock where
            the machine's noise is known, else on the clock of the audio received, which has none.
        delay_clock: "wall" or "audio": which of them it is.
        rounds: How often both were run in turns.
        check: What the second test says of the first, for readers.
    """

    unknown: int
    taken_as_speakers: int = 0
    smallest: float | None
    more: MoreData | None
    matched_pairs: Mapsswe | None
    cost: Difference
    delay: Difference | None
    delay_clock: str
    rounds: int
    check: str


def systems_of(runs: Sequence[Run]) -> tuple[System, ...]:
    """Every model of every run in every mode."""
    systems: list[System] = []
    models = [{trace.model for trace in run.traces} for run in runs]
    for run in runs:
        for model in dict.fromkeys(trace.model for trace in run.traces):
            shared = sum(model in others for others in models) > 1
            name = f"{model} ({run.name})" if shared else model
            for mode in MODES:
                scored = tuple(ScoredTrace(t) for t in run.traces if (t.model, t.mode) == (model, mode))
                if scored:
                    systems.append(System(name, model, run.name, mode, scored, _repeats(run, model, mode)))
    return tuple(systems)


def on_common(systems: Sequence[System]) -> tuple[System, ...]:
    """The systems on the recordings that all of them have, in one order."""
    if not systems:
        return ()
    by_key = [{scored.key: scored for scored in system.scored} for system in systems]
    common = [key for key in by_key[0] if all(_same(key, other, by_key[0]) for other in by_key[1:])]
    return tuple(
        replace(system, scored=tuple(mine[key] for key in common), repeats=_restricted(system.repeats, common))
        for system, mine in zip(systems, by_key, strict=True)
    )


def _repeats(run: Run, model: str, mode: str) -> tuple[tuple[ScoredTrace, ...], ...]:
    rounds: dict[int, list[ScoredTrace]] = {}
    for trace in run.repeats:
        if (trace.model, trace.mode) == (model, mode):
            rounds.setdefault(trace.repeat, []).append(ScoredTrace(trace))
    return tuple(tuple(rounds[repeat]) for repeat in sorted(rounds))


def _restricted(
    repeats: Sequence[Sequence[ScoredTrace]], keys: Sequence[tuple[str, str]]
) -> tuple[tuple[ScoredTrace, ...], ...]:
    """The repeats on these recordings; without those that lack one."""
    tables = [{scored.key: scored for scored in repeat} for repeat in repeats]
    return tuple(tuple(table[key] for key in keys) for table in tables if all(key in table for key in keys))


def comparisons(systems: Sequence[System]) -> tuple[Comparison, ...]:
    """Each two systems of one mode; the corrections are over the pairs of that mode.

    Errors have Holm's correction. Costs and delays, whose intervals come from speakers and machine together and so have
    no p-value, have Bonferroni's.
    """
    compared: list[Comparison] = []
    for mode in MODES:
        pairs = pairs_of(systems, mode)
        wers = corrected(pairs, wer_difference)
        compared += [_comparison(pair, *wer, len(pairs)) for pair, wer in zip(pairs, wers, strict=True)]
    return tuple(compared)


def pairs_of(systems: Sequence[System], mode: str) -> list[tuple[System, ...]]:
    """Each two systems of the mode on what both have, once for each unit that their errors are counted in."""
    pairs = [on_common(pair) for pair in combinations([s for s in systems if s.mode == mode], 2)]
    return [part for pair in pairs for _, part in by_unit(pair)]


def by_unit(systems: Sequence[System]) -> list[tuple[str, tuple[System, ...]]]:
    """The systems on the recordings that are counted in words, and on those in characters; only what there is."""
    unit = {s.key: unit_of([s]) for system in systems for s in system.scored}
    kinds = sorted(set(unit.values()), reverse=True)
    if len(kinds) < 2:
        return [(kinds[0] if kinds else "words", tuple(systems))]
    keys = {kind: {key for key, each in unit.items() if each == kind} for kind in kinds}
    return [(kind, tuple(part_of(system, keys[kind]) for system in systems)) for kind in kinds]


def part_of(system: System, keys: Container[tuple[str, str]]) -> System:
    """The system on those of its recordings."""
    scored = tuple(s for s in system.scored if s.key in keys)
    return replace(system, scored=scored, repeats=_restricted(system.repeats, [s.key for s in scored]))


def corrected(
    pairs: Sequence[Sequence[System]], compare_pair: Callable[[System, System, int], Difference]
) -> list[tuple[Difference, float | None, int]]:
    """Each pair's difference, its p adjusted for all pairs, and the number of pairs its interval is corrected for.

    ``compare_pair`` compares left and right, with an interval that is corrected for a number of comparisons. A pair
    with too few speakers for any result has no p and is none of the comparisons.
    """
    found = [compare_pair(left, right, 1) for left, right in pairs]
    able = [not too_few_units(units_of_traces(left.scored).count) for left, _ in pairs]
    places = [place for place, each in enumerate(found) if each.p is not None and able[place]]
    p_values = [p for place in places if (p := found[place].p) is not None]
    results: list[tuple[Difference, float | None, int]] = [(each, None, 1) for each in found]
    for place, adjusted, count in zip(places, holm(p_values), holm_comparisons(p_values), strict=True):
        left, right = pairs[place]
        again = found[place] if count == 1 else compare_pair(left, right, count)
        results[place] = (again, adjusted, count)
    return results


def wer_difference(left: System, right: System, comparisons: int = 1) -> Difference:
    """Left minus right, with an interval that is corrected for this number of comparisons."""
    return compare(WER, left.scored, right.scored, comparisons)


def metric_difference(metric: Metric, left: System, right: System, comparisons: float = 1) -> Difference:
    """Left minus right in any metric: `timed` where the machine's speed is in it."""
    if metric.with_machine:
        return timed(metric, left, right, comparisons)
    return compare(metric, left.scored, right.scored, comparisons)


def timed(metric: Metric, left: System, right: System, comparisons: float, *, as_ratio: bool = False) -> Difference:
    """A figure with the machine's speed in it, left minus right or (``as_ratio``) left over right.

    The value is of all common rounds; without an interval where the rounds are too few or were not run in turns.
    """
    count = rounds_in_turns(left, right)
    ours, theirs = ([s for r in rounds[: max(1, count)] for s in r] for rounds in (left.rounds, right.rounds))
    if count < MIN_ROUNDS:
        a, b = value_of(metric, ours), value_of(metric, theirs)
        if a is None or b is None or (as_ratio and not b):
            return Difference(None)
        return Difference(a / b if as_ratio else a - b)
    change = (ratio if as_ratio else compare)(metric, ours, theirs, comparisons)
    values = [(value_of(metric, a), value_of(metric, b)) for a, b in _rounds_of(left, right, count)]
    each = [a / b if as_ratio else a - b for a, b in values if a is not None and b]
    return with_noise_of_rounds(change, each, comparisons)


def _rounds_of(left: System, right: System, count: int) -> Iterator[tuple[Sequence[ScoredTrace], ...]]:
    return zip(left.rounds[:count], right.rounds[:count], strict=True)


def rounds_in_turns(left: System, right: System) -> int:
    """The number of rounds that both have; one where a round of either began after the other's next."""
    count = min(len(left.rounds), len(right.rounds))
    return count if in_turns(left.rounds[:count], right.rounds[:count]) else 1


def _delay(left: System, right: System, comparisons: int) -> tuple[Difference | None, str]:
    if left.mode == OFFLINE:
        return None, ""
    wall = timed(STABLE_P95, left, right, comparisons)
    if wall.low is not None or wall.tied:
        return wall, "wall"
    return compare(STABLE_AUDIO_P95, left.scored, right.scored, comparisons), "audio"


def _comparison(
    pair: Sequence[System], wer: Difference, p_holm: float | None, comparisons: int, pairs: int
) -> Comparison:
    left, right = pair
    matched_pairs = mapsswe(list(_paired_edits(left, right)))
    units = units_of_traces(left.scored)
    delay, delay_clock = _delay(left, right, pairs)
    return Comparison(
        mode=left.mode,
        unit=unit_of(left.scored) or "words",
        left=left.name,
        right=right.name,
        utterances=len(left.scored),
        speakers=units.count,
        unknown=units.unknown,
        taken_as_speakers=units.taken_as_speakers,
        comparisons=comparisons,
        wer=wer,
        p_holm=p_holm,
        smallest=smallest_of(wer),
        more=None if p_holm is not None and p_holm <= ALPHA else more_data(left, right, wer, comparisons),
        matched_pairs=matched_pairs,
        cost=timed(CPU, left, right, pairs, as_ratio=True),
        delay=delay,
        delay_clock=delay_clock,
        rounds=rounds_in_turns(left, right),
        check=_check(wer, matched_pairs),
    )


def smallest_of(change: Difference) -> float | None:
    """The smallest true difference that the data of this comparison could show; None where it could show none."""
    if change.low is None or change.high is None or change.error is None:
        return None
    return smallest_difference(change.low, change.high, change.error)


def more_data(
    left: System, right: System, wer: Difference, comparisons: float, points: float | None = None
) -> MoreData | None:
    """What would show ``points`` (None: what is worth showing); None where there is nothing to go by."""
    rates = [value_of(WER, system.scored) for system in (left, right)]
    known = [rate for rate in rates if rate is not None]
    error = flip_error(WER, left.scored, right.scored)
    if wer.value is None or wer.low is None or not error or len(known) < 2:
        return None
    wanted = max(abs(wer.value), WORTH_SHOWING * min(known)) if points is None else points
    units = units_of_traces(left.scored).count
    length = sum(scored.counts.reference_length for scored in left.scored)
    enough = units_needed(wanted / WER.scale, Sample(units, error / WER.scale, length), comparisons)
    if enough is None:
        return MoreData(wanted, None, None)
    speakers = max(0, enough - units)
    return MoreData(wanted, math.ceil(speakers * len(left.scored) / units), speakers)


def _check(wer: Difference, matched_pairs: Mapsswe | None) -> str:
    if matched_pairs is None:
        return "nothing to test"
    agrees = (matched_pairs.p <= ALPHA) == (wer.p is not None and wer.p <= ALPHA)
    return f"{p_value(matched_pairs.p)} ({'agrees' if agrees else 'disagrees'})"


def _paired_edits(left: System, right: System) -> Iterator[tuple[Sequence[Edit], Sequence[Edit]]]:
    for a, b in zip(left.scored, right.scored, strict=True):
        yield a.edits, b.edits


def _same(
    key: tuple[str, str], mine: dict[tuple[str, str], ScoredTrace], theirs: dict[tuple[str, str], ScoredTrace]
) -> bool:
    """True where both have the recording with the same reference: a relabelled recording is another one."""
    return key in mine and mine[key].trace.reference == theirs[key].trace.reference
