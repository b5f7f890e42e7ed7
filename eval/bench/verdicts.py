"""`asr bench verdicts`: how often the verdict, the gate and the intervals are right, where the truth is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from eval.bench.worlds import (
    DELAY_WORLDS,
    FEW,
    WORLDS,
    Errors,
    World,
    draw_delays,
    draw_errors,
    true_delay,
    true_rate,
)
from eval.metrics.few_speakers import binomial_bounds
from eval.metrics.resampling import ALPHA, Percentile, Ratio, Units, difference, interval
from eval.metrics.significance import holm
from eval.report.looks import Look

TAIL = 95
MANY = 8
"""Systems in the worlds in which many are compared."""
LOOKS, SPEAKERS_A_LOOK = 5, 10


@dataclass(frozen=True, slots=True)
class Share:
    """How often something happened: ``count`` of ``of`` worlds."""

    count: int
    of: int

    @property
    def percent(self) -> float:
        return 100 * self.count / self.of

    def bounds(self, level: float = 0.95) -> tuple[float, float]:
        """Clopper and Pearson's exact interval, in per cent."""
        low, high = binomial_bounds(self.count, self.of, (1 - level) / 2)
        return 100 * low, 100 * high

    def __str__(self) -> str:
        low, high = self.bounds()
        return f"{self.percent:.1f} ({low:.1f} to {high:.1f})"


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one kind of world, by the name of the column."""

    world: str
    shares: dict[str, Share]


def accuracy_results(worlds: Sequence[World], count: int, seed: int) -> Iterator[Result]:
    """False verdicts between equal systems (the interval of the difference misses zero), and the coverage of WER's."""
    for world in worlds:
        drawn, truth = draw_errors(world, count, seed), true_rate(world)
        better, covered, given = 0, 0, 0
        for left, right in ratios(drawn):
            own = interval(left)
            better += difference(left, right).excludes_zero
            given += own.low is not None
            covered += own.low is not None and not own.excludes(truth)
        shares = {"better, %": Share(better, count)}
        yield Result(world.name, shares | ({"covers WER, %": Share(covered, given)} if given else {}))


def delay_results(worlds: Sequence[World], count: int, seed: int) -> Iterator[Result]:
    """The same for the 95th percentile of delays."""
    rng = np.random.default_rng(seed)
    for world in worlds:
        truth, better, covered = true_delay(world, NormalDist().inv_cdf(TAIL / 100)), 0, 0
        units = _units(world.speakers)
        for _ in range(count):
            delays, speaker = draw_delays(world, rng)
            left, right = (Percentile(list(values), list(speaker), TAIL, units) for values in delays)
            better += difference(left, right).excludes_zero
            covered += not interval(left).excludes(truth)
        yield Result(world.name, {"earlier, %": Share(better, count), "covers p95, %": Share(covered, count)})


def family_results(speakers: Sequence[int], count: int, seed: int) -> Iterator[Result]:
    """Eight systems: any pair of equal ones called different; one far better system found, with Holm over all pairs."""
    for number in speakers:
        equal = World(f"{MANY} equal systems, {number} speakers", number, 20)
        apart = World(f"one of {MANY} far better, {number} speakers", number, 20, advantage=2.0)
        yield Result(equal.name, {"any pair, %": Share(sum(map(any, _found(equal, count, seed))), count)})
        best = [all(found[-1:]) for found in _found(apart, count, seed)]
        yield Result(apart.name, {"found, %": Share(sum(best), count)})


def power_results(speakers: Sequence[int], advantages: Sequence[float], count: int, seed: int) -> Iterator[Result]:
    """How often a true difference is found, and lies in its interval."""
    for number in speakers:
        for advantage in advantages:
            drawn = draw_errors(World("", number, 10, advantage=advantage), count, seed)
            truth = float((drawn.errors[0].sum() - drawn.errors[1].sum()) / drawn.words.sum())
            changes = [difference(left, right) for left, right in ratios(drawn)]
            shares = {
                "found, %": Share(sum(change.excludes_zero for change in changes), count),
                "covers difference, %": Share(sum(not change.excludes(truth) for change in changes), count),
            }
            yield Result(f"{number} speakers, {100 * truth:.1f} points", shares)


