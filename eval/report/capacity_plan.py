"""How much machine so many streams need: from what was measured, with the assumption said."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from eval.html.formatting import memory, plain
from eval.metrics.bootstrap import Interval
from eval.metrics.catalogue import CPU, STABLE, estimate, peak_memory_bytes
from eval.metrics.scored_trace import Judged
from eval.runs.folder import Run
from eval.runs.signature import Model
from server.workers.pool import MAX_DEFAULT_WORKERS

BUSY = 0.7
"""Share of a core's time that is planned for where no capacity was measured: queues grow without bound towards 1."""


@dataclass(frozen=True, slots=True)
class Level:
    """So many clients at once on one server, and what they saw."""

    model: str
    streams: int
    failed: int
    p50: Interval
    p95: Interval
    cpu: float | None
    memory_bytes: int | None

    def carried(self, p95_s: float) -> bool:
        return not self.failed and self.p95.value is not None and self.p95.value <= p95_s


@dataclass(frozen=True, slots=True)
class Plan:
    """What `streams` at once need of one model. ``cores`` is None where nothing that was measured would do."""

    model: str
    streams: int
    p95_s: float
    processes: int | None
    cores: int | None
    memory_bytes: int | None
    assumption: str

    def __str__(self) -> str:
        if self.cores is None:
            return f"{self.model}: no plan; {self.assumption}"
        need = f"{self.cores} cores" + (f", {memory(self.memory_bytes)}" if self.memory_bytes else "")
        return f"{self.model}: {need} for {self.streams} streams, p95 {plain(self.p95_s, 1)} s; {self.assumption}"


def levels_of(runs: Sequence[Run]) -> tuple[Level, ...]:
    """Every level of every model, in rising order."""
    traces = [trace for run in runs for trace in run.capacity]
    keys = sorted({(trace.model, trace.streams) for trace in traces}, key=lambda key: (key[0], key[1]))
    return tuple(_level(key, [Judged(t) for t in traces if (t.model, t.streams) == key]) for key in keys)


def carried(levels: Sequence[Level], p95_s: float) -> int:
    """The most streams up to which every level kept to the p95; 0 where the first did not."""
    most = 0
    for level in levels:
        if not level.carried(p95_s):
            break
        most = level.streams
    return most


def plan(
    model: Model, levels: Sequence[Level], judged: Sequence[Judged], streams: int, p95_s: float, cores: int
) -> Plan:
    """By the measured capacity where there is one, else by CPU time alone. ``cores`` of the machine that measured."""
    mine = [level for level in levels if level.model == model.name]
    per_server = min(cores, MAX_DEFAULT_WORKERS * model.threads) if model.threads else cores
    if not mine:
        return _by_cpu(model, judged, streams, p95_s)
    most = carried(mine, p95_s)
    if not most:
        tried = mine[0]
        why = f"{tried.streams} at once had a p95 of {plain(tried.p95.value)} s on one server of {_cores(per_server)}"
        return Plan(model.name, streams, p95_s, None, None, None, why)
    servers = math.ceil(streams / most)
    peak = next(level.memory_bytes for level in mine if level.streams == most)
    more = "" if mine[-1].streams > most else f" (more than {most} were not tried)"
    assumption = (
        f"one server of {_cores(per_server)} carried {most} at once{more}, everybody speaking without a break, "
        "and servers beside each other do not slow each other down"
    )
    return Plan(model.name, streams, p95_s, servers, servers * per_server, peak and servers * peak, assumption)


def _by_cpu(model: Model, judged: Sequence[Judged], streams: int, p95_s: float) -> Plan:
    spent = estimate(CPU, judged).value
    if spent is None:
        return Plan(model.name, streams, p95_s, None, None, None, "its CPU time was not measured")
    cores = math.ceil(streams * spent / BUSY)
    peak = peak_memory_bytes(judged)
    assumption = (
        f"from {plain(spent, 3)} CPU-s per audio-s with cores {BUSY:.0%} busy; no capacity was measured "
        "(--capacity 1,4,8), so the delay is not promised"
    )
    return Plan(model.name, streams, p95_s, cores, cores, peak and cores * peak, assumption)


def _level(key: tuple[str, int], judged: Sequence[Judged]) -> Level:
    model, streams = key
    return Level(
        model=model,
        streams=streams,
        failed=sum(bool(j.trace.error) for j in judged),
        p50=estimate(STABLE[0], judged),
        p95=estimate(STABLE[2], judged),
        cpu=estimate(CPU, judged).value,
        memory_bytes=peak_memory_bytes(judged),
    )


def _cores(count: int) -> str:
    return "one core" if count == 1 else f"{count} cores"
