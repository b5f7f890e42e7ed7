"""English for scoring: Whisper's published rules, with numbers as the digits and words that are said.

The published normaliser joins spelled digits ("one two three" -> "123") but keeps written ones apart ("1 2 3" ->
"one 2 3"). Here a number is one unit for each digit, whichever way it is written, so that a string of seven digits
with one wrong digit has one error of seven.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from whisper_normalizer.english import EnglishNumberNormalizer, EnglishTextNormalizer

from asr.normalisation.english_writing import Form, compiled, dates_and_dots, rewritten, said_alike

_KEPT = "\ue000"
"""Stands before a word that the number rules must leave alone; a private code point, which no text has."""

_WRITTEN_FORMS: tuple[tuple[str, Form], ...] = (
    (r"\b(?:[a-z]\.){2,}(?![a-z0-9])|\b(?:[a-z]\.)+[a-z]\b", lambda match: match.group().replace(".", "")),  # u.s.a.
    (r"\bo'(?=\w)", "o"),  # o'brien, obrien
    (r"\bok\b", "okay"),
    (r"\bcannot\b", "can not"),
    (r"\s*&\s*", " and "),
    (r"°", " degrees "),
    (r"(?<=\d)'s\b", "s"),  # the 1960's
    (r"\b(\d+) and a half\b", r"\1.5"),
    (r"(?<=\d)\s*\+\s*(?=\d)", " plus "),
    (r"\s+(?=%)|(?<=[$€£])\s+(?=\d)", ""),
    (r"(?<!\S)[-−](?=\d)", "minus "),
    (r"\ba (?=(?:hundred|thousand|million|billion|trillion)\b)", "one "),
    (r"₹\s?(\d[\d.,]*)", r"\1 rupees"),
    (r"¥\s?(\d[\d.,]*)", r"\1 yen"),
)
"""Ways of writing that the published rules keep apart although the same is said."""
_FORMS = compiled(_WRITTEN_FORMS)

_SPLIT_DIGITS = re.compile(r"(?<![\d.])(\d) (?=\d(?:st|nd|rd|th|s)?(?![\d.]))")
_LEADING_ZEROS = re.compile(r"(?<![\d.,$€£¢+-])(0+(?=[1-9])|0+(?![\d.%]))")
_AMOUNT_WITHOUT_CENTS = re.compile(r"([$€£]\d+) (\d\d)(?![\d.%])")
_NUMBER = re.compile(r"([+-]?)([$€£¢]?)(\d+(?:\.\d+)*)(%?)(st|nd|rd|th|s)?")
_CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds", "¢": "cents"}
_SIGNS = {"+": ["plus"], "-": ["minus"], "": []}
_PLURALS = {"1s": "ones", "100s": "hundreds", f"1{'0' * 3}s": "thousands"} | {
    f"1{'0' * zeros}s": name for zeros, name in ((6, "millions"), (9, "billions"), (12, "trillions"))
}
_NAMES = ((12, "trillion"), (9, "billion"), (6, "million"), (3, "thousand"))
_SHORTEST_ROUND = 10_000
"""From here on a round number is said with a name; below, "two thousand" is as often a year, of which digits differ."""


def english(text: str) -> str:
    """`text` (in canonical characters) as Whisper's English rules compare it, numbers split into what is said.

    "Twenty-five", "25" -> "2 5"; "$2.50" -> "2 dollars 5 0 cents"; "3.5" -> "3 point 5"; "1,500,000" -> "1 point 5
    million"; "21st" -> "2 1st"; "50%" -> "5 0 percent".
    """
    text = said_alike(text.lower())
    text = rewritten(text, _FORMS)
    words = [word.removeprefix(_KEPT) for word in _PUBLISHED(text).split()]
    return " ".join(unit for word in dates_and_dots(words) for unit in _said(word))


class _Numbers(EnglishNumberNormalizer):  # type: ignore[misc]
    """The published number rules, with every digit kept: leading zeros, the 1 that is written "one", "oh" as a word.

    And "ninth", which the published table spells "nineth".
    """

    def __init__(self) -> None:
        super().__init__()
        for table in (self.ones_ordinal, self.ones_suffixed):
            table["ninth"] = (9, "th")
        self.words.add("ninth")

    def preprocess(self, s: str) -> str:
        # The published rules read "007" as 7, but "zero zero 7" as 007.
        joined = _SPLIT_DIGITS.sub(r"\1", super().preprocess(s))
        return _LEADING_ZEROS.sub(lambda match: "zero " * len(match.group()), joined)

    def process_words(self, words: list[str]) -> Iterator[str]:
        yield from super().process_words([self._kept(words, i) for i in range(len(words))])

    def postprocess(self, s: str) -> str:
        # Published, "1" becomes "one" here, also the 1 of "1 2 3" and of "$1".
        written = re.sub(r"\bone(s?)\b", r"1\1", super().postprocess(s))
        return _AMOUNT_WITHOUT_CENTS.sub(r"\1.\2", written)

    def _kept(self, words: Sequence[str], i: int) -> str:
        """The word; away from any number "oh" and "o" are an exclamation and not the digit 0."""
        if words[i] not in ("o", "oh"):
            return words[i]
        beside = [*words[max(0, i - 1) : i], *words[i + 1 : i + 2]]
        return words[i] if any(word[0].isdigit() or word in self.decimals for word in beside) else _KEPT + "oh"


def _published() -> Callable[[str], str]:
    normaliser: Callable[[str], str] = EnglishTextNormalizer()
    vars(normaliser)["standardize_numbers"] = _Numbers()
    return normaliser


def _said(word: str) -> list[str]:
    """The units of one word of the published form: itself, or what is said of a number."""
    if word in _PLURALS:
        return [_PLURALS[word]]
    match = _NUMBER.fullmatch(f"0{word}" if word.startswith(".") else word)
    if match is None:
        return [word]
    sign, currency, number, percent, suffix = match.groups()
    units = _SIGNS[sign] + _amount(number, currency) + (["percent"] if percent else [])
    return [*units[:-1], units[-1] + suffix] if suffix and units[-1].isdigit() else units


def _amount(number: str, currency: str) -> list[str]:
    whole, *fractions = number.split(".")
    if currency in ("$", "€", "£") and len(fractions) == 1 and len(fractions[0]) == 2:
        cents = [*fractions[0].lstrip("0"), "cents"] if fractions[0].strip("0") else []
        return [*_digits(whole), _CURRENCIES[currency], *cents]
    return [*(_decimal(number) if fractions else _digits(number)), *([_CURRENCIES[currency]] if currency else [])]


def _decimal(number: str) -> list[str]:
    return ["point" if character == "." else character for character in number]


def _digits(number: str) -> list[str]:
    """One unit for each digit; a large round number has a name, as it is said: 2500000 -> 2 point 5 million."""
    if len(number) < len(str(_SHORTEST_ROUND)) or number.startswith("0"):
        return [*number]
    for zeros, name in _NAMES:
        factor = (Decimal(number) / 10**zeros).normalize()
        decimals = -min(0, int(factor.as_tuple().exponent))
        if 1 <= factor < 1000 and decimals <= (1 if zeros > 3 else 0):
            return [*_decimal(f"{factor:f}"), name]
    return [*number]


_PUBLISHED = _published()
