"""How many machines a number of streams needs, and what saturates first: `asr eval plan`.

From the levels of `asr bench server`: a machine's streams are those that it carried (`eval.report.capacity_plan`), and
more as far as the simulation of its lanes (`eval.report.lane_simulation`) keeps the delay. Event loop, memory and
network each have a number of streams of their own; the smallest counts.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from eval.html.formatting import number, plural
from eval.metrics.catalogue import CPU, STABLE_P50, STABLE_P95, STABLE_P99
from eval.metrics.resampling import Interval, Ratio, Units, interval
from eval.report.capacity_plan import TARGET_LOAD, Level, carried_streams, levels_of, why_not_carried
from eval.report.lane_simulation import SIMULATED_S, Measured, Steps, p95_s
from eval.runs.folder import Run, read_run
from eval.runs.server_load import LoadSlice
from eval.runs.setup import console, parse_counts
from eval.trace import LIVE
from server.config import load_settings

UNTRIED = 4
"""Where no level failed, the simulation is trusted up to this many times the most streams that were carried."""
MESSAGES = 1.25
"""Bytes on the network over those of the audio: headers, and the answers."""
LANES, LOOP, MEMORY, NETWORK = "CPU", "event loop", "memory", "network"


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on one machine.

    Attributes:
        levels: Numbers of streams, rising, and the service that they got.
        p99_s: 99th percentile of the delay of each level, in seconds; None where it was not measured.
        load: What the server did during each level.
        lanes: Workers that served.
        memory_bytes: Memory of the machine; None where unknown.
        machine: The machine in words.
    """

    levels: tuple[Level, ...]
    p99_s: tuple[float | None, ...]
    load: tuple[tuple[LoadSlice, ...], ...]
    lanes: int
    memory_bytes: int | None
    machine: str


@dataclass(frozen=True, slots=True)
class Bound:
    """The streams that one machine carries before this is used up, with a 95 % interval."""

    name: str
    streams: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """The machines for a number of streams.

    Attributes:
        streams: Streams at the same time.
        machines: Machines like the measured one.
        low: Lower end of the 95 % interval.
        high: Its upper end.
        first: What saturates first.
        p95_s: Simulated p95 of the words' delay with these machines, in seconds; None where no step times were
            measured.
        p95_with_fewer_s: The same with a tenth fewer machines; None too where there are fewer than ten.
    """

    streams: int
    machines: int
    low: int
    high: int
    first: str
    p95_s: float | None
    p95_with_fewer_s: float | None


@dataclass(frozen=True, slots=True)
class Capacity:
    """One machine: what bounds its streams, the simulation of its delay if there is one, and what was assumed."""

    bounds: tuple[Bound, ...]
    delay: Callable[..., float] | None
    assumptions: tuple[str, ...]


def print_plan(path: Path, streams: str, limit_s: float, network_mbit: float, as_json: bool) -> None:
    """`asr eval plan`. Raises `ConfigError` with one sentence."""
    counts, result = parse_counts(streams), read_result(path)
    capacity = capacity_of(result, limit_s, network_mbit)
    plans = [plan(count, capacity, result.lanes) for count in counts]
    if as_json:
        table = {
            "machine": result.machine,
            "p95_s": limit_s,
            "plans": [asdict(each) for each in plans],
            "bounds": [asdict(each) for each in capacity.bounds],
            "assumptions": capacity.assumptions,
        }
        print(json.dumps(table, ensure_ascii=False))
        return
    console().print(_plans_table(plans, result, limit_s))
    console().print(_bounds_table(capacity.bounds))
    for line in capacity.assumptions:
        console().print(f"- {line}", highlight=False, soft_wrap=True)


def read_result(path: Path) -> Result:
    """The result in a file that `asr bench server` printed, or in a run's folder. Raises `ConfigError`."""
    if path.is_dir():
        return _of_run(read_run(path), path)
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); name the output of `asr bench server`") from None
    try:
        table = json.loads(lines[-1])
        if table["bench"] != "server":
            raise ValueError(f"a result of bench {table['bench']}")
        return _of_bench(table)
    except (AttributeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{path} has no result of `asr bench server` ({error!r}); save one: asr bench server ... > FILE"
        ) from None


