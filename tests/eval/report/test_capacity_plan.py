"""From a measured capacity to cores and memory."""

from dataclasses import replace

import pytest

from eval.metrics.resampling import Interval
from eval.metrics.scored_trace import ScoredTrace
from eval.report.capacity_plan import Level, Wanted, carried_streams, levels_of, plan
from eval.runs.signature import Model
from eval.trace import Trace
from tests.eval.run_folders import run_of, spoken

MODEL = Model("m", threads=1)


def level(streams: int, late_s: float) -> list[Trace]:
    traces = spoken("m", "live", late_s=late_s, utterances=streams, cost=0.5)
    return [replace(trace, streams=streams, peak_memory_bytes=10**9) for trace in traces]


def test_levels_are_read_from_the_traces() -> None:
    """In rising order, each with its delay, cost and memory."""
    levels = levels_of([run_of("r", [], capacity=(*level(8, 2.0), *level(2, 0.1)))])
    assert [one.streams for one in levels] == [2, 8]
    assert levels[0].cpu == pytest.approx(0.05)
    assert levels[1].p95.value == pytest.approx(2.25, abs=0.06)
    assert carried_streams(levels, 1.5) == 2
    assert carried_streams(levels, 3.0) == 8
    assert carried_streams(levels, 0.1) == 0


def test_a_level_with_a_broken_stream_is_not_carried() -> None:
    """However fast the others were."""
    broken = [replace(trace, error="closed") for trace in level(2, 0.1)[:1]] + level(2, 0.1)[1:]
    assert carried_streams(levels_of([run_of("r", [], capacity=tuple(broken))]), 5.0) == 0


def test_a_plan_is_made_of_whole_servers() -> None:
    """A server of two cores carried 4: twenty streams need five servers, ten cores, five times the memory."""
    levels = levels_of([run_of("r", [], capacity=(*level(4, 0.1), *level(8, 4.0)))])
    planned = plan(MODEL, levels, [], Wanted(20, 1.5), cores=2)
    assert (planned.processes, planned.cores, planned.memory_bytes) == (5, 10, 5 * 10**9)
    assert "carried 4 at the same time with a p95 of" in planned.assumption
    assert "all speaking without a break" in planned.assumption


def test_a_plan_says_what_was_not_tried() -> None:
    """The last level was carried: there may be room."""
    levels = levels_of([run_of("r", [], capacity=tuple(level(4, 0.1)))])
    assert "more than 4 were not tried" in plan(MODEL, levels, [], Wanted(4, 1.5), 2).assumption


def test_a_model_that_is_too_slow_has_no_plan() -> None:
    """Machines beside each other do not make one stream faster."""
    levels = levels_of([run_of("r", [], capacity=tuple(level(1, 4.0)))])
    planned = plan(MODEL, levels, [], Wanted(200, 1.5), 2)
    assert planned.cores is None
    assert "had a p95 of" in planned.assumption


def test_without_a_capacity_the_plan_rests_on_cost_alone() -> None:
    """0.1 CPU-s per audio-s, cores 70 % busy: seven streams a core; the delay is not promised."""
    scored = [ScoredTrace(trace) for trace in spoken("m")]
    planned = plan(MODEL, [], scored, Wanted(70, 1.5), cores=2)
    assert planned.cores == 10
    assert "the delay is not promised" in planned.assumption


def test_a_plan_does_not_promise_what_one_stream_missed() -> None:
    """The table beside it has a p95 above the wanted one: more cores make no stream faster."""
    slow = [ScoredTrace(trace) for trace in spoken("m", late_s=3.0)]
    planned = plan(MODEL, [], slow, Wanted(70, 1.5), cores=2)
    assert planned.cores is None
    assert planned.headline.startswith("m: no plan for 70 streams at a p95 of 1.5 s: one stream alone had a p95 of 3.")
    promised = plan(MODEL, [], [ScoredTrace(trace) for trace in spoken("m")], Wanted(70, 1.5), cores=2)
    assert promised.headline == "m: 10 cores and 954 MB for 70 streams, by CPU time alone."


def test_a_capacity_says_which_figure_beside_it_is_of_another_mode() -> None:
    """The server carried the streams within the limit, the replay of the first table did not keep it."""
    slow = [ScoredTrace(trace) for trace in spoken("m", late_s=3.0)]
    levels = [at(4, 1.9)]
    planned = plan(MODEL, levels, slow, Wanted(4, 2.0), 2)
    assert planned.cores == 2
    assert "(1.42 to 2.85, which reaches beyond the limit)" in planned.assumption
    assert "s in the first table is of replay, not of this server" in planned.assumption


def test_one_shot_cost_is_no_plan_for_streams() -> None:
    """Streaming costs several times as much."""
    planned = plan(MODEL, [], [ScoredTrace(trace) for trace in spoken("m", "offline")], Wanted(70, 1.5), cores=2)
    assert planned.cores is None
    assert "only one-shot cost was measured" in planned.assumption


def test_one_disturbed_level_does_not_end_the_search() -> None:
    """p95 1.4, 2.1 and 1.6 s at 1, 4 and 8 streams: 4 cannot be slower than 8, so 8 are carried within 2 s."""
    assert carried_streams([at(1, 1.4), at(4, 2.1), at(8, 1.6)], 2.0) == 8
    assert carried_streams([at(1, 1.4), at(4, 3.1), at(8, 1.6)], 2.0) == 1
    assert carried_streams([at(1, 1.62), at(4, 2.72), at(8, 6.24)], 2.0) == 1
    assert carried_streams([at(1, 1.4), at(4, 1.5, failed=1), at(8, 1.6)], 2.0) == 1


def test_a_plan_says_how_coarse_its_levels_are() -> None:
    """One stream was carried, four were not: the truth may be three."""
    planned = plan(MODEL, [at(1, 1.6), at(4, 2.7)], [], Wanted(200, 2.0), 2)
    assert planned.cores == 400
    assert "and not 4 (nothing between was tried: the need may be as low as 134 cores)" in planned.assumption
    assert "with a p95 of 1.60 s (1.20 to 2.40, which reaches beyond the limit)" in planned.assumption


def test_a_broken_stream_is_the_reason() -> None:
    """Not a delay that was within the limit."""
    planned = plan(MODEL, [at(1, 1.9, failed=1)], [], Wanted(200, 2.0), 2)
    assert "1 of 1 streams at the same time broke" in planned.assumption


def at(streams: int, p95_s: float, failed: int = 0) -> Level:
    """A level with this p95, 25 % less to 50 % more."""
    p95 = Interval(p95_s, 0.75 * p95_s, 1.5 * p95_s)
    return Level("m", streams, failed, p95, p95, 0.05, 10**9)
