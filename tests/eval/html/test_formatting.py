"""Numbers as text."""

from eval.html.formatting import between, listed, memory, number, p_value, plain, plural, significant
from eval.metrics.resampling import Interval


def test_terminals_get_ascii_and_pages_typographic_signs() -> None:
    """The same rounding; no "-0.00"; a dash where nothing is known."""
    assert [number(v) for v in (0.125, -0.25, -0.001, None)] == ["0.12", "-0.25", "0.00", "-"]
    assert [plain(v) for v in (0.125, -0.25, -0.001, None)] == ["0.12", "−0.25", "0.00", "–"]
    assert (number(0.5, sign=True), plain(-0.5, 1, sign=True)) == ("+0.50", "−0.5")


def test_significant_digits_are_two_or_three() -> None:
    """Whatever the size."""
    assert [significant(v) for v in (0.0, 0.123, 5.25, 52.5, -23.4, 520.0)] == ["0", "0.12", "5.2", "52", "-23", "520"]


def test_an_interval_without_ends_is_empty() -> None:
    """There is nothing to say."""
    assert (between(Interval(1.0, 0.5, 1.5), 1), between(Interval(1.0))) == ("0.5 to 1.5", "")


def test_words_around_numbers() -> None:
    """p-values, memory, plurals and lists."""
    assert [p_value(p) for p in (None, 0.0002, 0.0414)] == ["–", "< 0.001", "0.041"]
    assert [memory(m) for m in (None, 300 * 2**20, 3 * 2**29)] == ["–", "300 MB", "1.50 GB"]
    assert [plural(n, "recording") for n in (1, 2000)] == ["1 recording", "2 000 recordings"]
    assert [listed(parts) for parts in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]
