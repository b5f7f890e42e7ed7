"""Numbers in words, one way everywhere: "12.3 % (11.0 to 13.8)"."""

from eval.metrics.bootstrap import Difference, Interval
from eval.metrics.catalogue import Measure


def plain(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """A number for people; a dash where there is none; never "-0.00"."""
    if value is None:
        return "–"
    rounded = round(value, digits) + 0.0
    text = f"{rounded:+.{digits}f}" if sign else f"{rounded:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def between(found: Interval | Difference, digits: int = 2) -> str:
    """The interval, without the figure; "" where there is none."""
    return "" if found.low is None else f"{plain(found.low, digits)} to {plain(found.high, digits)}"


def figure(measure: Measure, found: Interval) -> str:
    """The figure with its unit's sign where that is short."""
    unit = {"%": " %", "s": " s"}.get(measure.unit, "")
    return plain(found.value, measure.digits) + (unit if found.value is not None else "")


def p_value(p: float | None) -> str:
    """To three places, as tables have it."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}".replace(",", " ")


def listed(parts: list[str]) -> str:
    """a, b and c."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def memory(count: int | None) -> str:
    return "–" if count is None else f"{count / 2**30:.2f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"
