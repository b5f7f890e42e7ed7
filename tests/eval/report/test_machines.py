"""`asr eval plan`: from measured steps to machines, where the truth is known."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.errors import ConfigError
from eval.report.lane_simulation import Measured, Steps, lane_waits, p95_s
from eval.report.machines import LANES, LOOP, MEMORY, NETWORK, capacity_of, plan, read_result, steps_of
from tests.eval.run_folders import spoken, write_run

EACH_S, APART_S = 0.02, 0.5
FULL = 25
"""Streams that fill a lane: each takes 0.02 s of it in every 0.5 s of its audio."""
MAX_BATCH = 16
LIMITS_S = [0.01, 0.02, 0.04, 0.08]


def level(
    streams: int, p95_s: float = 0.8, *, failed: int = 0, loop: float = 0.001, each_s: float = EACH_S
) -> dict[str, Any]:
    """A level with slices of 5 s whose cost changes a little from one to the next, each step with one stream."""
    slices = []
    for number in range(12):
        steps, cost = streams * 5 / APART_S, each_s * (1 + 0.05 * np.sin(number))
        slices.append(
            {
                "audio_s": 5.0 * streams,
                "steps": steps,
                "step_s": steps * cost,
                "stream_steps": steps,
                "loop_cpu_s": loop * 5 * streams,
                "step_counts": [0, steps / 2, steps / 2, 0],
                "step_limits_s": LIMITS_S,
            }
        )
    figures = {"stable_p50": 0.5, "stable_p95": p95_s, "stable_p99": p95_s, "cpu": each_s / APART_S}
    about = {"streams": streams, "model": "m", "failed": failed, "figures": figures, "load": slices}
    return about | {"peak_memory_bytes": 10**9 + 10**7 * streams}


def bench(folder: Path, *levels: dict[str, Any], lanes: int = 2, memory_gb: int = 100) -> Path:
    """A file as `asr bench server` prints it: a table, then its JSON line."""
    machine = {"cpu": "a cpu", "cores": lanes, "system": "Linux"}
    about = {"lanes": lanes, "machine_memory_bytes": memory_gb * 10**9, "signature": {"machine": machine}}
    file = folder / "bench.txt"
    file.write_text("a table\n" + json.dumps({"bench": "server", "levels": levels} | about) + "\n")
    return file


def test_a_full_lane_is_where_the_waits_grow() -> None:
    """Below, nobody waits for long."""
    steps = Steps(EACH_S, np.ones(1), APART_S, MAX_BATCH)
    waits = {n: float(np.percentile(lane_waits(n, steps, np.random.default_rng(1)), 95)) for n in (1, 15, 22, 30)}
    assert waits[1] == pytest.approx(EACH_S)
    assert waits[15] < 0.1
    assert waits[22] < 0.4
    assert waits[30] > APART_S


@pytest.mark.parametrize("over", [1.2, 1.6, 2.0])
@pytest.mark.parametrize("audio_s", [20.0, 60.0])
def test_a_lane_with_more_work_than_time_falls_behind_as_long_as_it_lasts(over: float, audio_s: float) -> None:
    """Its streams' last audio is done when all of the work is: `over` times as late as it came."""
    steps = Steps(EACH_S, np.ones(1), APART_S, MAX_BATCH)
    waits = lane_waits(round(over * FULL), steps, np.random.default_rng(1), audio_s)
    assert waits.max() == pytest.approx(audio_s * (over - 1), rel=0.1)


def test_a_step_takes_no_more_streams_than_the_settings_say() -> None:
    """Larger batches give longer waits, since all of a batch are ready together."""
    small, large = (
        float(lane_waits(24, Steps(EACH_S, np.ones(1), APART_S, most), np.random.default_rng(1)).mean())
        for most in (1, 16)
    )
    assert small < large


