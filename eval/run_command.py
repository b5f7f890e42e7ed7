"""`asr eval run`: data sets through one model in several modes -> traces.jsonl, report.json, a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr.config import SessionSettings
from asr.errors import ConfigError
from eval.dataset import Dataset
from eval.load import Target
from eval.overlaid import Conditions, under
from eval.progress import progress
from eval.replay import LIVE
from eval.report import report_of
from eval.run import Findings, parse_modes, readable, run_in_process, run_live
from eval.setting import (
    engine_model,
    live_model,
    load_datasets,
    load_engine,
    load_settings,
    print_summary,
    server_at,
    sign_run,
    utterances_of,
)
from eval.signature import Model

TRACES, REPORT = "traces.jsonl", "report.json"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for."""

    data: tuple[Path, ...]
    out: Path
    model: str
    mode: str
    limit: int | None = None
    join_s: float | None = None
    settings_file: Path | None = None
    precision: str = "auto"
    threads: int | None = None
    url: str | None = None
    pid: int | None = None
    streams: int = 1
    conditions: Conditions = field(default_factory=Conditions)

    def plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {
            "data": [str(path) for path in self.data],
            "out": str(self.out),
            "settings_file": self.settings_file and str(self.settings_file),
            "conditions": self.conditions.plain(),
        }


def run(options: RunOptions) -> None:
    """Raises `CallerError` for wrong options, unusable data, and when every stream failed."""
    modes, settings = parse_modes(options.mode), load_settings(options.settings_file)
    if options.settings_file and LIVE in modes:
        raise ConfigError("--settings does not reach a server; start one with its own --config and give its --url")
    datasets = under(load_datasets(options.data, limit=options.limit, join_s=options.join_s), options.conditions)
    file = _new_folder(options.out) / TRACES
    with progress(options.model, len(modes) * sum(u.duration_s for u in utterances_of(datasets))) as bar:
        findings = Findings(bar, file)
        for problem in (problem for dataset in datasets for problem in dataset.problems):
            findings.leave_out(problem)
        model = _in_process(options, modes, settings, datasets, findings)
        if LIVE in modes:
            _live(options, datasets, findings)
        model = model or live_model(options.model, options.threads, findings.traces)
    findings.check()
    in_process = settings if set(modes) != {LIVE} else None
    signature = sign_run(datasets, model, in_process, options.plain())
    report = report_of(findings.traces, signature, findings.problems)
    (options.out / REPORT).write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print_summary(findings.traces, signature)


def _new_folder(out: Path) -> Path:
    """Raises `ConfigError` where a run lies already: traces are expensive."""
    if (out / TRACES).exists():
        raise ConfigError(f"{out} holds a run already; name another folder for --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out} cannot be made ({error.strerror}); name a folder for --out") from None
    return out


def _in_process(
    options: RunOptions,
    modes: Sequence[str],
    settings: SessionSettings,
    datasets: Sequence[Dataset],
    findings: Findings,
) -> Model | None:
    """The modes without a server, and who recognised; None when there is no such mode."""
    if set(modes) == {LIVE}:
        return None
    engine = load_engine(options.model, options.precision, options.threads)
    run_in_process(utterances_of(datasets), modes, engine, settings, findings)
    return engine_model(engine, options.threads)


def _live(options: RunOptions, datasets: Sequence[Dataset], findings: Findings) -> None:
    recordings = list(readable(utterances_of(datasets), findings))
    with server_at(options.url, options.pid, options.model, options.threads) as server:
        asked = options.model if options.url else ""  # our own server has no other
        run_live(recordings, Target(server.url, options.model, asked), server.pid, options.streams, findings)
