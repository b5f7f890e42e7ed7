"""Histograms as SVG."""

from eval.html.histogram import histogram, scale_of


def test_a_histogram_has_a_bar_for_each_value_and_one_for_outliers() -> None:
    """Sets share one scale, so values beyond it fall into the last bar."""
    values = [1.0, 1.0, 5.0, 9.0]
    scale = scale_of(values)
    assert histogram(values, scale, "s").count("<rect") == 3
    assert histogram([*values, 1e6], scale, "s").count("<rect") == 3
    assert "not known" in histogram([], scale, "s")
