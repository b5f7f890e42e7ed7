"""`asr bench engine` and `asr bench server`: what streaming costs and how late words come.

Both use the traces and the metrics of the evaluation; a table for people and one JSON line are the result.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from asr.config import SAMPLE_RATE_HZ
from eval.data.types import Recording
from eval.defaults import CLIP_S
from eval.metrics.score import Delays, Score, scores
from eval.progress import progress
from eval.report.terminal import caption, number, rate, report_of, score_table
from eval.runs.live import Target
from eval.runs.process_usage import peak_memory_bytes
from eval.runs.replay import offline
from eval.runs.runner import TraceCollector, read_recordings, run_in_process, run_live
from eval.runs.setup import (
    console,
    engine_model,
    live_model,
    load_datasets,
    load_engine,
    load_settings,
    parse_counts,
    print_signature,
    print_summary,
    server_at,
    sign_run,
    utterances_of,
)
from eval.runs.signature import Signature
from eval.trace import LIVE, OFFLINE, REPLAY

CARRIED_P95_S = 2.5
"""Streams count as carried while 95 % of the words are stable within this."""


def engine(
    data: Sequence[Path],
    name: str,
    minutes: float | None,
    threads: int | None,
    settings_file: Path | None,
    precision: str,
) -> None:
    """One stream in process, offline and in replay."""
    settings = load_settings(settings_file)
    datasets = load_datasets(data, minutes=minutes, join_s=CLIP_S)
    utterances = utterances_of(datasets)
    model = load_engine(name, precision, threads)
    with progress(f"bench engine {name}", 2 * sum(u.duration_s for u in utterances)) as bar:
        collector = TraceCollector(bar)
        warm_up = next(iter(read_recordings(utterances, collector)), None)
        if warm_up is not None:
            offline(_beginning(warm_up), model, settings)
        collector.problems.clear()
        run_in_process(utterances, (OFFLINE, REPLAY), model, settings, collector)
    collector.check()
    signature = sign_run(datasets, engine_model(model, threads), settings, {"minutes": minutes, "join_s": CLIP_S})
    print_summary(collector.traces, signature, "one stream in process, clips of a minute")
    print_line("engine", signature, report_of(collector.traces, signature, collector.problems))


@dataclass(frozen=True, slots=True)
class Level:
    """So many clients at once and what they saw. ``peak_memory_bytes`` of the server, None where it is not known."""

    streams: int
    score: Score
    peak_memory_bytes: int | None

    @property
    def carried(self) -> bool:
        p95 = delays_of(self.score).stable.p95
        return not self.score.failed and p95 is not None and p95 < CARRIED_P95_S

    def table(self) -> dict[str, Any]:
        """As JSON can hold it."""
        own = {"streams": self.streams, "carried": self.carried, "peak_memory_bytes": self.peak_memory_bytes}
        return own | score_table(self.score)


def server(
    data: Sequence[Path],
    streams: str,
    url: str | None,
    pid: int | None,
    name: str,
    threads: int | None,
    workers: int | None,
    clip_s: float,
) -> None:
    """Real clients, each level with so many at once, one clip each (the clips come round again)."""
    counts = parse_counts(streams)
    datasets = load_datasets(data, minutes=max(counts) * clip_s / 60, join_s=clip_s)
    utterances = utterances_of(datasets)
    total_s = sum(counts) * sum(u.duration_s for u in utterances) / len(utterances)
    with progress(f"bench server {name}", total_s) as bar, server_at(url, pid, name, threads, workers) as target:
        recordings = list(read_recordings(utterances, TraceCollector(bar)))
        levels = []
        for count in counts:
            collector = TraceCollector(bar)
            clips = [recordings[i % len(recordings)] for i in range(count)]
            run_live(clips, Target(target.url, name), target.pid, count, collector)
            collector.check()
            model = live_model(name, threads, collector.traces)
            levels.append(_level(count, collector, target.pid))
    signature = sign_run(datasets, model, None, {"streams": counts, "url": url, "workers": workers, "clip_s": clip_s})
    console().print(levels_table(levels))
    print_signature(signature)
    carried = max((level.streams for level in levels if level.carried), default=0)
    print_line("server", signature, {"levels": [level.table() for level in levels], "carried_streams": carried})


def levels_table(levels: Sequence[Level]) -> Table:
    """One row for each number of streams."""
    headings = ("streams", "failed", "normalised", "stable p50", "p95", "p99", "end p95", "CPU-s/audio-s", "carried")
    table = Table(*headings, title="real clients at real-time pace", title_justify="left")
    table.caption = caption([delays_of(level.score) for level in levels])
    for level in levels:
        score, delays = level.score, delays_of(level.score)
        table.add_row(
            str(level.streams),
            str(score.failed),
            rate(score.accuracy.normalised),
            *(number(p, ".2f") for p in (delays.stable.p50, delays.stable.p95, delays.stable.p99)),
            number(delays.finalisation.p95, ".2f"),
            number(score.cpu_per_audio, ".3f"),
            "yes" if level.carried else "no",
        )
    return table


def print_line(kind: str, signature: Signature, figures: dict[str, Any]) -> None:
    """The JSON line: everything, for machines."""
    table = {"bench": kind} | figures | {"signature": asdict(signature)}
    print(json.dumps(table, ensure_ascii=False))


def delays_of(score: Score) -> Delays:
    """A live score's delays, which it always has."""
    if score.delays is None:
        raise ValueError(f"a score in mode {score.mode} has no delays; wanted {REPLAY} or {LIVE}")
    return score.delays


def _level(count: int, collector: TraceCollector, pid: int | None) -> Level:
    pooled = scores([replace(trace, dataset="all") for trace in collector.traces])[0]
    return Level(count, pooled, None if pid is None else peak_memory_bytes(pid))


def _beginning(recording: Recording, seconds: float = 5.0) -> Recording:
    samples: np.ndarray = recording.samples[: round(seconds * SAMPLE_RATE_HZ)]
    return Recording(recording.utterance, samples, recording.segments, ())
