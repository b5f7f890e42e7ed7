"""Numbers as text, one way everywhere. Pages have typographic signs ("–", "−0.25"), terminals ASCII ("-", "-0.25")."""

from eval.metrics.resampling import Difference, Interval


def number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number in ASCII, for terminals; "-" for None; never "-0.00"."""
    if value is None:
        return "-"
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if sign else f"{rounded:.{digits}f}"


def plain(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number for pages and sentences: a true minus sign; a dash for None."""
    return "–" if value is None else number(value, digits, sign).replace("-", "\N{MINUS SIGN}")


def significant(value: float) -> str:
    """A number with two or three significant digits: 0.52, 5.2, 52, 520; a small one with one: 0.002."""
    size = abs(value)
    if 0 < size < 0.095:
        return f"{value:.1g}"
    return f"{value:.0f}" if size >= 20 or value == round(value) else f"{value:.1f}" if size >= 2 else f"{value:.2f}"


def between(interval: Interval | Difference, digits: int = 2) -> str:
    """The ends of an interval: "11.0 to 13.8"; "" where there is none."""
    return "" if interval.low is None else f"{plain(interval.low, digits)} to {plain(interval.high, digits)}"


def p_value(p: float | None) -> str:
    """A p-value to three places."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def minutes(seconds: float) -> str:
    """Seconds as minutes with one decimal."""
    return f"{seconds / 60:.1f}"


def memory(size_bytes: int | None) -> str:
    """Bytes as MB or GB; a dash for None."""
    if size_bytes is None:
        return "–"
    return f"{size_bytes / 2**30:.2f} GB" if size_bytes >= 2**30 else f"{size_bytes / 2**20:.0f} MB"


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 recording", "2 000 recordings"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")


def listed(parts: list[str]) -> str:
    """Parts as a phrase: "a, b and c"; "" for no parts."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