def _of_bench(table: Mapping[str, Any]) -> Result:
    rows = sorted(table["levels"], key=lambda row: int(row["streams"]))
    slices = ((_slice(each) for each in row.get("load", ())) for row in rows)
    load = tuple(tuple(each for each in some if each.stream_steps > 0 and each.audio_s > 0) for some in slices)
    machine = table["signature"]["machine"]
    return Result(
        levels=tuple(_level(row) for row in rows),
        p99_s=tuple(_number(row["figures"].get(STABLE_P99.key)) for row in rows),
        load=load,
        lanes=_count(table.get("lanes") or machine["cores"]),
        memory_bytes=_whole(table.get("machine_memory_bytes")),
        machine=f"{machine['cpu']}, {machine['cores']} cores",
    )


def _level(row: Mapping[str, Any]) -> Level:
    figures = row["figures"]
    p50, p95 = (Interval(_number(figures[metric.key])) for metric in (STABLE_P50, STABLE_P95))
    counts = _count(row["streams"]), int(row["failed"])
    return Level(row["model"], *counts, p50, p95, _number(figures[CPU.key]), _whole(row["peak_memory_bytes"]))


def _slice(table: Mapping[str, Any]) -> LoadSlice:
    """Raises `TypeError` and `ValueError` for what is no slice."""
    lists = ("step_counts", "step_limits_s")
    fields: dict[str, Any] = {k: tuple(map(float, v)) if k in lists else _number(v) for k, v in table.items()}
    read = LoadSlice(**fields)
    sums = (read.audio_s, read.steps, read.step_s, read.stream_steps, *read.step_counts, *read.step_limits_s)
    sums += (read.loop_cpu_s or 0.0,)
    if not read.step_counts or len(read.step_counts) != len(read.step_limits_s) or min(sums) < 0:
        raise ValueError(f"found {table}, wanted sums above 0 and as many counts as limits")
    return read


def _number(value: Any) -> float | None:
    """A finite number, or None. Raises `TypeError` and `ValueError` for anything else."""
    if value is not None and not math.isfinite(value):
        raise ValueError(f"found {value}, wanted a number")
    return None if value is None else float(value)


def _whole(value: Any) -> int | None:
    number_of = _number(value)
    return None if number_of is None else int(number_of)


def _count(value: Any) -> int:
    if int(value) < 1:
        raise ValueError(f"found {value}, wanted 1 or more")
    return int(value)


def _of_run(run: Run, path: Path) -> Result:
    """The levels of `--capacity`, or the live streams. Their steps are not in a run."""
    live = run.capacity or tuple(trace for trace in run.traces if trace.mode == LIVE)
    levels = levels_of([replace(run, capacity=live)])
    models = sorted({level.model for level in levels})
    if len(models) != 1:
        raise ConfigError(
            f"found live streams of {plural(len(models), 'model')} in {path}, wanted those of one "
            "(asr eval run --capacity 1,4,8, or --mode live)"
        )
    machine = run.signature.machine
    nothing = (None,) * len(levels), ((),) * len(levels)
    return Result(levels, *nothing, machine.cores, None, f"{machine.cpu}, {machine.cores} cores")


def capacity_of(result: Result, limit_s: float, network_mbit: float) -> Capacity:
    """What bounds the streams of one machine. Raises `ConfigError` where it carried none."""
    most = carried_streams(result.levels, limit_s)
    if not most:
        why = why_not_carried(result.levels[0]) if result.levels else "no level was measured"
        raise ConfigError(f"no plan for a p95 of {limit_s:g} s: {why}, and more machines make no stream faster")
    at = next(number for number, level in enumerate(result.levels) if level.streams == most)
    delay = _delay(result, at)
    cpu, how = _cpu_bound(result, at, limit_s, delay)
    bounds = [cpu, *_loop_bound(result.load[at]), *_memory_bound(result)]
    a_stream = 16 * SAMPLE_RATE_HZ * MESSAGES / 1e6
    count = int(TARGET_LOAD * network_mbit / a_stream)
    bounds.append(Bound(NETWORK, count, count, count))
    return Capacity(tuple(bounds), delay, (*how, *_assumptions(bounds, a_stream, network_mbit)))


