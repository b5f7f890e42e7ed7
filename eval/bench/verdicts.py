"""`asr bench verdicts`: how often the verdict, the gate and the intervals are right, where the truth is known."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from eval.bench.machine_noise import ROUNDS, noise_results
from eval.bench.shares import Result, Share, table
from eval.bench.worlds import (
    APART,
    DELAY_WORLDS,
    FEW,
    LATER,
    RARE,
    UNKNOWN,
    WORLDS,
    Errors,
    World,
    draw_delays,
    draw_errors,
    true_delay,
    true_rate,
)
from eval.metrics.resampling import ALPHA, Percentile, Ratio, Units, difference, interval, p_values
from eval.metrics.significance import holm
from eval.report.looks import Look

TAIL = 95
SPLITS = 4_999
"""For the share of wrong verdicts: a quarter of what a report has, which changes no share by more than chance."""
COVERAGE_PART, POWER_PART, FAMILY_PART, LOOKS_PART = 2, 8, 8, 4
"""These parts of the worlds are enough where each takes longer."""
ERRORS, FEWER, DELAYS = "Error rates", "Fewer than ten speakers", "95th percentile of the delay"
SAME_CODE, SYSTEMS, MANY_LOOKS = "The same code twice", "Several systems", "Looks, at 10 to 50 speakers"
TRUE_DIFFERENCES = "True differences"
"""Titles of the tables that must hold something."""
LOOKS, SPEAKERS_A_LOOK = 5, 10
TRUTH_DRAWS = 1_000
"""Samples whose errors together are the true difference."""


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
    for world in worlds:
        rng = np.random.default_rng(seed)
        truth, units = true_delay(world, TAIL / 100), _units(world.speakers)
        apart = truth * (np.exp(LATER) - 1)
        better = covered = covers_apart = given = 0
        for _ in range(count):
            delays, speaker = draw_delays(world, rng)
            left, right = _percentiles(delays, speaker, units)
            better += difference(left, right).excludes_zero
            covered += not interval(left).excludes(truth)
            change = difference(*_percentiles(*draw_delays(world, rng, LATER), units))
            given += change.low is not None
            covers_apart += change.low is not None and not change.excludes(apart)
        shares = {"earlier, %": Share(better, count), "covers p95, %": Share(covered, count)}
        yield Result(world.name, shares | {"covers difference, %": Share(covers_apart, given)})


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


def power_results(worlds: Sequence[World], count: int, seed: int) -> Iterator[Result]:
    """How often a true difference is found, and lies in its interval."""
    for world in worlds:
        drawn = draw_errors(world, max(count, TRUTH_DRAWS), seed)
        truth = float((drawn.errors[0].sum() - drawn.errors[1].sum()) / drawn.words.sum())
        changes = [difference(left, right) for left, right in ratios(drawn, count)]
        given = [change for change in changes if change.low is not None]
        shares = {"found, %": Share(sum(change.excludes_zero for change in changes), count)}
        if given:
            held = sum(not change.excludes(truth) for change in given)
            shares["covers difference, %"] = Share(held, len(given))
        yield Result(f"{world.name}: {100 * truth:.1f} points", shares)


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
    units = _units(drawn.words.shape[1], drawn.nameless, drawn.sets)
    for place, words in enumerate(drawn.words[:count]):
        yield tuple(Ratio(list(errors[place]), list(words), units, loops=True) for errors in drawn.errors)


def run(worlds: int, delay_worlds: int, seed: int) -> None:
    """Prints every table and what must hold; ``worlds`` samples of each kind, ``delay_worlds`` where it has delays."""
    print(f"Equal systems, {worlds} worlds of each kind, seed {seed}; in brackets exact 95 % intervals.\n")
    family, looks, power = (max(1, worlds // part) for part in (FAMILY_PART, LOOKS_PART, POWER_PART))
    parts: tuple[tuple[str, Iterator[Result]], ...] = (
        (ERRORS, accuracy_results(WORLDS, worlds, seed)),
        (FEWER, accuracy_results(FEW, worlds, seed)),
        ("Unknown speakers, which the verdict says", accuracy_results(UNKNOWN, worlds, seed)),
        ("Rare speakers and loops that most samples lack", accuracy_results(RARE, worlds, seed)),
        (DELAYS, delay_results(DELAY_WORLDS, delay_worlds, seed)),
        (SAME_CODE, noise_results(ROUNDS, worlds, seed)),
        (SYSTEMS, family_results((3, 5, 8), (11, 20, 50), family, seed)),
        (MANY_LOOKS, look_results(looks, seed)),
        ("Not worse by more than 2 points", non_inferiority_results((12, 20, 50), 0.02, power, seed)),
        (TRUE_DIFFERENCES, power_results(APART, power, seed)),
    )
    found: dict[str, list[Result]] = {}
    for title, results in parts:
        found[title] = list(results)
        print(f"{title}:\n\n{table(found[title])}\n", flush=True)
    print(f"Must hold, the worst kind of world for each:\n\n{goals_table(found)}\n", flush=True)


@dataclass(frozen=True, slots=True)
class Goal:
    """What must hold in every kind of world of some tables.

    Attributes:
        what: In words.
        title: The table.
        column: Its column.
        least: True where the share must be at least ``percent``, False where at most.
        percent: The bound.
        worlds: Part of the names of the kinds that count; "" for all.
    """

    what: str
    title: str
    column: str
    least: bool
    percent: float
    worlds: str = ""


GOALS = (
    Goal("equal models called different, 10 speakers or more", ERRORS, "better, %", False, 5.5),
    Goal("the same below 10 speakers", FEWER, "better, %", False, 5),
    Goal("labels of speakers missing: called different", ERRORS, "better, %", False, 5.5, "missing"),
    Goal("intervals of WER hold the truth", ERRORS, "covers WER, %", True, 93),
    Goal("intervals of a difference in WER hold it", TRUE_DIFFERENCES, "covers difference, %", True, 93),
    Goal("intervals of the p95 delay hold the truth", DELAYS, "covers p95, %", True, 93),
    Goal("intervals of a difference in p95 delay hold it", DELAYS, "covers difference, %", True, 93),
    Goal("equal p95 delays called different", DELAYS, "earlier, %", False, 5.5),
    Goal("one of 8 models far better: found", SYSTEMS, "found, %", True, 90, "one of 8"),
    Goal("any pair of 8 equal models called different", SYSTEMS, "any pair, %", False, 5.5, "8 equal"),
    Goal("the same code twice: cost or delay different", SAME_CODE, "different, %", False, 5),
    Goal("five looks counted by the gate", MANY_LOOKS, "any look, %", False, 5.5, "counted by the gate"),
)


def goals_table(found: Mapping[str, Sequence[Result]]) -> str:
    """For each goal the worst kind of world: its share, what is wanted, and whether chance explains a miss."""
    rows = ["| must hold | kinds | worst | there, % | wanted, % | holds |", "|---|---|---|---|---|---|"]
    for goal in GOALS:
        kinds = [r for r in found[goal.title] if goal.column in r.shares and goal.worlds in r.world]
        if not kinds:
            continue
        worst = (min if goal.least else max)(kinds, key=lambda result: result.shares[goal.column].percent)
        share = worst.shares[goal.column]
        low, high = share.bounds()
        is_met = share.percent >= goal.percent if goal.least else share.percent <= goal.percent
        may_be_met = high >= goal.percent if goal.least else low <= goal.percent
        holds = "yes" if is_met else "chance may explain it" if may_be_met else "NO"
        bound = f"{'at least' if goal.least else 'at most'} {goal.percent:g}"
        rows.append(f"| {goal.what} | {len(kinds)} | {worst.world} | {share} | {bound} | {holds} |")
    return "\n".join(rows)


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


def _percentiles(delays: np.ndarray, speaker: np.ndarray, units: Units) -> tuple[Percentile, Percentile]:
    left, right = (Percentile(list(values), list(speaker), TAIL, units) for values in delays)
    return left, right


def _units(count: int, nameless: int = 0, sets: int = 1) -> Units:
    """Speakers, the last ``nameless`` of which are recordings of unknown speakers, of ``sets`` data sets in turn."""
    places = np.arange(count)
    return Units(places, np.array([f"set {place % sets}" for place in places]), places >= count - nameless)