def look_results(count: int, seed: int) -> Iterator[Result]:
    """Equal systems, looked at again with each ten speakers more: any look that calls them different."""
    world = World("", LOOKS * SPEAKERS_A_LOOK, 10)
    once, divisors = [1.0] * LOOKS, [Look(number).divisor for number in range(1, LOOKS + 1)]
    ways = {"each look as if it were the only one": once, f"--looks {LOOKS}": [float(LOOKS)] * LOOKS}
    ways["looks counted by the gate"] = divisors
    wrong = dict.fromkeys(ways, 0)
    sizes = range(SPEAKERS_A_LOOK, world.speakers + 1, SPEAKERS_A_LOOK)
    for left, right in ratios(draw_errors(world, count, seed)):
        p_values = [difference(left.first(size), right.first(size)).p or 1.0 for size in sizes]
        for way, each in ways.items():
            wrong[way] += any(p <= ALPHA / divisor for p, divisor in zip(p_values, each, strict=True))
    for way, number in wrong.items():
        yield Result(way, {"any look, %": Share(number, count)})


def ratios(drawn: Errors) -> Iterator[tuple[Ratio, ...]]:
    """The error rates of all systems, world by world."""
    units = _units(drawn.words.shape[1])
    for place, words in enumerate(drawn.words):
        yield tuple(Ratio(list(errors[place]), list(words), units) for errors in drawn.errors)


def table(results: Sequence[Result]) -> str:
    """The results as a Markdown table, with exact 95 % intervals."""
    columns = list(dict.fromkeys(name for result in results for name in result.shares))
    rows = [f"| world | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for result in results:
        cells = (str(result.shares[name]) if name in result.shares else "not given" for name in columns)
        rows.append(f"| {result.world} | {' | '.join(cells)} |")
    return "\n".join(rows)


def run(worlds: int, delay_worlds: int, seed: int) -> None:
    """Prints every table; ``worlds`` samples of each kind, ``delay_worlds`` where words have delays."""
    print(f"Equal systems, {worlds} worlds of each kind, seed {seed}; in brackets exact 95 % intervals.\n")
    parts: tuple[tuple[str, Iterator[Result]], ...] = (
        ("Error rates", accuracy_results(WORLDS, worlds, seed)),
        ("Fewer than ten speakers", accuracy_results(FEW, worlds, seed)),
        ("95th percentile of the delay", delay_results(DELAY_WORLDS, delay_worlds, seed)),
        ("Many systems", family_results((11, 20, 50), max(1, worlds // 20), seed)),
        (f"{LOOKS} looks, at 10 to 50 speakers", look_results(max(1, worlds // 5), seed)),
        ("True differences", power_results((20, 50, 76), (0.13, 0.27, 0.5), max(1, worlds // 4), seed)),
    )
    for title, results in parts:
        print(f"{title}:\n\n{table(list(results))}\n", flush=True)


def _found(world: World, count: int, seed: int) -> Iterator[list[bool]]:
    """Which pairs are called different; the last item is whether the last system is better than every other."""
    pairs = list(combinations(range(MANY), 2))
    for systems in ratios(draw_errors(world, count, seed, MANY)):
        p_values = [difference(systems[a], systems[b]).p for a, b in pairs]
        adjusted = holm([1.0 if p is None else p for p in p_values])
        found = [p <= ALPHA for p in adjusted]
        yield [*found, all(is_found for (_, b), is_found in zip(pairs, found, strict=True) if b == MANY - 1)]


def _units(count: int) -> Units:
    return Units(np.arange(count), np.array(["d"] * count))
