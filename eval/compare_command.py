"""`asr eval compare`: runs that are there -> a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr.errors import ConfigError
from eval.pages import PageOptions, write_report
from eval.report import report_of
from eval.report_table import Wanted
from eval.run_folder import Run, read_run
from eval.setting import console


def compare_runs(paths: Sequence[Path], out: Path, streams: int, p95_s: float, audio_mb: float) -> None:
    """Raises `ConfigError` where a folder is no run, or no run has a trace."""
    report(paths, out, PageOptions(Wanted(streams, p95_s), audio_mb))


def report(paths: Sequence[Path], out: Path, options: PageOptions) -> dict[str, Any]:
    """Writes the report of these runs and prints its verdict; the table."""
    runs = [read_run(path) for path in paths]
    if not any(run.traces for run in runs):
        raise ConfigError(f"found no traces in {', '.join(map(str, paths))}; wanted a run that has begun")
    if len({run.name for run in runs}) < len(runs):
        raise ConfigError("two runs have the same name; rename one's folder")
    table = write_report(runs, out, options, _scores(runs))
    for sentence in (table["verdict"]["headline"], *table["verdict"]["reasons"], *table["verdict"]["caveats"]):
        console().print(sentence, markup=False, highlight=False)
    console().print(f"report: {out / 'report.html'}", markup=False, highlight=False)
    return table


def _scores(runs: Sequence[Run]) -> dict[str, Any]:
    """The counts by data set, model and mode, as the tables on a terminal have them."""
    return report_of([trace for run in runs for trace in run.traces], runs[0].signature, [])
