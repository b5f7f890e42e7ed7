"""Plots as SVG inside a page: few lines, one colour per model, text in the page's own font."""

import io
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from eval.metrics.resampling import Interval
from eval.trace import LIVE, OFFLINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_Place = Literal["lower right", "upper left"]

COLOURS = ("#2f5d8a", "#c2672f", "#4b7f5b", "#7a5c99", "#8a7a2f", "#8c3f4d")
"""One per model. They differ in brightness too, for readers who do not see red and green."""
INK, PALE, AXIS, HOLLOW = "#24292f", "#d8dce1", "#9aa3ad", "#ffffff"
_NAMES = {INK: "ink", PALE: "rule", AXIS: "muted", HOLLOW: "paper"} | {
    colour: f"model-{place}" for place, colour in enumerate(COLOURS)
}
_PLOT_COLOUR = re.compile("|".join(_NAMES))
ROW_HEIGHT_IN = 0.34
LONGEST_DELAY_S = 6.0
"""Right end of the plot of delays."""


@dataclass(frozen=True, slots=True)
class AccuracyDot:
    """WER of one system on one data set."""

    name: str
    mode: str
    wer: Interval


@dataclass(frozen=True, slots=True)
class AccuracyBlock:
    """One data set with a dot for each system."""

    dataset: str
    dots: tuple[AccuracyDot, ...]


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """The delays of all words of one system, in seconds and any order."""

    name: str
    mode: str
    delays_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CapacityPoint:
    """The p95 of the delay with a number of streams on one server."""

    model: str
    streams: int
    p95: Interval


@dataclass(frozen=True, slots=True)
class FrontDot:
    """One combination of settings: delay in seconds, WER in per cent, cost in CPU-s per audio-s."""

    name: str
    delay_s: float
    wer: float
    cost: float | None
    front: bool


def colour_of(model: str, models: Sequence[str]) -> str:
    """The model's colour, by its place among all models."""
    return COLOURS[list(models).index(model) % len(COLOURS)]


def themed(text: str) -> str:
    """The plots' colours in a text as CSS variables, which a page may set for its dark theme."""
    return _PLOT_COLOUR.sub(lambda found: f"var(--{_NAMES[found[0]]}, {found[0]})", text)


def accuracy_plot(blocks: Sequence[AccuracyBlock], models: Sequence[str]) -> str:
    """WER with its interval; a hollow dot is one-shot."""
    count = sum(len(block.dots) for block in blocks) + len(blocks)
    figure, axes = _figure(7.2, 0.9 + ROW_HEIGHT_IN * count)
    place, ticks = 0.0, []
    for block in blocks:
        axes.axhline(place - 0.75, color=PALE, linewidth=0.6)
        top = place - 0.62
        for dot in block.dots:
            _dot(axes, dot.wer, place, colour_of(dot.name, models), hollow=dot.mode == OFFLINE)
            ticks.append((place, f"{dot.name}, {dot.mode}"))
            place += 1
        axes.text(0.0, top, block.dataset, transform=_across_by_axes(axes), fontsize=9, weight="bold", color=INK)
        place += 1
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set_ylim(place - 0.6, -1.2)
    axes.set_xlim(left=-0.015 * axes.get_xlim()[1])
    axes.set_xlabel("WER, %, and its 95 % interval")
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    return _svg(figure, "WER of each system on each data set")


def delay_plot(curves: Sequence[DelayCurve], models: Sequence[str]) -> str:
    """The share of words that are stable within a number of seconds after their end; a full line is live."""
    figure, axes = _figure(7.2, 3.4)
    entries = []
    for curve in curves:
        if curve.delays_s:
            share = 100 * np.arange(1, len(curve.delays_s) + 1) / len(curve.delays_s)
            style, colour = "-" if curve.mode == LIVE else "--", colour_of(curve.name, models)
            (line,) = axes.plot(np.sort(curve.delays_s), share, style, color=colour, linewidth=1.8)
            entries.append((line, f"{curve.name}, {curve.mode}"))
    for level in (50, 95):
        axes.axhline(level, color=PALE, linewidth=0.8, zorder=0)
    axes.set_xlim(-0.5, LONGEST_DELAY_S)
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 25, 50, 75, 95])
    axes.set_xlabel("seconds from a word's end until it is shown for good")
    axes.set_ylabel("% of words")
    _legend(axes, entries, "lower right")
    return _svg(figure, "distribution of delays")


