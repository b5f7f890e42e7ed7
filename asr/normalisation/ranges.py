"""Ranges of numbers: the dash of "3-4 years" is said, that of "555-1212" is not."""

import re
from decimal import Decimal

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_RANGE = re.compile(
    rf"(?<![\w.,:/$€£\-\u2013])([$€£]?)({_NUMBER})(-|\s?\u2013\s?)([$€£]?)({_NUMBER})(?![\-\u2013]|[.,:/]?\d)"
)
_SAID_AS_RANGE = frozenset({("9", "5")})
_SAID_AS_NAME = frozenset({("7", "11"), ("9", "11")})
_FEWEST_DIGITS_OF_A_YEAR = 4


def ranges_as_words(text: str, to: str) -> str:
    """`text` with the dash of each range as `to`, the word of the language.

    An en dash is a range. A hyphen is one where the numbers rise and look alike: "3-4", "1990-1995", "1990-95",
    "50-100", but neither scores and names ("24-7", "3-0", "9-11") nor telephone numbers ("555-1212").
    """

    def said(match: re.Match[str]) -> str:
        currency, low, dash, other, high = match.groups()
        if dash == "-" and not _rises(low.replace(",", ""), high.replace(",", "")):
            return match.group()
        return f"{low} {to} {other or currency}{high}" if not other else f"{currency}{low} {to} {other}{high}"

    return _RANGE.sub(said, text)


def _rises(low: str, high: str) -> bool:
    if (low, high) in _SAID_AS_RANGE:
        return True
    if (low, high) in _SAID_AS_NAME or (low.startswith("0") and "." not in low):
        return False
    if len(low) == _FEWEST_DIGITS_OF_A_YEAR and len(high) == 2:
        return int(low) % 100 < int(high)
    longest = max(len(low.split(".")[0]), len(high.split(".")[0]))
    alike = longest < 3 or len(low) == len(high) or (len(low) == 2 and len(high) == 3) or _is_round(low, high)
    return alike and Decimal(low) < Decimal(high)


def _is_round(*numbers: str) -> bool:
    return all(number.endswith("00") for number in numbers)
