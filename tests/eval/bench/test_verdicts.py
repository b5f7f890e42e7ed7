"""The verdict on made-up worlds with a known truth; small here, large by `asr bench verdicts --worlds 4000`."""

import pytest
from scipy import stats

from asr.cli import run as asr
from eval.bench.machine_noise import NOISES, noise_results
from eval.bench.shares import Result, Share, table
from eval.bench.verdicts import (
    DELAYS,
    ERRORS,
    FEWER,
    GOALS,
    MANY_LOOKS,
    SAME_CODE,
    SYSTEMS,
    TRUE_DIFFERENCES,
    accuracy_results,
    delay_results,
    family_results,
    goals_table,
    look_results,
    non_inferiority_results,
    power_results,
)
from eval.bench.worlds import APART, DELAY_WORLDS, FEW, UNKNOWN, WORLDS, World

COUNT = 300
QUICK = [world for world in WORLDS if world.units <= 40 and world.speakers * world.recordings <= 250]
QUICK += [
    world
    for world in WORLDS
    if world.name in ("20 speakers, 60 labels missing of 200", "200 speakers x 1, one system loops in 1 %")
]


def is_at_most(share: Share, percent: float) -> bool:
    """True unless chance (one in a thousand) does not explain that it is more."""
    return bool(stats.binom.sf(share.count - 1, share.of, percent / 100) > 0.001)


@pytest.mark.slow
@pytest.mark.parametrize("world", QUICK, ids=lambda world: world.name)
def test_equal_systems_are_seldom_called_different_and_intervals_cover(world: World) -> None:
    """At most 5 % of verdicts are wrong, and at least 93 % of the intervals of WER hold the truth."""
    (result,) = accuracy_results([world], COUNT, seed=16)
    assert is_at_most(result.shares["better, %"], 5)
    covered = result.shares["covers WER, %"]
    assert is_at_most(Share(covered.of - covered.count, covered.of), 7)


@pytest.mark.parametrize("name", ["10 speakers in 5 sets, unequally hard", "12 speakers in 3 sets, unequally hard"])
def test_intervals_cover_where_sets_have_few_speakers(name: str) -> None:
    """The rate of a set follows its two speakers: with five such sets 87 % were covered."""
    (world,) = (each for each in WORLDS if each.name == name)
    (result,) = accuracy_results([world], 800, seed=5)
    assert result.shares["covers WER, %"].percent >= 93


@pytest.mark.parametrize("world", FEW, ids=lambda world: world.name)
def test_few_speakers_are_called_different_no_more_often(world: World) -> None:
    """With speakers resampled as recordings it was 20 to 58 %. Below six speakers nothing is claimed."""
    (result,) = accuracy_results([world], COUNT, seed=16)
    assert is_at_most(result.shares["better, %"], 5)
    assert ("covers WER, %" in result.shares) == (world.speakers >= 6)
    if world.speakers < 6:
        assert result.shares["better, %"].count == 0


@pytest.mark.slow
@pytest.mark.parametrize("world", [DELAY_WORLDS[0], DELAY_WORLDS[4]], ids=lambda world: world.name)
def test_the_p95_of_delays_is_covered(world: World) -> None:
    """It was 56 to 90 %."""
    (result,) = delay_results([world], 60, seed=16)
    covered = result.shares["covers p95, %"]
    assert is_at_most(Share(covered.of - covered.count, covered.of), 7)
    assert is_at_most(result.shares["earlier, %"], 5)


@pytest.mark.slow
def test_a_difference_in_p95_that_grows_with_the_delay_is_covered() -> None:
    """Ten speakers a factor of 2 apart: 90 % from half-samples alone, as the slowest speakers are seldom among them."""
    (result,) = delay_results([DELAY_WORLDS[4]], 200, seed=5)
    covered = result.shares["covers difference, %"]
    assert covered.percent >= 94


@pytest.mark.slow
@pytest.mark.parametrize("world", [APART[1], APART[4], *APART[12:16]], ids=lambda world: world.name)
def test_the_interval_of_a_difference_holds_it(world: World) -> None:
    """At least 93 % do, with speakers of unequal size, heavy tails, and one with half of all recordings."""
    (result,) = power_results([world], 60, seed=16)
    covered = result.shares["covers difference, %"]
    assert is_at_most(Share(covered.of - covered.count, covered.of), 7)


