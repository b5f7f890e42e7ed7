"""From a measured capacity to cores and memory."""

from dataclasses import replace

import pytest

from eval.metrics.scored_trace import ScoredTrace
from eval.report.capacity_plan import Wanted, carried_streams, levels_of, plan
from eval.runs.signature import Model
from eval.trace import Trace
from tests.eval.run_folders import run_of, spoken

MODEL = Model("m", threads=1)


def level(streams: int, late_s: float) -> list[Trace]:
    told = spoken("m", "live", late_s=late_s, utterances=streams, cost=0.5)
    return [replace(trace, streams=streams, peak_memory_bytes=10**9) for trace in told]


def test_levels_are_read_from_the_traces() -> None:
    """In rising order, each with its delay, cost and memory."""
    found = levels_of([run_of("r", [], capacity=(*level(8, 2.0), *level(2, 0.1)))])
    assert [one.streams for one in found] == [2, 8]
    assert found[0].cpu == pytest.approx(0.05)
    assert found[1].p95.value == pytest.approx(2.25, abs=0.06)
    assert carried_streams(found, 1.5) == 2
    assert carried_streams(found, 3.0) == 8
    assert carried_streams(found, 0.1) == 0


def test_a_level_with_a_broken_stream_is_not_carried() -> None:
    """However fast the others were."""
    broken = [replace(trace, error="closed") for trace in level(2, 0.1)[:1]] + level(2, 0.1)[1:]
    assert carried_streams(levels_of([run_of("r", [], capacity=tuple(broken))]), 5.0) == 0


def test_a_plan_is_made_of_whole_servers() -> None:
    """One of two cores carried 4: twenty streams are five servers, ten cores, five times the memory."""
    levels = levels_of([run_of("r", [], capacity=(*level(4, 0.1), *level(8, 4.0)))])
    found = plan(MODEL, levels, [], Wanted(20, 1.5), cores=2)
    assert (found.processes, found.cores, found.memory_bytes) == (5, 10, 5 * 10**9)
    assert "carried 4 at the same time, all speaking" in found.assumption


def test_what_was_not_tried_is_said() -> None:
    """The last level was carried: there may be room."""
    levels = levels_of([run_of("r", [], capacity=tuple(level(4, 0.1)))])
    assert "more than 4 were not tried" in plan(MODEL, levels, [], Wanted(4, 1.5), 2).assumption


def test_a_model_that_is_too_slow_has_no_plan() -> None:
    """Machines beside each other do not make one stream faster."""
    levels = levels_of([run_of("r", [], capacity=tuple(level(1, 4.0)))])
    found = plan(MODEL, levels, [], Wanted(200, 1.5), 2)
    assert found.cores is None
    assert "had a p95 of" in found.assumption


def test_without_a_capacity_the_cost_alone_is_planned_with() -> None:
    """0.1 CPU-s per audio-s, cores 70 % busy: seven streams a core; the delay is not promised."""
    scored = [ScoredTrace(trace) for trace in spoken("m")]
    found = plan(MODEL, [], scored, Wanted(70, 1.5), cores=2)
    assert found.cores == 10
    assert "the delay is not promised" in found.assumption
