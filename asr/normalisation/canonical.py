"""One form for characters that can be written in several ways, so that texts differ only where the words do.

Each rule is about writing, never about what was said: a rule that would merge two spoken words does not belong here.
"""

import re
import unicodedata
from functools import cache

from opencc import OpenCC

_SEQUENCES = (
    ("\u0d23\u0d4d\u200d", "\u0d7a"),  # Malayalam chillus before Unicode 5.1: consonant, virama, joiner
    ("\u0d28\u0d4d\u200d", "\u0d7b"),
    ("\u0d30\u0d4d\u200d", "\u0d7c"),
    ("\u0d32\u0d4d\u200d", "\u0d7d"),
    ("\u0d33\u0d4d\u200d", "\u0d7e"),
    ("\u0d15\u0d4d\u200d", "\u0d7f"),
    ("\u09a4\u09cd\u200d", "\u09ce"),  # Bengali khanda ta before Unicode 4.1
    ("\u0930\u094d\u200d", "\u0931\u094d"),  # Marathi eyelash ra, two encodings (Unicode 15, chapter 12.1)
    ("\u0d7b\u0d4d\u0d31", "\u0d28\u0d4d\u0d31"),  # Malayalam nta, two encodings
    ("\u0bb6\u0bcd\u0bb0\u0bc0", "\u0bb8\u0bcd\u0bb0\u0bc0"),  # Tamil shri, two encodings
    ("\u0671", "\u0627"),  # Arabic alef wasla, an alef in pointed texts
    ("\u05f0", "\u05d5\u05d5"),  # Yiddish digraphs, which have keys of their own
    ("\u05f1", "\u05d5\u05d9"),
    ("\u05f2", "\u05d9\u05d9"),
)
"""Two encodings of one letter that Unicode's normal forms keep apart. All other joiners only shape the glyphs."""

_LETTERS: dict[str, dict[int, int] | dict[int, str]] = {
    "fa": str.maketrans("\u064a\u0649\u0643", "\u06cc\u06cc\u06a9"),  # yeh and kaf of Arabic keyboards
    "ur": str.maketrans("\u064a\u0649\u0643", "\u06cc\u06cc\u06a9"),
    "ro": str.maketrans("\u015f\u0163\u015e\u0162", "\u0219\u021b\u0218\u021a"),  # cedilla for comma below
    "ru": str.maketrans("ёЁ", "еЕ"),  # its dots are optional
    "vi": str.maketrans("\u00d0\u00f0\u0189\u0256", "\u0110\u0111\u0110\u0111"),  # eth and African d look like đ
    "de": str.maketrans({"ß": "ss", "ẞ": "SS"}),  # always ss in Switzerland
}
"""Letters of another keyboard, country or habit of writing that stand for one of this language."""

_CHINESE = frozenset({"zh", "yue"})

_OPTIONAL_MARKS = re.compile(
    "[\u0610-\u061a\u064b-\u0653\u0656-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u08d3-\u08ff]"
    "|\u0640"  # Arabic vowel points, Quranic marks; tatweel only stretches a word
    "|(?<=[\u0400-\u052f])[\u0300\u0301]"  # the stress marks of Russian and Ukrainian primers; й, ё and ї are composed
    "|[\u055b\u055c\u055e]"  # Armenian stress, exclamation and question marks stand inside the word
)
_HEBREW_POINTS = re.compile("[\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7]")
_NO_POINTS_TO_DROP = "yi"
"""Yiddish: points there are letters (pasekh alef and komets alef are two vowels)."""

_BRACKETED_DIGITS = re.compile(r"[(（]\s*(\+?\d[\d\s.-]*)[)）]")
"""A dialling code or a year; other text in parentheses may be a remark."""