def plan(streams: int, capacity: Capacity, lanes: int) -> MachinePlan:
    """The machines for this number of streams: the bound with the fewest streams on a machine counts."""
    first = min(capacity.bounds, key=lambda bound: bound.streams)
    per_machine = first.streams, min(b.high for b in capacity.bounds), min(b.low for b in capacity.bounds)
    machines, low, high = (math.ceil(streams / each) for each in per_machine)
    fewer = machines - machines // 10
    p95 = fewer_p95 = None
    if capacity.delay is not None:
        p95 = capacity.delay(streams, machines * lanes)
        fewer_p95 = capacity.delay(streams, fewer * lanes) if fewer < machines else None
    return MachinePlan(streams, machines, low, high, first.name, p95, fewer_p95)


def steps_of(slices: Sequence[LoadSlice]) -> Steps:
    """The steps of a lane, from some seconds of a server."""
    step_s, stream_steps, audio_s = (sum(getattr(s, n) for s in slices) for n in ("step_s", "stream_steps", "audio_s"))
    return Steps(step_s / stream_steps, _factors(slices), audio_s / stream_steps, load_settings().max_batch)


def _factors(slices: Sequence[LoadSlice], drawn: int = 2000) -> np.ndarray:
    """Step times over their mean, from the histogram: alike within a bucket."""
    limits = np.array(slices[0].step_limits_s)
    counts = np.array([s.step_counts for s in slices]).sum(axis=0)
    if not counts.sum():
        return np.ones(1)
    lows = np.concatenate([[0.0], limits[:-1]])
    places = (np.arange(drawn) + 0.5) / drawn * counts.sum()
    bucket = np.searchsorted(counts.cumsum(), places)
    inside = (places - (counts.cumsum() - counts)[bucket]) / counts[bucket]
    times: np.ndarray = lows[bucket] + inside * (limits - lows)[bucket]
    factors: np.ndarray = times / times.mean()
    return factors


def _delay(result: Result, at: int) -> Callable[..., float] | None:
    """The simulated p95 for (streams, lanes[, seconds of audio in each stream]), from the level that was carried; None
    where it has no step times."""
    level, slices, p99_s = result.levels[at], result.load[at], result.p99_s[at]
    p50_s, p95 = level.p50.value, level.p95.value
    if not slices or p50_s is None or p95 is None:
        return None
    tail = max(p95, p99_s or p95)
    steps, measured = steps_of(slices), Measured(level.streams, result.lanes, (0.0, p50_s, p95, tail, tail))
    return lambda streams, lanes, audio_s=SIMULATED_S: p95_s(streams, lanes, steps, measured, audio_s=audio_s)


def _cpu_bound(
    result: Result, at: int, limit_s: float, delay: Callable[..., float] | None
) -> tuple[Bound, tuple[str, ...]]:
    """The streams whose words are in time, and where the number comes from."""
    most = result.levels[at].streams
    above = next((level.streams for level in result.levels if level.streams > most), None)
    ends = f"{most} at the same time were carried, " + (f"not {above}" if above else "more were not tried")
    if delay is None:
        high = above - 1 if above else most
        return Bound(LANES, most, most, high), (
            f"{ends}; no step times were measured, so the interval is what lies between the levels and nothing is "
            "simulated",
        )
    last = above - 1 if above else UNTRIED * most
    streams = _most_in_time(most, last, limit_s, lambda n: delay(n, result.lanes))
    shares = _shares(result.load[at], "step_s")
    low, high = (max(1, round(streams * share)) for share in shares) if shares else (most, last)
    high = min(high, last)  # what was measured as too many is too many
    how = f"{ends}; by the simulation {streams} keep a p95 of {limit_s:g} s"
    if above:
        audio_s = sum(each.audio_s for each in result.load[at + 1]) / above or SIMULATED_S
        simulated = delay(above, result.lanes, audio_s)
        how += f", and {above} have {simulated:.2f} s (measured: {number(_p95(result, above))} s)"
    return Bound(LANES, streams, low, high), (how,)