def capacity_plot(points: Sequence[CapacityPoint], models: Sequence[str], p95_s: float) -> str:
    """The p95 of the delay over the number of streams on one server, with the wanted p95 as a line."""
    figure, axes = _figure(7.2, 3.2)
    entries = []
    for model in dict.fromkeys(point.model for point in points):
        mine = [(p.streams, p.p95, p.p95.value) for p in points if p.model == model and p.p95.value is not None]
        colour = colour_of(model, models) if model in models else INK
        streams, values = [count for count, _, _ in mine], [value for *_, value in mine]
        (line,) = axes.plot(streams, values, "o-", color=colour, linewidth=1.8)
        entries.append((line, model))
        low = [value if p95.low is None else p95.low for _, p95, value in mine]
        high = [value if p95.high is None else p95.high for _, p95, value in mine]
        axes.fill_between(streams, low, high, color=colour, alpha=0.14, linewidth=0)
    axes.axhline(p95_s, color=INK, linewidth=0.8, linestyle=":")
    axes.annotate(
        f"wanted: {p95_s:g} s", (1.0, p95_s), (-4, 4), ("axes fraction", "data"), "offset points", ha="right", color=INK
    )
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({point.streams for point in points}))
    axes.set_xlabel("streams at the same time on one server")
    axes.set_ylabel("shown for good, p95, s")
    _legend(axes, entries, "upper left")
    return _svg(figure, "capacity")


def front_plot(dots: Sequence[FrontDot]) -> str:
    """WER over delay, the area of a dot is its cost; filled dots are on the front."""
    figure, axes = _figure(7.2, 4.2)
    dearest = max((dot.cost for dot in dots if dot.cost), default=1)
    for dot in dots:
        area, face = 60 + 240 * (dot.cost or 0) / dearest, COLOURS[0] if dot.front else HOLLOW
        axes.scatter([dot.delay_s], [dot.wer], s=area, facecolor=face, edgecolor=COLOURS[0], alpha=0.85, linewidth=1.2)
        axes.annotate(dot.name, (dot.delay_s, dot.wer), (9, 5), textcoords="offset points", fontsize=8, color=INK)
    axes.margins(0.18)
    axes.set_xlabel("shown for good, p95, s")
    axes.set_ylabel("WER, %")
    axes.grid(color=PALE, linewidth=0.6)
    return _svg(figure, "WER, delay and cost")


def _dot(axes: "Axes", wer: Interval, place: float, colour: str, *, hollow: bool) -> None:
    if wer.value is None:
        return
    if wer.low is not None and wer.high is not None:
        axes.plot([wer.low, wer.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="round", alpha=0.45)
    face = HOLLOW if hollow else colour
    axes.plot(
        [wer.value], [place], "o", markersize=7, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.6
    )


def _legend(axes: "Axes", entries: Sequence[tuple["Line2D", str]], place: _Place) -> None:
    """Each line with its name. The names are set last: matplotlib leaves out labels that begin with "_"."""
    if not entries:
        return
    legend = axes.legend([line for line, _ in entries], ["-"] * len(entries), frameon=False, loc=place)
    for text, (_, name) in zip(legend.get_texts(), entries, strict=True):
        text.set_text(name)
        text.set_color(INK)


def _across_by_axes(axes: "Axes") -> Any:
    """Coordinates: across as a share of the axes, down as data."""
    from matplotlib.transforms import blended_transform_factory

    return blended_transform_factory(axes.transAxes, axes.transData)


def _figure(width_in: float, height_in: float) -> tuple[Any, "Axes"]:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "report",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": AXIS,
        "axes.labelcolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.linewidth": 0.8,
    }
    with rc_context(style):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        return figure, figure.add_subplot()


def _svg(figure: Any, title: str) -> str:
    """The plot as one SVG element, with a title for readers who do not see it.

    Names of models and data sets are drawn as they are: a "$" begins no formula. Characters that matplotlib's own font
    lacks are no fault, because the page's reader draws the text.
    """
    from matplotlib import rc_context
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"font: ([^;'\"]*px) [^;\"]*", r"font: \1 inherit", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'style="[^"]*"', lambda found: themed(found[0]), svg)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{title}" ', svg, count=1)
