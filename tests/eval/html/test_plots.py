"""Names of models and data sets in plots."""

import html
import re

import pytest

from eval.html.plots import (
    AccuracyBlock,
    AccuracyDot,
    CapacityPoint,
    DelayCurve,
    FrontDot,
    accuracy_plot,
    capacity_plot,
    delay_plot,
    front_plot,
)
from eval.metrics.resampling import Interval

pytestmark = pytest.mark.slow

FOUND = Interval(5.0, 4.0, 6.0)


@pytest.mark.parametrize("name", ["$x^$", "$a$", "_under", "中文", "<b>&", "a\\b", "[/b]", "100 %", "{}"])
def test_a_name_is_drawn_as_it_is(name: str) -> None:
    """A dollar begins no formula, an underscore hides nothing, and a missing glyph is no warning."""
    plots = (
        accuracy_plot([AccuracyBlock(name, (AccuracyDot(name, "live", FOUND),))], [name]),
        delay_plot([DelayCurve(name, "live", (0.1, 0.2))], [name]),
        capacity_plot([CapacityPoint(name, 1, FOUND)], [name], 2.0),
        front_plot([FrontDot(name, 1.0, 2.0, None, True)]),
    )
    for plot in plots:
        drawn = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", plot)]
        assert name in drawn or f"{name}, live" in drawn


def test_a_plot_without_curves_has_no_legend() -> None:
    """Streams without words have no delays."""
    assert "<svg" in delay_plot([DelayCurve("a", "live", ())], ["a"])