def test_no_audio_is_lost_in_the_simulation() -> None:
    """Each stream's pieces of audio all come out, also where the lane is too slow."""
    for streams in (20, 40):
        waits = lane_waits(streams, Steps(EACH_S, np.ones(1), APART_S, MAX_BATCH), np.random.default_rng(1))
        assert len(waits) == pytest.approx(streams * 0.8 * 60 / APART_S, rel=0.05)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_plan_keeps_the_limit_and_a_tenth_fewer_machines_do_not(tmp_path: Path, seed: int) -> None:
    """Two lanes of 25 streams each: a thousand streams fill twenty machines. Seen by a simulation of other chances."""
    result = read_result(bench(tmp_path, level(10, 0.8), level(80, 3.0)))
    planned = plan(1000, capacity_of(result, 1.2, 1000.0), result.lanes)
    assert 1000 / (2 * FULL) <= planned.machines <= 1.12 * 1000 / (2 * FULL) + 1
    assert planned.low <= planned.machines <= planned.high
    assert planned.first == LANES
    steps, measured = steps_of(result.load[0]), Measured(10, 2, (0.0, 0.5, 0.8, 0.8, 0.8))
    assert p95_s(1000, 2 * planned.machines, steps, measured, seed) <= 1.2 * 1.05
    assert p95_s(1000, 2 * (planned.machines - planned.machines // 10), steps, measured, seed) > 1.2
    assert planned.p95_s is not None
    assert planned.p95_with_fewer_s is not None
    assert planned.p95_s <= 1.2 < planned.p95_with_fewer_s


def test_machines_grow_with_the_streams(tmp_path: Path) -> None:
    """Ten streams need one; a hundred times as many need a hundred times as many machines, but for rounding."""
    result = read_result(bench(tmp_path, level(10), level(60, 3.0)))
    capacity = capacity_of(result, 1.2, 1000.0)
    few, many, most = (plan(n, capacity, result.lanes).machines for n in (10, 1000, 100_000))
    assert few == 1
    assert 100 * (many - 1) < most <= 100 * many


@pytest.mark.parametrize(
    ("first", "levels", "memory_gb", "network_mbit"),
    [
        (LOOP, (level(10, loop=0.04), level(60, 3.0)), 100, 1000.0),
        (MEMORY, (level(10), level(60, 3.0)), 2, 1000.0),
        (NETWORK, (level(10), level(60, 3.0)), 100, 5.0),
        (LANES, (level(10), level(60, 3.0)), 100, 1000.0),
    ],
)
def test_what_saturates_first(
    tmp_path: Path, first: str, levels: tuple[dict[str, Any], ...], memory_gb: int, network_mbit: float
) -> None:
    """The loop: 0.04 s a second of 0.7 are 17 streams. Memory: 0.4 GB above the first 1 GB, 10 MB each, are 40."""
    result = read_result(bench(tmp_path, *levels, memory_gb=memory_gb))
    capacity = capacity_of(result, 1.2, network_mbit)
    assert plan(1000, capacity, result.lanes).first == first
    streams = {bound.name: bound.streams for bound in capacity.bounds}
    expected = {LOOP: 17, MEMORY: 40, NETWORK: 10}
    assert streams[first] == expected.get(first, streams[first])


def test_no_machine_is_planned_with_as_many_streams_as_were_too_many(tmp_path: Path) -> None:
    """The spread of the costs alone would allow more than 32, which were measured not to be carried."""
    capacity = capacity_of(read_result(bench(tmp_path, level(10), level(32, 3.0))), 1.2, 1000.0)
    assert (capacity.bounds[0].name, capacity.bounds[0].high) == (LANES, 31)


def test_where_no_level_failed_the_simulation_goes_a_little_further(tmp_path: Path) -> None:
    """Three streams of fifty were tried: not more than four times as many are planned for a machine."""
    result = read_result(bench(tmp_path, level(3)))
    capacity = capacity_of(result, 1.2, 1000.0)
    assert {bound.name: bound.streams for bound in capacity.bounds}[LANES] == 12
    assert any("more were not tried" in line for line in capacity.assumptions)


def test_a_plan_without_step_times_lies_between_the_levels(tmp_path: Path) -> None:
    """An older result: 10 were carried, 20 were not. Nothing is simulated, and that is said."""
    result = read_result(bench(tmp_path, level(10) | {"load": []}, level(20, 3.0) | {"load": []}))
    capacity = capacity_of(result, 1.2, 1000.0)
    planned = plan(1000, capacity, result.lanes)
    assert capacity.bounds[0].high == 19
    assert (planned.machines, planned.low, planned.high, planned.p95_s) == (100, 53, 100, None)
    assert any("no step times were measured" in line for line in capacity.assumptions)


def test_a_run_has_its_capacity_or_its_live_streams(tmp_path: Path) -> None:
    """Four at the same time, with 0.25 s of delay."""
    live = [replace(trace, streams=4) for trace in spoken("m", "live")]
    for name, run in (("a", write_run(tmp_path / "a", live)), ("b", write_run(tmp_path / "b", [], live))):
        result = read_result(run)
        assert [one.streams for one in result.levels] == [4], name
        assert plan(10, capacity_of(result, 1.2, 1000.0), result.lanes).machines == 3


def test_the_command_prints_tables_or_json(asr, tmp_path: Path, capsys) -> None:
    """The same numbers."""
    file = bench(tmp_path, level(10), level(60, 3.0))
    assert asr("eval", "plan", file, "--p95", "1.2", "--streams", "10,1000") == 0
    shown = capsys.readouterr().out
    assert "saturates first" in shown
    assert "speak without a break" in shown
    assert asr("eval", "plan", file, "--p95", "1.2", "--streams", "10,1000", "--json") == 0
    table = json.loads(capsys.readouterr().out)
    assert [row["streams"] for row in table["plans"]] == [10, 1000]
    assert str(table["plans"][1]["machines"]) in shown
    assert {bound["name"] for bound in table["bounds"]} == {LANES, LOOP, MEMORY, NETWORK}


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        (None, (), "cannot be read"),
        ("nothing\n", (), "has no result of `asr bench server`"),
        ("{broken\n", (), "has no result of `asr bench server`"),
        ('{"bench": "engine"}\n', (), "a result of bench engine"),
        ('{"bench": "server", "levels": 3}\n', (), "has no result of `asr bench server`"),
        ("good", ("--streams", "ten"), "wanted numbers above 0"),
        ("good", ("--p95", "0.5"), "had a p95 of 0.80 s, and more machines make no stream faster"),
        ("good", ("--network-mbit", "0"), "network-mbit"),
        ("empty", (), "no level was measured"),
    ],
)
def test_bad_input_is_one_sentence(
    asr, tmp_path: Path, capsys, content: str | None, options: tuple[str, ...], says: str
) -> None:
    """What was found, and what is wanted."""
    file = tmp_path / "bench.txt"
    if content in ("good", "empty"):
        bench(tmp_path, *([level(10)] if content == "good" else []))
    elif content is not None:
        file.write_text(content)
    assert asr("eval", "plan", file, *options) == 2
    error = capsys.readouterr().err
    assert says in error
    assert "Traceback" not in error


@pytest.mark.parametrize("value", ["x", -1, [], float("nan")])
def test_a_slice_that_is_none_is_refused(tmp_path: Path, value: object) -> None:
    """Each of its fields by itself."""
    for field in level(10)["load"][0]:
        spoilt = level(10)
        spoilt["load"][0][field] = value
        with pytest.raises(ConfigError, match="has no result of `asr bench server`"):
            read_result(bench(tmp_path, spoilt))


def test_a_folder_without_live_streams_is_refused(asr, tmp_path: Path, capsys) -> None:
    """One-shot cost is no plan for streams."""
    assert asr("eval", "plan", write_run(tmp_path / "r", spoken("m", "offline"))) == 2
    assert "wanted those of one" in capsys.readouterr().err
    assert asr("eval", "plan", tmp_path) == 2
    assert "found no run.json" in capsys.readouterr().err
