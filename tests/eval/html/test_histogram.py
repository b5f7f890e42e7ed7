"""Histograms as SVG."""

from eval.html.histogram import histogram, number, scale_of


def test_a_histogram_has_a_bar_for_each_value_and_one_for_outliers() -> None:
    """Sets share one scale, so values beyond it fall into the last bar; numbers are short."""
    values = [1.0, 1.0, 5.0, 9.0]
    scale = scale_of(values)
    assert histogram(values, scale, "s").count("<rect") == 3
    assert histogram([*values, 1e6], scale, "s").count("<rect") == 3
    assert "not known" in histogram([], scale, "s")
    assert [number(value) for value in (0.0, 0.123, 5.25, 52.5, -23.4)] == ["0", "0.12", "5.2", "52", "-23"]
