"""Numbers in queries, strictly, on all wires. Python's parsers also take `1_000`, ` 5`, `٣`, `nan` and `1e9`."""

import re

_WHOLE = re.compile(r"0|[1-9][0-9]{0,8}")
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,25})?")


def whole_number(value: str, low: int, high: int) -> int | None:
    """A number from `low` to `high`, at least 0, in ASCII digits without sign, spaces or leading zeros; else None."""
    return int(value) if _WHOLE.fullmatch(value) and low <= int(value) <= high else None


def decimal_number(value: str, low: float, high: float) -> float | None:
    """The same with a point and up to 25 digits after it, or without."""
    return float(value) if _DECIMAL.fullmatch(value) and low <= float(value) <= high else None
