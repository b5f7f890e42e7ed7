"""`asr eval compare`: runs that are there -> a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from eval.report.html import PageOptions, write_report
from eval.report.mlflow import log_report
from eval.report.tables import Wanted
from eval.report.terminal import report_of
from eval.runs.folder import Run, read_run
from eval.runs.setup import console


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the command line asked for. ``mlflow``: a tracking store, "" for none."""

    plan_streams: int
    plan_p95_s: float
    audio_mb: float
    mlflow: str


def report(paths: Sequence[Path], out: Path, options: ReportOptions) -> None:
    """Writes the report of these runs, prints its verdict and logs it.

    Raises `ConfigError` where a folder is no run, or no run has a trace.
    """
    runs = [read_run(path) for path in paths]
    if not any(run.traces for run in runs):
        raise ConfigError(f"found no traces in {', '.join(map(str, paths))}; wanted a run that has begun")
    if len({run.name for run in runs}) < len(runs):
        raise ConfigError("two runs have the same name; rename one's folder")
    page = PageOptions(Wanted(options.plan_streams, options.plan_p95_s), options.audio_mb)
    table = write_report(runs, out, page, _scores(runs))
    for sentence in (table["verdict"]["headline"], *table["verdict"]["reasons"], *table["verdict"]["caveats"]):
        console().print(sentence, markup=False, highlight=False)
    console().print(f"report: {out / 'report.html'}", markup=False, highlight=False)
    if options.mlflow:
        console().print(f"MLflow run {log_report(options.mlflow, table, out)}", markup=False, highlight=False)


def _scores(runs: Sequence[Run]) -> dict[str, Any]:
    """The counts by data set, model and mode, as the tables on a terminal have them."""
    return report_of([trace for run in runs for trace in run.traces], runs[0].signature, [])
