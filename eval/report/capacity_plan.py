"""The resource plan: how many cores and how much memory a number of streams needs, with its assumption."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

from eval.defaults import PLAN_P95_S, PLAN_STREAMS
from eval.html.formatting import between, memory, plain
from eval.metrics.catalogue import CPU, STABLE_P50, STABLE_P95
from eval.metrics.estimates import estimate, peak_memory_bytes
from eval.metrics.resampling import Interval
from eval.metrics.scored_trace import ScoredTrace
from eval.runs.folder import Run
from eval.runs.signature import Model
from server.workers.pool import MAX_DEFAULT_WORKERS

TARGET_LOAD = 0.7
"""Share of a core that is planned for where no capacity was measured: queues grow without bound towards 1."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is made for: ``streams`` at the same time, 95 % of the words stable within ``p95_s``."""

    streams: int = PLAN_STREAMS
    p95_s: float = PLAN_P95_S


@dataclass(frozen=True, slots=True)
class Level:
    """A number of clients at the same time on one server, and the service that they got.

    Attributes:
        model: Name of the model.
        streams: Number of clients.
        failed: Streams that broke.
        p50: Median delay until a word is stable, in seconds.
        p95: Its 95th percentile.
        cpu: CPU seconds per second of audio.
        memory_bytes: Peak memory of the server.
    """

    model: str
    streams: int
    failed: int
    p50: Interval
    p95: Interval
    cpu: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What one model needs for a number of streams; ``cores`` is None where no number of machines would do.

    Attributes:
        model: Name of the model.
        streams: Streams at the same time.
        p95_s: Wanted p95 of the delay until a word is stable.
        processes: Server processes.
        cores: CPU cores.
        memory_bytes: Memory; None where it was not measured.
        assumption: What the plan rests on.
        headline: The plan in one sentence.
        rest: The assumption as a sentence.
    """

    model: str
    streams: int
    p95_s: float
    processes: int | None
    cores: int | None
    memory_bytes: int | None
    assumption: str
    headline: str
    rest: str


def levels_of(runs: Sequence[Run]) -> tuple[Level, ...]:
    """Every level of every model, in rising order."""
    traces = [trace for run in runs for trace in run.capacity]
    keys = sorted({(trace.model, trace.streams) for trace in traces})
    return tuple(_level(key, [ScoredTrace(t) for t in traces if (t.model, t.streams) == key]) for key in keys)


def is_carried(failed: int, p95: float | None, p95_s: float) -> bool:
    """True where no stream broke and 95 % of the words were stable within ``p95_s``."""
    return not failed and p95 is not None and p95 <= p95_s


def carried_streams(levels: Sequence[Level], p95_s: float) -> int:
    """The most streams that were carried; 0 where none were.

    Delays do not fall when the load grows, so a level that is slower than the next one was disturbed: both then count
    with their mean (isotonic regression, pool adjacent violators). A broken stream is a failure at any delay.
    """
    return max((level.streams for level, p95 in _smoothed(levels) if is_carried(level.failed, p95, p95_s)), default=0)


def plan(model: Model, levels: Sequence[Level], scored: Sequence[ScoredTrace], wanted: Wanted, cores: int) -> Plan:
    """The plan from the measured capacity where there is one, else from the CPU time of streaming alone.

    ``scored`` is what the model did in the mode nearest to real use, ``cores`` the number of cores of the machine that
    measured.
    """
    mine = [level for level in levels if level.model == model.name]
    per_server = min(cores, MAX_DEFAULT_WORKERS * model.threads) if model.threads else cores
    if not mine:
        return _plan_by_cpu(model, scored, wanted)
    alone = _p95_alone(scored)
    most = carried_streams(mine, wanted.p95_s)
    if not most:
        return _plan(model, wanted, f"{why_not_carried(mine[0])} on one server of {_cores(per_server)}")
    servers = math.ceil(wanted.streams / most)
    carried = next(level for level in mine if level.streams == most)
    assumption = (
        f"one server of {_cores(per_server)} carried {most} at the same time{_p95(carried, wanted)}"
        f"{_next_level(mine, most, wanted, per_server)}, all speaking without a break, "
        "and servers beside each other do not slow each other down"
    )
    if alone is not None and alone > wanted.p95_s:
        assumption += (
            f" (the p95 of {plain(alone)} s in the first table is of {scored[0].trace.mode}, not of this server)"
        )
    peak = carried.memory_bytes
    return _plan(model, wanted, assumption, servers, servers * per_server, peak and servers * peak)


def _smoothed(levels: Sequence[Level]) -> list[tuple[Level, float | None]]:
    """Each level with its p95 made non-decreasing; infinite from a level with a broken stream or without a p95 on."""
    pools: list[list[float]] = []
    for level in levels:
        p95 = math.inf if level.failed or level.p95.value is None else level.p95.value
        pools.append([p95])
        while len(pools) > 1 and statistics.fmean(pools[-2]) > statistics.fmean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    smooth = [statistics.fmean(pool) for pool in pools for _ in pool]
    return list(zip(levels, smooth, strict=True))


def why_not_carried(level: Level) -> str:
    """The reason in words, for a level that was not carried."""
    if level.failed:
        return f"{level.failed} of {level.streams} streams at the same time broke"
    return f"{level.streams} at the same time had a p95 of {plain(level.p95.value)} s"


def _p95(level: Level, wanted: Wanted) -> str:
    ends = between(level.p95) or "too few speakers for an interval"
    beyond = level.p95.high is not None and level.p95.high > wanted.p95_s
    return f" with a p95 of {plain(level.p95.value)} s ({ends}{', which reaches beyond the limit' if beyond else ''})"


def _p95_alone(scored: Sequence[ScoredTrace]) -> float | None:
    """The p95 of the delay in the mode nearest to real use, as the first table shows it."""
    return estimate(STABLE_P95, [s for s in scored if s.is_streamed]).value


def _next_level(levels: Sequence[Level], most: int, wanted: Wanted, per_server: int) -> str:
    """What the next level says: the truth may lie anywhere between two levels."""
    above = next((level.streams for level in levels if level.streams > most), None)
    if above is None:
        return f" (more than {most} were not tried)"
    if above == most + 1:
        return f" and not {above}"
    fewest = math.ceil(wanted.streams / (above - 1)) * per_server
    return f" and not {above} (nothing between was tried: the need may be as low as {fewest} cores)"


def _plan_by_cpu(model: Model, scored: Sequence[ScoredTrace], wanted: Wanted) -> Plan:
    streamed = [s for s in scored if s.is_streamed]
    if scored and not streamed:
        return _plan(model, wanted, "only one-shot cost was measured, and streaming costs more (--mode replay or live)")
    alone = _p95_alone(streamed)
    if alone is not None and alone > wanted.p95_s:
        at = max(s.trace.streams for s in streamed)
        how = "one stream alone" if at == 1 else f"{at} streams at the same time"
        return _plan(model, wanted, f"{how} had a p95 of {plain(alone)} s ({streamed[0].trace.mode})")
    cost = estimate(CPU, streamed)
    if cost.value is None:
        return _plan(model, wanted, "its CPU time was not measured")
    cores, *ends = [
        math.ceil(wanted.streams * value / TARGET_LOAD)
        for value in (cost.value, cost.low, cost.high)
        if value is not None
    ]
    peak = peak_memory_bytes(streamed)
    spread = f" ({ends[0]} to {ends[1]} cores)" if ends else ""
    assumption = (
        f"from {plain(cost.value, 3)} CPU-s per audio-s with cores {TARGET_LOAD:.0%} busy{spread}; no capacity was "
        "measured (--capacity 1,4,8), so the delay is not promised"
    )
    planned = _plan(model, wanted, assumption, cores, cores, peak and cores * peak)
    need = planned.headline.removesuffix(f" at a p95 of {wanted.p95_s:g} s.")
    return replace(planned, headline=f"{need}, by CPU time alone.")


def _plan(
    model: Model,
    wanted: Wanted,
    assumption: str,
    processes: int | None = None,
    cores: int | None = None,
    memory_bytes: int | None = None,
) -> Plan:
    asked = f"{wanted.streams} streams at a p95 of {wanted.p95_s:g} s"
    room = f" and {memory(memory_bytes)}" if memory_bytes else ""
    need = f"{cores} cores{room} for {asked}" if cores is not None else f"no plan for {asked}: {assumption}"
    return Plan(
        model=model.name,
        streams=wanted.streams,
        p95_s=wanted.p95_s,
        processes=processes,
        cores=cores,
        memory_bytes=memory_bytes,
        assumption=assumption,
        headline=f"{model.name}: {need}.",
        rest=f"Assumed: {assumption}." if cores is not None else "",
    )


def _level(key: tuple[str, int], scored: Sequence[ScoredTrace]) -> Level:
    model, streams = key
    return Level(
        model=model,
        streams=streams,
        failed=sum(bool(s.trace.error) for s in scored),
        p50=estimate(STABLE_P50, scored),
        p95=estimate(STABLE_P95, scored),
        cpu=estimate(CPU, scored).value,
        memory_bytes=peak_memory_bytes(scored),
    )


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"