_INVISIBLE = re.compile(
    "[\u034f\u17b4\u17b5\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]"  # shape the glyphs only
)
_WORD_APOSTROPHE = re.compile(
    r"(?<=\w)[\u2018\u2019\u201b\u02bb\u02bc\ua78c\uff07\u00b4`\u2032](?=\w)|[\u2019\u02bc](?=\w)"
)
_DOT_OVER_I = re.compile("(?<=i)\u0307")

_TURKIC = frozenset({"tr", "az", "crh", "gag"})
"""Languages where I is the capital of ı, and İ that of i."""

_THAI_LAO_ORDER = (
    (re.compile("([\u0e48-\u0e4b])([\u0e31\u0e34-\u0e37\u0e47])"), r"\2\1"),  # vowel above, then tone
    (re.compile("([\u0ec8-\u0ecb])([\u0eb1\u0eb4-\u0eb7\u0ebb])"), r"\2\1"),
    (re.compile("(?:\u0e4d([\u0e48-\u0e4b])\u0e32|(?:\u0e33|\u0e4d\u0e32)([\u0e48-\u0e4b]))"), "\\1\\2\u0e33"),
    (re.compile("(?:\u0ecd([\u0ec8-\u0ecb])\u0eb2|(?:\u0eb3|\u0ecd\u0eb2)([\u0ec8-\u0ecb]))"), "\\1\\2\u0eb3"),
    (re.compile("\u0e40\u0e40"), "\u0e41"),  # sara e twice looks like sara ae
)
"""Orders of typing that look the same and that Unicode's normal forms keep apart: tone and vowel, tone and sara am."""


def open_digits(text: str) -> str:
    """`text` without the parentheses around digits, which are said: "(800) 555-1212"."""
    return _BRACKETED_DIGITS.sub(r" \1 ", text)


def canonical(text: str, language: str) -> str:
    """`text` in NFC, without invisible characters and optional points, with ASCII digits and ASCII apostrophes.

    `language`: its code without region, or "". Dropped: the byte order mark, zero-width characters (with or without a
    joiner a Persian or Indic word is said the same), Arabic and Hebrew vowel points, tatweel, stress marks of Cyrillic.
    Kept: every mark that is part of ordinary spelling, such as the vowel signs of Hindi and Thai. Turkish capitals
    become their own small letters here, because `str.lower` makes "i" and a combining dot of İ. Chinese characters
    become the simplified ones, Russian ё becomes е, German ß ss.
    """
    text = unicodedata.normalize("NFC", text)
    for sequence, letter in _SEQUENCES:
        text = text.replace(sequence, letter)
    text = text.translate(_LETTERS.get(language, {}))
    if language in _CHINESE:
        text = _simplifier().convert(text)
    text = _OPTIONAL_MARKS.sub("", "".join(c for c in text if not _is_invisible(c)))
    if language != _NO_POINTS_TO_DROP:
        text = _HEBREW_POINTS.sub("", text)
    for pattern, order in _THAI_LAO_ORDER:
        text = pattern.sub(order, text)
    text = _WORD_APOSTROPHE.sub("'", text)
    text = unicodedata.normalize("NFC", "".join(map(_ascii_digit, text)))
    return _small_i(open_digits(text), language)


def is_part_of_word(character: str) -> bool:
    """True for letters, digits and marks: a word may end in a vowel sign, which `str.isalnum` takes for punctuation."""
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _is_invisible(character: str) -> bool:
    """Format and control characters, variation selectors, enclosing marks; white space is visible."""
    hidden = unicodedata.category(character) in ("Cf", "Cc", "Me") and not character.isspace()
    return hidden or bool(_INVISIBLE.match(character))


def _ascii_digit(character: str) -> str:
    """A decimal digit of any script in ASCII: labels and models write ٢٥, २५ or 25 for the same words."""
    return str(unicodedata.decimal(character, character))


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


def _small_i(text: str, language: str) -> str:
    if language in _TURKIC:
        text = text.replace("I", "ı")
    return _DOT_OVER_I.sub("", text.replace("İ", "i"))
