"""Pictures of a report, as SVG that stands in the page: few lines, one colour a model, the text the page's own."""

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.bootstrap import Interval
from eval.report.capacity_plan import Level
from eval.report.systems import System
from eval.trace import OFFLINE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#2f5d8a", "#c2672f", "#4b7f5b", "#7a5c99", "#8a7a2f", "#8c3f4d")
"""One a model: apart from each other in brightness too, for those who see no red and green."""
INK, PALE = "#24292f", "#d8dce1"
TALL_ROW_IN = 0.34
DELAYS_TO_S = 6.0


def colour_of(model: str, models: Sequence[str]) -> str:
    return COLOURS[list(models).index(model) % len(COLOURS)]


def accuracy_plot(rows: Sequence[tuple[str, Sequence[tuple[str, str, Interval]]]], models: Sequence[str]) -> str:
    """WER with its interval: one block a data set, one dot a system (model, mode); hollow is one-shot."""
    count = sum(len(found) for _, found in rows) + len(rows)
    figure, axes = _figure(7.2, 0.9 + TALL_ROW_IN * count)
    place, ticks = 0.0, []
    for name, found in rows:
        axes.axhline(place - 0.75, color=PALE, linewidth=0.6)
        for model, mode, wer in found:
            _dot(axes, wer, place, colour_of(model, models), hollow=mode == OFFLINE)
            ticks.append((place, f"{model}, {mode}"))
            place += 1
        axes.text(0.0, place - len(found) - 0.62, name, transform=_beside(axes), fontsize=9, weight="bold", color=INK)
        place += 1
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.set_ylim(place - 0.6, -1.2)
    axes.set_xlim(left=-0.015 * axes.get_xlim()[1])
    axes.set_xlabel("WER, %, and its 95 % interval")
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    return _svg(figure, "WER of each system on each data set")


def delay_plot(systems: Sequence[System], models: Sequence[str]) -> str:
    """The share of words that stand for good within so many seconds of their end."""
    figure, axes = _figure(7.2, 3.4)
    for system in systems:
        delays = [word.delay_s("stable") for scored in system.scored for word in scored.word_times]
        known = np.sort([delay for delay in delays if delay is not None])
        if len(known):
            share = 100 * np.arange(1, len(known) + 1) / len(known)
            style = "-" if system.mode == "live" else "--"
            label = f"{system.name}, {system.mode}"
            axes.plot(known, share, style, color=colour_of(system.name, models), linewidth=1.8, label=label)
    for level in (50, 95):
        axes.axhline(level, color=PALE, linewidth=0.8, zorder=0)
    axes.set_xlim(-0.5, DELAYS_TO_S)
    axes.set_ylim(0, 101)
    axes.set_yticks([0, 25, 50, 75, 95])
    axes.set_xlabel("seconds from a word's end until it is shown for good")
    axes.set_ylabel("% of words")
    axes.legend(frameon=False, loc="lower right")
    return _svg(figure, "distribution of delays")


def capacity_plot(levels: Sequence[Level], models: Sequence[str], p95_s: float) -> str:
    """The delay's p95 over the number of streams on one server."""
    figure, axes = _figure(7.2, 3.2)
    for model in dict.fromkeys(level.model for level in levels):
        mine = [level for level in levels if level.model == model and level.p95.value is not None]
        colour = colour_of(model, models) if model in models else INK
        streams = [level.streams for level in mine]
        axes.plot(streams, [level.p95.value or 0 for level in mine], "o-", color=colour, linewidth=1.8, label=model)
        low = [level.p95.low if level.p95.low is not None else level.p95.value or 0 for level in mine]
        high = [level.p95.high if level.p95.high is not None else level.p95.value or 0 for level in mine]
        axes.fill_between(streams, low, high, color=colour, alpha=0.14, linewidth=0)
    axes.axhline(p95_s, color=INK, linewidth=0.8, linestyle=":")
    axes.annotate(f"wanted: {p95_s:g} s", (1.0, p95_s), (-4, 4), ("axes fraction", "data"), "offset points", ha="right")
    axes.set_ylim(bottom=0)
    axes.set_xticks(sorted({level.streams for level in levels}))
    axes.set_xlabel("streams at once on one server")
    axes.set_ylabel("shown for good, p95, s")
    axes.legend(frameon=False, loc="upper left")
    return _svg(figure, "capacity")


def front_plot(points: Sequence[tuple[str, float, float, float | None, bool]]) -> str:
    """WER over delay, the dot's area the cost; those on the front are filled: none is better in all three."""
    figure, axes = _figure(7.2, 4.2)
    costs = [cost for *_, cost, _ in points if cost]
    for label, delay, wer, cost, best in points:
        area = 60 + 240 * (cost or 0) / max(costs, default=1)
        face = COLOURS[0] if best else "white"
        axes.scatter([delay], [wer], s=area, facecolor=face, edgecolor=COLOURS[0], alpha=0.85, linewidth=1.2)
        axes.annotate(label, (delay, wer), (9, 5), textcoords="offset points", fontsize=8, color=INK)
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
    face = "white" if hollow else colour
    axes.plot(
        [wer.value], [place], "o", markersize=7, markerfacecolor=face, markeredgecolor=colour, markeredgewidth=1.6
    )


def _beside(axes: "Axes") -> Any:
    """Across: the axes' own share; down: the data's."""
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
        "axes.edgecolor": "#9aa3ad",
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
    """The picture as one element, with a title for those who do not see it."""
    from matplotlib import rc_context

    written = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"font: ([^;'\"]*px) [^;\"]*", r"font: \1 inherit", svg)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{title}" ', svg, count=1)
