"""`asr bench verdicts`: how often the verdict, the gate and the intervals are right, where the truth is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from eval.bench.worlds import (
    DELAY_WORLDS,
    FEW,
    UNKNOWN,
    WORLDS,
    Errors,
    World,
    draw_delays,
    draw_errors,
    true_delay,
    true_rate,
)
from eval.metrics.few_speakers import binomial_bounds
from eval.metrics.resampling import ALPHA, Percentile, Ratio, Units, difference, interval, p_values
from eval.metrics.significance import holm
from eval.report.looks import Look

TAIL = 95
SPLITS = 4_999
"""For the share of wrong verdicts: a quarter of what a report has, which changes no share by more than chance."""
COVERAGE_PART, POWER_PART, FAMILY_PART, LOOKS_PART = 4, 16, 8, 4
"""These parts of the worlds are enough where each takes longer."""
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
    """False verdicts between equal systems, and the coverage of WER's intervals."""
    for world in worlds:
        drawn, truth = draw_errors(world, count, seed), true_rate(world)
        shares = {"better, %": _called_different(drawn, count)}
        own = [interval(left) for left, _ in ratios(drawn, max(1, count // COVERAGE_PART))]
        given = [each for each in own if each.low is not None]
        if given:
            shares["covers WER, %"] = Share(sum(not each.excludes(truth) for each in given), len(given))
        yield Result(world.name, shares)


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


def family_results(systems: Sequence[int], speakers: Sequence[int], count: int, seed: int) -> Iterator[Result]:
    """Several systems: any pair of equal ones called different; one far better one found. Holm is over all pairs."""
    for many in systems:
        for number in speakers:
            equal = World(f"{many} equal systems, {number} speakers", number, 20)
            apart = World(f"one of {many} far better, {number} speakers", number, 20, advantage=2.0)
            wrong = _found(draw_errors(equal, count, seed, many)).any(axis=1)
            yield Result(equal.name, {"any pair, %": Share(int(wrong.sum()), count)})
            best = _found(draw_errors(apart, count, seed, many), with_last=True).all(axis=1)
            yield Result(apart.name, {"found, %": Share(int(best.sum()), count)})


def power_results(speakers: Sequence[int], advantages: Sequence[float], count: int, seed: int) -> Iterator[Result]:
    """How often a true difference is found, and lies in its interval."""
    for number in speakers:
        for advantage in advantages:
            drawn = draw_errors(World("", number, 10, advantage=advantage), count, seed)
            truth = float((drawn.errors[0].sum() - drawn.errors[1].sum()) / drawn.words.sum())
            changes = [difference(left, right) for left, right in ratios(drawn, count)]
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
    wrong: dict[str, int] = {}
    sizes = range(SPEAKERS_A_LOOK, world.speakers + 1, SPEAKERS_A_LOOK)
    change = draw_errors(world, count, seed).change
    looks = np.stack([p_values(change[:, :size], SPLITS) for size in sizes], axis=1)
    for way, each in ways.items():
        wrong[way] = int((looks <= ALPHA / np.array(each)).any(axis=1).sum())
    for way, number in wrong.items():
        yield Result(way, {"any look, %": Share(number, count)})


def non_inferiority_results(speakers: Sequence[int], limit: float, count: int, seed: int) -> Iterator[Result]:
    """Passed as "not worse by more than the limit" (a share of words): systems worse by the limit, and equal ones."""
    for number in speakers:
        for worse in (limit, 0.0):
            world = World(f"{number} speakers x 40, worse by {100 * worse:.1f} points", number, 40, model_sd=0.1)
            drawn = draw_errors(world, count, seed)
            drawn.errors[0] += np.random.default_rng(seed).poisson(worse * drawn.words)
            highest = [difference(new, old).high for new, old in ratios(drawn, count)]
            passed = sum(high is not None and high <= limit for high in highest)
            yield Result(world.name, {"passed, %": Share(passed, count)})


def ratios(drawn: Errors, count: int) -> Iterator[tuple[Ratio, ...]]:
    """The error rates of all systems, in this many samples of the world."""
    units = _units(drawn.words.shape[1], drawn.nameless)
    for place, words in enumerate(drawn.words[:count]):
        yield tuple(Ratio(list(errors[place]), list(words), units, loops=True) for errors in drawn.errors)


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
    family, looks, power = (max(1, worlds // part) for part in (FAMILY_PART, LOOKS_PART, POWER_PART))
    parts: tuple[tuple[str, Iterator[Result]], ...] = (
        ("Error rates", accuracy_results(WORLDS, worlds, seed)),
        ("Fewer than ten speakers", accuracy_results(FEW, worlds, seed)),
        ("Unknown speakers, which the verdict says", accuracy_results(UNKNOWN, worlds, seed)),
        ("95th percentile of the delay", delay_results(DELAY_WORLDS, delay_worlds, seed)),
        ("Several systems", family_results((3, 5, 8), (11, 20, 50), family, seed)),
        (f"{LOOKS} looks, at 10 to 50 speakers", look_results(looks, seed)),
        ("Not worse by more than 2 points", non_inferiority_results((12, 20, 50), 0.02, power, seed)),
        ("True differences", power_results((10, 20, 50, 76), (0.13, 0.27, 0.5), power, seed)),
    )
    for title, results in parts:
        print(f"{title}:\n\n{table(list(results))}\n", flush=True)


def _found(drawn: Errors, *, with_last: bool = False) -> np.ndarray:
    """Which pairs are called different ``(samples, pairs)``; ``with_last``: only those with the last system."""
    pairs = list(combinations(range(len(drawn.errors)), 2))
    p = np.stack([p_values(drawn.errors[a] - drawn.errors[b]) for a, b in pairs], axis=1)
    found = np.array([holm(row) for row in p.tolist()]) <= ALPHA
    return found[:, [b == len(drawn.errors) - 1 for _, b in pairs]] if with_last else found


def _called_different(drawn: Errors, count: int) -> Share:
    """The share of samples in which the first two systems are called different."""
    if not drawn.nameless:
        return Share(int((p_values(drawn.change, SPLITS) <= ALPHA).sum()), count)
    some = max(1, count // COVERAGE_PART)  # one by one: the units without names are left out and put back
    return Share(sum(difference(left, right).excludes_zero for left, right in ratios(drawn, some)), some)


def _units(count: int, nameless: int = 0) -> Units:
    """Speakers, the last ``nameless`` of which are recordings of unknown speakers."""
    return Units(np.arange(count), np.array(["d"] * count), np.arange(count) >= count - nameless)
