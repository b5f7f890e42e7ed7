"""What the benchmarks print: tables for people, one JSON line for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from eval.bench.turns import TurnRun
from eval.defaults import BENCH_P95_S
from eval.html.formatting import minutes, number
from eval.metrics.catalogue import (
    COMMITTED_P50,
    COMMITTED_P95,
    CPU,
    CUT_TURNS,
    FINALISATION_P50,
    FINALISATION_P95,
    FIRST_WORD_P50,
    FIRST_WORD_P95,
    RTFX,
    SETTLED_P50,
    SETTLED_P95,
    STABLE_P50,
    STABLE_P95,
    STABLE_P99,
    WER,
    Metric,
)
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.summary import Summary, points, summarise
from eval.report.capacity_plan import is_carried
from eval.report.terminal import caption, cells, rate
from eval.runs.server_load import LoadSlice
from eval.runs.signature import Signature
from eval.trace import LIVE, Trace

OURS = "steadyword"
"""The name of our side in a comparison with a peer."""


@dataclass(frozen=True, slots=True)
class LevelSummary:
    """The metrics of a number of clients at the same time on one server, and what the server did meanwhile."""

    streams: int
    summary: Summary
    load: tuple[LoadSlice, ...] = ()

    @property
    def carried(self) -> bool:
        """True where no stream broke and 95 % of the words were stable within `BENCH_P95_S`."""
        return is_carried(self.summary.failed, self.summary.value(STABLE_P95), BENCH_P95_S)

    def as_dict(self) -> dict[str, Any]:
        """The level for the JSON line."""
        load = [asdict(each) for each in self.load]
        return {"streams": self.streams, "carried": self.carried} | asdict(self.summary) | {"load": load}


@dataclass(frozen=True, slots=True)
class FileRatio:
    """Ours over a peer's on the recordings of one data set.

    Attributes:
        dataset: Its name.
        speed: Above 1 is faster.
        cpu: Below 1 is cheaper.
        points: Our WER minus the peer's, in points.
    """

    dataset: str
    speed: float | None
    cpu: float | None
    points: float | None


@dataclass(frozen=True, slots=True)
class StreamRatio:
    """Ours over a peer's with a number of streams at the same time.

    Attributes:
        streams: Their number.
        cpu: Below 1 is cheaper.
        stable_p50: Ratio of the median delays until a word is stable; below 1 is earlier.
        stable_p95: Ratio of the 95th percentiles.
        points: Our WER minus the peer's, in points.
    """

    streams: int
    cpu: float | None
    stable_p50: float | None
    stable_p95: float | None
    points: float | None


def level_summary(streams: int, traces: Sequence[Trace], load: Sequence[LoadSlice] = ()) -> LevelSummary:
    """The metrics of one level's traces, all data sets together."""
    scored = [ScoredTrace(trace) for trace in traces]
    return LevelSummary(streams, summarise(scored, traces[0].model, "all", LIVE), tuple(load))


def file_ratios(summaries: Sequence[Summary], peer: str) -> list[FileRatio]:
    """One for each data set that both ran."""
    ours = {summary.dataset: summary for summary in summaries if summary.model == OURS}
    theirs = {summary.dataset: summary for summary in summaries if summary.model == peer}
    return [
        FileRatio(
            name,
            _ratio(RTFX, ours[name], theirs[name]),
            _ratio(CPU, ours[name], theirs[name]),
            points(ours[name].value(WER), theirs[name].value(WER)),
        )
        for name in ours
        if name in theirs
    ]


def stream_ratio(ours: Summary, theirs: Summary, streams: int) -> StreamRatio:
    """The ratio of two summaries of the same clips."""
    return StreamRatio(
        streams,
        cpu=_ratio(CPU, ours, theirs),
        stable_p50=_ratio(STABLE_P50, ours, theirs),
        stable_p95=_ratio(STABLE_P95, ours, theirs),
        points=points(ours.value(WER), theirs.value(WER)),
    )


def levels_table(levels: Sequence[LevelSummary]) -> Table:
    """One row for each number of streams."""
    delays = (
        "first p50",
        "p95",
        "stable p50",
        "p95",
        "p99",
        "settled p50",
        "p95",
        "final p50",
        "p95",
        "stream end p95",
    )
    headings = ("streams", "failed", "normalised", *delays, "CPU-s/audio-s", "carried")
    table = Table(*headings, title="real clients at real-time pace", title_justify="left")
    table.caption = caption(level.summary for level in levels)
    for level in levels:
        table.add_row(
            str(level.streams),
            str(level.summary.failed),
            rate(level.summary.counts, level.summary.unit),
            *cells(level.summary, (FIRST_WORD_P50, FIRST_WORD_P95, STABLE_P50, STABLE_P95, STABLE_P99)),
            *cells(level.summary, (SETTLED_P50, SETTLED_P95, COMMITTED_P50, COMMITTED_P95, FINALISATION_P95)),
            *cells(level.summary, (CPU,), digits=3),
            "yes" if level.carried else "no",
        )
    return table


