"""`asr eval sweep`: one model under every combination of settings, and the front of those that nothing beats."""

import itertools
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from asr.config import SessionSettings, build
from asr.errors import ConfigError
from eval.data.types import Dataset
from eval.html.formatting import between, plain
from eval.metrics.bootstrap import Interval
from eval.metrics.catalogue import CPU, STABLE_P95, WER, estimate
from eval.metrics.scored_trace import Judged
from eval.normalise import base_language
from eval.progress import progress
from eval.runs.folder import open_folder
from eval.runs.runner import TraceCollector, run_in_process
from eval.runs.setup import console, engine_model, load_datasets, load_engine, sign_run, utterances_of
from eval.trace import OFFLINE, REPLAY, Trace, read_traces

PRECISION = "precision"
"""The one key that is the engine's and not the session's."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One combination: its name, and the values by key."""

    name: str
    values: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What a combination costs; ``front``: no other is at least as good in all three and better in one."""

    name: str
    wer: Interval
    delay: Interval
    cpu: Interval
    front: bool = False

    @property
    def costs(self) -> tuple[float, ...]:
        """What is known, least is best; a mode without delays has none."""
        return tuple(found.value for found in (self.wer, self.delay, self.cpu) if found.value is not None)


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What the command line asked for."""

    data: tuple[Path, ...]
    out: Path
    model: str
    grid: tuple[str, ...]
    mode: str = REPLAY
    limit: int | None = None
    join_s: float | None = None
    threads: int | None = 1


def sweep(options: SweepOptions) -> None:
    """Raises `ConfigError` for a grid that cannot be, before anything is run."""
    if options.mode not in (OFFLINE, REPLAY):
        raise ConfigError(f"found mode {options.mode!r}, wanted {OFFLINE} or {REPLAY}: a grid is run in process")
    combinations = settings_of(options.grid)
    datasets = load_datasets(options.data, limit=options.limit, join_s=options.join_s)
    total_s = len(combinations) * sum(u.duration_s for u in utterances_of(datasets))
    points = []
    with progress(f"sweep {options.model}", total_s) as bar:
        for setting in combinations:
            collector = _run_one(setting, options, datasets, TraceCollector(bar))
            points.append(point_of(setting.name, [Judged(trace) for trace in collector.traces]))
    write_front(mark_front(points), options.out)


def settings_of(grid: Sequence[str]) -> tuple[Setting, ...]:
    """Every combination of `key=a,b` texts; values are TOML's, else texts. Raises `ConfigError`."""
    axes = [_axis(text) for text in grid]
    if not axes:
        raise ConfigError("found no grid, wanted --grid KEY=VALUE,VALUE such as stream.update_ms=400,800")
    found = []
    for values in itertools.product(*axes):
        name = ", ".join(f"{key}={value}" for key, value in values)
        found.append(Setting(name, tuple(values)))
        session_settings(found[-1])
    return tuple(found)


def session_settings(setting: Setting) -> SessionSettings:
    """The session's part of a combination. Raises `ConfigError` for keys and values that there are not."""
    table: dict[str, Any] = {}
    for key, value in setting.values:
        if key != PRECISION:
            part, _, name = key.partition(".")
            if not name:
                raise ConfigError(f"found grid key {key!r}, wanted one like stream.update_ms, or {PRECISION}")
            table.setdefault(part, {})[name] = value
    return build(SessionSettings, table, "--grid")


def point_of(name: str, judged: Sequence[Judged]) -> Point:
    return Point(name, estimate(WER, judged), estimate(STABLE_P95, judged), estimate(CPU, judged))


def mark_front(points: Sequence[Point]) -> tuple[Point, ...]:
    """The Pareto front of error, delay and cost."""
    return tuple(replace(p, front=not any(_beats(other, p) for other in points)) for p in points)


def write_front(points: Sequence[Point], out: Path) -> None:
    """The table on the terminal, `sweep.json` and `sweep.html` in the folder."""
    from eval.html.plots import front_plot
    from eval.report.html import TEMPLATES, render

    console().print(front_table(points))
    (out / "sweep.json").write_text(json.dumps([asdict(p) for p in points], indent=1) + "\n", encoding="utf-8")
    scored = [(p, p.wer.value) for p in points if p.wer.value is not None]
    known = [(p.name, p.delay.value or 0.0, wer, p.cpu.value, p.front) for p, wer in scored]
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    rows = sorted(points, key=lambda p: (not p.front, p.costs))
    html = render("sweep.html", points=rows, plot=front_plot(known), css=css, between=between)
    (out / "sweep.html").write_text(html, encoding="utf-8")
    console().print(f"front: {out / 'sweep.html'}", markup=False, highlight=False)


def front_table(points: Sequence[Point]) -> Table:
    """Those of the front first, marked."""
    table = Table("setting", "WER, %", "p95, s", "CPU-s/audio-s", "front", title="WER, delay and cost")
    table.title_justify = "left"
    for point in sorted(points, key=lambda p: (not p.front, p.costs)):
        cells = [f"{plain(f.value, d)} ({between(f, d)})" if f.value is not None else "–" for f, d in _figures(point)]
        table.add_row(point.name, *cells, "*" if point.front else "")
    return table


def _figures(point: Point) -> tuple[tuple[Interval, int], ...]:
    return (point.wer, 2), (point.delay, 2), (point.cpu, 3)


def _axis(text: str) -> list[tuple[str, Any]]:
    key, equals, values = text.partition("=")
    parts = [part.strip() for part in values.split(",") if part.strip()]
    if not key.strip() or not equals or not parts:
        raise ConfigError(f"found --grid {text!r}, wanted KEY=VALUE,VALUE such as stream.update_ms=400,800")
    return [(key.strip(), _value(part)) for part in parts]


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _run_one(
    setting: Setting, options: SweepOptions, datasets: Sequence[Dataset], collector: TraceCollector
) -> TraceCollector:
    """A run's folder of its own, so that a stopped sweep goes on too."""
    precision = str(dict(setting.values).get(PRECISION, "auto"))
    engine = load_engine(options.model, precision, options.threads)
    settings = session_settings(setting)
    signed = {"mode": options.mode, "limit": options.limit, "join_s": options.join_s, "setting": setting.name}
    signature = sign_run(datasets, engine_model(engine, options.threads), settings, signed)
    folder = open_folder(options.out / _file_name(setting.name), signature, ())
    done: list[Trace] = list(read_traces(folder.traces)) if folder.traces.exists() else []
    collector = TraceCollector(collector.bar, folder.traces, done)
    languages = tuple(getattr(engine, "languages", ()))
    taken = [u for u in utterances_of(datasets) if not languages or base_language(u.language) in ("", *languages)]
    run_in_process(taken, [options.mode], engine, settings, collector)
    collector.check()
    return collector


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._=-" else "_" for c in name.replace(", ", "+"))


def _beats(other: Point, point: Point) -> bool:
    pairs = list(zip(other.costs, point.costs, strict=False))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
