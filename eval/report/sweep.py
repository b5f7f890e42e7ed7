"""The parts of `asr eval sweep`: combinations of settings, and the Pareto front of error, delay and cost."""

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
from eval.html.formatting import between, plain
from eval.metrics.catalogue import CPU, STABLE_P95, WER
from eval.metrics.estimates import estimate
from eval.metrics.resampling import Interval
from eval.metrics.scored_trace import ScoredTrace

PRECISION = "precision"
"""The one grid key that belongs to the engine; all others are the session's."""


@dataclass(frozen=True, slots=True)
class Combination:
    """One combination of settings: its name, and the values by key."""

    name: str
    values: tuple[tuple[str, Any], ...]

    @property
    def precision(self) -> str:
        """The number format that the model computes in."""
        return str(dict(self.values).get(PRECISION, "auto"))

    @property
    def file_name(self) -> str:
        """The name with only characters that every file system takes."""
        return "".join(c if c.isalnum() or c in "._=-" else "_" for c in self.name.replace(", ", "+"))


@dataclass(frozen=True, slots=True)
class Point:
    """The results of one combination.

    Attributes:
        name: The combination's name.
        wer: WER in per cent.
        delay: p95 of the delay until a word is stable, in seconds.
        cpu: CPU seconds per second of audio.
        front: True where no other point is at least as good in all three and better in one.
    """

    name: str
    wer: Interval
    delay: Interval
    cpu: Interval
    front: bool = False

    @property
    def costs(self) -> tuple[float, ...]:
        """The known values, less is better; a mode without delays has no delay."""
        return tuple(interval.value for interval in (self.wer, self.delay, self.cpu) if interval.value is not None)


def combinations_of(grid: Sequence[str]) -> tuple[Combination, ...]:
    """Every combination of `key=a,b` texts; values are TOML's, else texts. Raises `ConfigError`."""
    axes = [_axis(text) for text in grid]
    if not axes:
        raise ConfigError("found no grid, wanted --grid KEY=VALUE,VALUE such as stream.update_ms=400,800")
    combinations = []
    for values in itertools.product(*axes):
        name = ", ".join(f"{key}={value}" for key, value in values)
        combinations.append(Combination(name, tuple(values)))
        session_settings(combinations[-1])
    return tuple(combinations)


def session_settings(combination: Combination) -> SessionSettings:
    """The session's settings of a combination. Raises `ConfigError` for an unknown key or a wrong value."""
    table: dict[str, Any] = {}
    for key, value in combination.values:
        if key != PRECISION:
            part, _, name = key.partition(".")
            if not name:
                raise ConfigError(f"found grid key {key!r}, wanted one like stream.update_ms, or {PRECISION}")
            table.setdefault(part, {})[name] = value
    return build(SessionSettings, table, "--grid")


def point_of(name: str, scored: Sequence[ScoredTrace]) -> Point:
    """The results of a combination's traces."""
    return Point(name, estimate(WER, scored), estimate(STABLE_P95, scored), estimate(CPU, scored))


def mark_front(points: Sequence[Point]) -> tuple[Point, ...]:
    """The points with those on the Pareto front of error, delay and cost marked."""
    return tuple(replace(p, front=not any(_beats(other, p) for other in points)) for p in points)


def front_table(points: Sequence[Point]) -> Table:
    """The table for the terminal: points on the front first, marked."""
    table = Table("setting", "WER, %", "p95, s", "CPU-s/audio-s", "front", title="WER, delay and cost")
    table.title_justify = "left"
    for point in sorted(points, key=_front_first):
        intervals = ((point.wer, 2), (point.delay, 2), (point.cpu, 3))
        cells = [f"{plain(i.value, d)} ({between(i, d)})" if i.value is not None else "–" for i, d in intervals]
        table.add_row(point.name, *cells, "*" if point.front else "")
    return table


def write_front(points: Sequence[Point], out: Path) -> Path:
    """Writes `sweep.json` and `sweep.html` into the folder; returns the page."""
    from eval.html.plots import FrontDot, front_plot
    from eval.html.render import TEMPLATES, render

    (out / "sweep.json").write_text(json.dumps([asdict(p) for p in points], indent=1) + "\n", encoding="utf-8")
    scored = [(p, p.wer.value) for p in points if p.wer.value is not None]
    dots = [FrontDot(p.name, p.delay.value or 0.0, wer, p.cpu.value, p.front) for p, wer in scored]
    css = (TEMPLATES / "report.css").read_text(encoding="utf-8")
    html = render("sweep.html", points=sorted(points, key=_front_first), plot=front_plot(dots), css=css)
    page = out / "sweep.html"
    page.write_text(html, encoding="utf-8")
    return page


def _front_first(point: Point) -> tuple[bool, tuple[float, ...]]:
    return not point.front, point.costs


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


def _beats(other: Point, point: Point) -> bool:
    pairs = list(zip(other.costs, point.costs, strict=False))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