def turns_title(run: TurnRun) -> str:
    """What one run of `asr bench turns` was and how it went, in one line."""
    summary, cut = run.summary, run.summary.value(CUT_TURNS)
    turns = "1 turn" if summary.utterances == 1 else f"{summary.utterances} turns"
    cpu = number(summary.value(CPU), 3)
    failed = f", {summary.failed} failed" if summary.failed else ""
    return (
        f"{run.end.name}, {run.streams} at a time: {turns}{failed}, cut in two {number(cut, 1)} %, CPU-s/audio-s {cpu}"
    )


def turns_table(run: TurnRun, whole: Summary) -> Table:
    """One row for each measure, and the text of the same model in one shot beside it."""
    table = Table("after the end of speech, s", "turns", "p50", "p95", "p99", "WER, normalised", title_justify="left")
    table.caption = "the end of speech: by the recording's energy; the WER: of the text that a client has by then"
    for measure in run.measures:
        delays = (number(value) for value in (measure.p50_s, measure.p95_s, measure.p99_s))
        wer = "" if measure.wer is None else f"{number(measure.wer)} %"
        table.add_row(measure.name, str(measure.turns), *delays, wer)
    table.add_row(f"one-shot text of {whole.model}", str(whole.utterances), "", "", "", rate(whole.counts, whole.unit))
    return table


def peer_levels_table(levels: Mapping[tuple[int, str], Summary]) -> Table:
    """One row for each number of streams and system."""
    headings = (
        "streams",
        "system",
        "failed",
        "normalised",
        "stable p50",
        "p95",
        "stream end p50",
        "stream end p95",
        "CPU-s/audio-s",
    )
    table = Table(*headings, title="real clients at real-time pace, in turns", title_justify="left")
    table.caption = caption(levels.values())
    for (streams, name), summary in sorted(levels.items(), key=lambda item: item[0]):
        delays = (STABLE_P50, STABLE_P95, FINALISATION_P50, FINALISATION_P95)
        row = (rate(summary.counts, summary.unit), *cells(summary, delays), *cells(summary, (CPU,), digits=3))
        table.add_row(str(streams), name, str(summary.failed), *row)
    return table


def files_table(summaries: Sequence[Summary]) -> Table:
    """One row for each system and data set."""
    headings = ("system", "data", "files", "minutes", "error rate", "normalised", "times real time", "CPU-s/audio-s")
    table = Table(*headings, title="recordings as files", title_justify="left")
    for summary in summaries:
        table.add_row(
            summary.model,
            summary.dataset,
            str(summary.utterances),
            minutes(summary.audio_s),
            rate(summary.raw_counts, summary.unit),
            rate(summary.counts, summary.unit),
            *cells(summary, (RTFX,), digits=1),
            *cells(summary, (CPU,), digits=4),
        )
    return table


def file_ratios_table(ratios: Sequence[FileRatio], peer: str) -> Table:
    """One row for each data set."""
    table = Table("data", "speed", "CPU", "error points", title=f"{OURS} / {peer}", title_justify="left")
    for ratio in ratios:
        table.add_row(ratio.dataset, number(ratio.speed), number(ratio.cpu), number(ratio.points, sign=True))
    return table


def stream_ratios_table(ratios: Sequence[StreamRatio], peer: str) -> Table:
    """One row for each number of streams."""
    table = Table("streams", "CPU", "stable p50", "p95", "error points", title=f"{OURS} / {peer}", title_justify="left")
    for ratio in ratios:
        values = (ratio.cpu, ratio.stable_p50, ratio.stable_p95)
        table.add_row(str(ratio.streams), *(number(v, 3) for v in values), number(ratio.points, sign=True))
    return table


def print_line(kind: str, signature: Signature, results: Mapping[str, Any]) -> None:
    """Prints the JSON line: the kind of benchmark, its results and its signature."""
    print(json.dumps({"bench": kind, **results, "signature": asdict(signature)}, ensure_ascii=False))


def _ratio(metric: Metric, ours: Summary, theirs: Summary) -> float | None:
    left, right = ours.value(metric), theirs.value(metric)
    return None if left is None or not right else left / right