def test_the_same_code_is_seldom_called_different_on_any_machine() -> None:
    """Three, five and seven repeats; noise of two values, with heavy tails, in bursts, with a drift."""
    results = [result for result in noise_results((3, 5, 7), 200, seed=16) if "different, %" in result.shares]
    assert len(results) == 3 * len(NOISES)
    assert all(is_at_most(result.shares["different, %"], 5) for result in results)


def test_what_must_hold_is_judged_by_the_worst_world() -> None:
    """At most, at least, explained by chance, and not held."""
    columns = {goal.title: {} for goal in GOALS} | {
        ERRORS: {"better, %": Share(50, 1000), "covers WER, %": Share(85, 100)},
        FEWER: {"better, %": Share(6, 100)},
        DELAYS: {"covers p95, %": Share(95, 100)},
    }
    calm = {"better, %": Share(0, 9000), "covers WER, %": Share(100, 100)}
    found = {title: [Result("wild", shares)] for title, shares in columns.items()}
    found[ERRORS].append(Result("calm", calm))
    rows = goals_table(found).splitlines()[2:]
    verdicts = {row.split(" | ")[0].removeprefix("| "): row.split(" | ")[-1].removesuffix(" |") for row in rows}
    assert verdicts["equal models called different, 10 speakers or more"] == "yes"
    assert verdicts["intervals of WER hold the truth"] == "NO"
    assert verdicts["the same below 10 speakers"] == "chance may explain it"
    assert verdicts["intervals of the p95 delay hold the truth"] == "yes"
    assert all("| wild |" in row for row in rows)
    assert {goal.title for goal in GOALS} == {ERRORS, FEWER, DELAYS, SAME_CODE, SYSTEMS, MANY_LOOKS, TRUE_DIFFERENCES}


@pytest.mark.slow
def test_one_far_better_system_of_eight_is_found() -> None:
    """28 pairs: no p has a floor that Holm's correction cannot pass; equal systems are seldom called different."""
    equal, apart = family_results([8], [11], 100, seed=16)
    assert apart.shares["found, %"].percent >= 90
    assert is_at_most(equal.shares["any pair, %"], 5)


@pytest.mark.slow
def test_several_looks_are_corrected_for() -> None:
    """Five looks call equal systems different at most in 5 % with the correction, and far more often without."""
    once, *corrected = look_results(200, seed=16)
    for way in corrected:
        assert is_at_most(way.shares["any look, %"], 5)
        assert once.shares["any look, %"].count > way.shares["any look, %"].count


@pytest.mark.slow
def test_what_is_worse_by_the_limit_does_not_pass_as_not_worse() -> None:
    """In at most 2.5 % of worlds, one side of the interval; equal systems pass."""
    worse, equal = non_inferiority_results([20], 0.02, 60, seed=16)
    assert is_at_most(worse.shares["passed, %"], 2.5)
    assert equal.shares["passed, %"].percent > 50


@pytest.mark.parametrize(("count", "of"), [(0, 50), (3, 50), (50, 50), (101, 2000)])
def test_the_intervals_of_the_table_are_exact(count: int, of: int) -> None:
    """Clopper and Pearson's, by scipy."""
    exact = stats.binomtest(count, of).proportion_ci(0.95, "exact")
    assert Share(count, of).bounds() == pytest.approx((100 * exact.low, 100 * exact.high))


def test_the_table_has_a_row_for_each_world() -> None:
    """With what was not given where it was not."""
    lines = table(list(accuracy_results([FEW[0], FEW[2]], 2, seed=1))).splitlines()
    assert lines[0] == "| world | better, % | covers WER, % |"
    assert lines[2].endswith("not given |")
    assert lines[3].startswith("| 6 speakers")


@pytest.mark.slow
def test_the_command_prints_every_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of one world for each table is enough to see that it runs."""
    kinds = {
        "WORLDS": WORLDS[:1],
        "FEW": FEW[:1],
        "UNKNOWN": UNKNOWN[:1],
        "DELAY_WORLDS": DELAY_WORLDS[:1],
        "APART": APART[9:10],
    }
    for name, worlds in kinds.items():
        monkeypatch.setattr(f"eval.bench.verdicts.{name}", worlds)
    assert asr(["bench", "verdicts", "--worlds", "1", "--delay-worlds", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(world.name in shown for (world,) in kinds.values())
    for row in ("one of 8 far better", "counted by the gate", "worse by 2.0", "76 speakers", "3 repeats, bursts"):
        assert row in shown
    assert shown.count("| yes |") + shown.count("| NO |") + shown.count("| chance may explain it |") == len(GOALS) - 1