def _p95(result: Result, streams: int) -> float | None:
    return next(level.p95.value for level in result.levels if level.streams == streams)


def _most_in_time(low: int, high: int, limit_s: float, p95: Callable[[int], float]) -> int:
    """The most streams, from low on, whose simulated p95 is within the limit."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if p95(middle) <= limit_s else (low, middle - 1)
    return low


def _loop_bound(slices: Sequence[LoadSlice]) -> list[Bound]:
    if not slices or any(each.loop_cpu_s is None for each in slices):
        return []
    cost = sum(each.loop_cpu_s or 0.0 for each in slices) / max(1e-9, sum(each.audio_s for each in slices))
    streams = TARGET_LOAD / max(1e-6, cost)
    shares = _shares(slices, "loop_cpu_s") or (1.0, 1.0)
    return [Bound(LOOP, *(max(1, int(streams * share)) for share in (1.0, *shares)))]


def _memory_bound(result: Result) -> list[Bound]:
    """What grows with the streams, from the first level to the last; all of it where nothing grows or one level is."""
    known = [(level.streams, level.memory_bytes) for level in result.levels if level.memory_bytes]
    if not known or not result.memory_bytes:
        return []
    (fewest, first), (most, last) = known[0], known[-1]
    grows = (last - first) / (most - fewest) if most > fewest and last > first else last / most
    base = max(0.0, last - grows * most)
    count = max(1, int((TARGET_LOAD * result.memory_bytes - base) / grows))
    return [Bound(MEMORY, count, count, count)]


def _shares(slices: Sequence[LoadSlice], name: str) -> tuple[float, float] | None:
    """The ends of a number of streams as shares of it, by the interval of this cost of a second of audio."""
    units = Units(np.arange(len(slices)), np.zeros(len(slices), int))
    cost = interval(Ratio([getattr(s, name) for s in slices], [s.audio_s for s in slices], units))
    if not cost.value or not cost.low or cost.high is None:
        return None
    return cost.value / cost.high, cost.value / cost.low


def _assumptions(bounds: Sequence[Bound], a_stream: float, network_mbit: float) -> list[str]:
    lines = [
        "a larger batch of streams takes as long for each of them as those that were measured, and a late stream owes "
        "every step; in fact it skips some that only show words early, so far too many streams are simulated as worse",
        "all streams speak without a break, as the clips do, and go to the machine and lane with the fewest",
        "machines beside each other do not slow each other down; what stands before them is not counted",
        "the interval has the spread within this measurement: another hour, voice or machine may differ by more",
        "the bandwidth of the memory is in the step times, as far as all lanes were busy when they were measured",
        f"event loop, memory and network are planned at {TARGET_LOAD:.0%}; a stream takes {a_stream:.2f} Mbit/s "
        f"(linear16 and a quarter) of {network_mbit:g}",
    ]
    missing = [name for name in (LOOP, MEMORY) if name not in {bound.name for bound in bounds}]
    return lines + [f"not measured, so not counted: {' and '.join(missing)}"] * bool(missing)


def _plans_table(plans: Sequence[MachinePlan], result: Result, limit_s: float) -> Table:
    headings = ("streams", "machines", "95 % interval", "saturates first", "p95, s", "with a tenth fewer, s")
    table = Table(*headings, title=f"machines: {result.machine}; p95 within {limit_s:g} s", title_justify="left")
    for each in plans:
        ends = f"{each.low} to {each.high}"
        delays = number(each.p95_s), number(each.p95_with_fewer_s)
        table.add_row(str(each.streams), str(each.machines), ends, each.first, *delays)
    return table


def _bounds_table(bounds: Sequence[Bound]) -> Table:
    table = Table("one machine", "streams", "95 % interval", title_justify="left")
    for bound in sorted(bounds, key=lambda bound: bound.streams):
        ends = "-" if bound.low == bound.high else f"{bound.low} to {bound.high}"
        table.add_row(bound.name, str(bound.streams), ends)
    return table
