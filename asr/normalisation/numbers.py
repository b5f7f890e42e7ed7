"""Number words as digits in languages other than English, where a library knows the words.

Both texts of a pair go through it, so that "fünfundzwanzig", "25" and "2 5" are the same digits. A number is one unit
for each digit: one wrong digit of a telephone number is one error, and spaces between digits cannot be heard.
"""

import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version

import num2words
from indic_numtowords import num2words as indic_words
from text_to_num import alpha2digit
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.international import ChineseTextNormalizer

from asr.normalisation.ranges import ranges_as_words

PARSED = frozenset({"fr", "es", "pt", "de", "it", "nl", "da"})
"""Languages whose number words text2num reads, of any size."""
HAN = frozenset({"zh", "yue", "ja"})
INDIC = frozenset({"hi", "bn", "mr", "ta", "te", "ml", "kn", "gu", "pa", "ur", "ne", "or", "as"})
WRITTEN = frozenset(num2words.CONVERTER_CLASSES) - PARSED - HAN - INDIC - {"am", "en"} | {"kk", "nb", "nn"}
"""Languages whose numbers num2words writes. Its `am` fails on every number; English has rules of its own."""
UNSPACED = HAN | {"th", "lo", "km", "my"}
"""Languages that write no spaces between words."""

_NUM2WORDS_NAMES = {"kk": "kz", "nb": "no", "nn": "no"}
_ARTICLES = 2
"""Isolated numbers below this stay words: "un", "ein" and "een" are articles as often as numbers."""
_LARGEST = 9999
"""Numbers up to here, and whole thousands, are known by their words where no library reads words."""
_LONGEST_WORDS = 11
"""Words of the longest phrase that is looked up."""

_HAN_NUMBER = re.compile("[零〇一二两三四五六七八九十百千万亿億萬兩]+")
_HAN_FORMS = str.maketrans("億萬兩", "亿万两")
_NOT_ALONE = frozenset("百千万亿")
"""Alone these are part of a name or a word (千葉, 万一) more often than a number."""
_ROUND_HAN = re.compile(r"(?<!\d)([1-9]\d{0,3})(0{8}|0{4})(?!\d)")

_SYMBOLS = {
    "de": {"%": "prozent", "€": "euro", "$": "dollar", "£": "pfund", "&": "und"},
    "fr": {"%": "pour cent", "€": "euros", "$": "dollars", "£": "livres", "&": "et"},
    "es": {"%": "por ciento", "€": "euros", "$": "dólares", "£": "libras", "&": "y"},
    "pt": {"%": "por cento", "€": "euros", "$": "dólares", "£": "libras", "&": "e"},
    "it": {"%": "per cento", "€": "euro", "$": "dollari", "£": "sterline", "&": "e"},
    "nl": {"%": "procent", "€": "euro", "$": "dollar", "£": "pond", "&": "en"},
    "da": {"%": "procent", "€": "euro", "$": "dollar", "£": "pund", "&": "og"},
    "vi": {"%": "phần trăm", "€": "ơ rô", "$": "đô la", "£": "bảng", "&": "và"},
    "sv": {"%": "procent", "€": "euro", "$": "dollar", "£": "pund", "&": "och"},
    "no": {"%": "prosent", "&": "og"},
    "nb": {"%": "prosent", "&": "og"},
    "nn": {"%": "prosent", "&": "og"},
    "fi": {"%": "prosenttia"},
    "pl": {"%": "procent"},
    "cs": {"%": "procent"},
    "ru": {"%": "процентов"},
    "uk": {"%": "відсотків"},
    "hu": {"%": "százalék"},
    "id": {"%": "persen", "&": "dan"},
    "hi": {"%": "प्रतिशत"},
    "ko": {"%": "퍼센트"},
    "ja": {"%": "パーセント"},
    "th": {"%": "เปอร์เซ็นต์"},
}
"""How symbols are said. Other languages lose them."""
_DECIMAL_COMMA = {
    "de": "komma",
    "fr": "virgule",
    "es": "coma",
    "pt": "vírgula",
    "it": "virgola",
    "nl": "komma",
    "da": "komma",
    "sv": "komma",
    "no": "komma",
    "nb": "komma",
    "nn": "komma",
    "is": "komma",
    "fi": "pilkku",
    "pl": "przecinek",
    "ro": "virgulă",
    "uk": "кома",
    "be": "коска",
    "lt": "kablelis",
    "lv": "komats",
    "sr": "zapeta",
    "tr": "virgül",
    "id": "koma",
    "vi": "phẩy",
    "eo": "komo",
    "ru": "целых",
    "cs": "celá",
    "sk": "celých",
    "sl": "celih",
    "hu": "egész",
    "kk": "бүтін",
}
"""How a decimal comma is said. From Russian on it is "three wholes five tenths", and the tenths are not written."""
_DECIMAL_POINT = {"zh": "点", "yue": "点", "ja": "点", "ko": "점", "th": "จุด", "he": "נקודה"} | {
    "hi": "दशमलव",
    "mr": "दशांश",
    "ne": "दशमलव",
    "bn": "দশমিক",
    "ta": "புள்ளி",
}
"""How a decimal point is said."""
_TO = {
    "de": "bis",
    "fr": "à",
    "es": "a",
    "pt": "a",
    "it": "a",
    "nl": "tot",
    "da": "til",
    "sv": "till",
    "no": "til",
    "nb": "til",
    "nn": "til",
    "pl": "do",
    "vi": "đến",
    "id": "sampai",
    "zh": "到",
    "yue": "到",
}
"""How the dash of a range is said."""
_NEVER_ARTICLES = {
    "de": {"null": "0", "eins": "1"},
    "fr": {"zéro": "0"},
    "es": {"cero": "0"},
    "pt": {"zero": "0"},
    "it": {"zero": "0"},
    "nl": {"nul": "0", "één": "1"},
    "da": {"nul": "0"},
}
"""Words for 0 and 1 that are numbers wherever they stand."""
_THOUSANDS = re.compile(r"(?<![\d.,])(\d{1,3})((?:[.\u00a0\u202f]\d{3})+)(?![\d.])")
_DECIMAL = re.compile(r"(?<![\d.,])(\d+),(?=\d+(?![\d.]*[.,]\d))")
_DECIMAL_DOT = re.compile(r"(?<![\d.,])(\d+)\.(?=(?:\d|[6-9]\d|\d{4,})(?![\d.,:]))")
"""No time of day ("9.30"), no date ("3.5.2020"), no thousands ("1.000")."""
_ANY_DECIMAL_POINT = re.compile(r"(?<![\d.,:])(\d+)\.(?=\d+(?![\d.:]))")
_CLOCKS = {
    "de": (re.compile(r"\b(\d?\d)[.:]([0-5]\d) uhr\b", re.IGNORECASE), r"\1 uhr \2"),
    "fr": (re.compile(r"\b(\d?\d) ?h ?([0-5]\d)?\b"), r"\1 heures \2"),
}
"""Times of day as they are said: "9:30 Uhr", "9h30"."""
_CHINESE_PER_CENT = re.compile(r"(\d[\d.]*)\s?[%％]")
_CURRENCY_FIRST = re.compile(r"([€$£])\s?(\d[\d.,]*)")

_basic = BasicTextNormalizer(preserve_marks=True)
_chinese = ChineseTextNormalizer()


def symbols_as_words(text: str, language: str) -> str:
    """Currencies, per cent, "and", decimal commas and ranges as words of the language, a currency behind its number."""
    words = _SYMBOLS.get(language, {})
    if language in _CLOCKS:
        written, said = _CLOCKS[language]
        text = written.sub(said, text)
    if language in _TO:
        text = ranges_as_words(text, _TO[language])
    if language in _DECIMAL_COMMA:
        said = rf"\1 {_DECIMAL_COMMA[language]} "
        text = _THOUSANDS.sub(lambda match: match[1] + re.sub(r"\D", "", match[2]), text)
        text = _DECIMAL_DOT.sub(said, _DECIMAL.sub(said, text))
    if language in ("zh", "yue"):
        text = _CHINESE_PER_CENT.sub(r"百分之\1", text)
    if language in _DECIMAL_POINT:
        space = "" if language in UNSPACED else " "
        text = _ANY_DECIMAL_POINT.sub(rf"\1{space}{_DECIMAL_POINT[language]}{space}", text)
    return "".join(f" {words.get(c, c)} " if c in words else c for c in _CURRENCY_FIRST.sub(r"\2 \1", text))


def number_words_as_digits(text: str, language: str) -> str:
    """Lower-case `text` without punctuation, its number words as digits and its digits as words of their own.

    In a language without a library only the digits are separated. Ordinals stay words, except in German, where "3."
    and "dritte" are both 3.
    """
    if language in HAN:
        return _ROUND_HAN.sub(_round_han, _HAN_NUMBER.sub(_han_digits, text))
    if language in PARSED:
        digits = alpha2digit(text, language, threshold=_ARTICLES)
        digits = re.sub(r"(?<=\d)[.,](?=\d)", f" {_DECIMAL_COMMA[language]} ", digits)
        sure = _NEVER_ARTICLES[language]
        text = " ".join(sure.get(word, word) for word in re.sub("[.,]", " ", digits).split())
    elif language in INDIC | WRITTEN:
        text = _look_up(text, _phrases(language), spaced=language not in UNSPACED)
    return text if language in UNSPACED else _digits_apart(text)


def number_libraries(languages: Iterable[str]) -> tuple[str, ...]:
    """The libraries, with versions, that know the number words of these languages."""
    codes = set(languages)
    libraries = (("text2num", PARSED), ("indic-numtowords", INDIC), ("num2words", WRITTEN))
    return tuple(f"{name} {version(name)}" for name, known in libraries if known & codes)


def _digits_apart(text: str) -> str:
    return " ".join(re.sub(r"(?<=\d)(?=\w)|(?<=\w)(?=\d)", " ", text).split())


def _han_digits(match: re.Match[str]) -> str:
    written = match.group().translate(_HAN_FORMS)
    number: str = match.group() if written in _NOT_ALONE else _chinese(written)
    return number


def _round_han(match: re.Match[str]) -> str:
    """250000 as 25万: otherwise one wrong character of a large number is an error for each of its zeros."""
    return match.group(1) + {4: "万", 8: "亿"}[len(match.group(2))]


def _look_up(text: str, phrases: dict[str, str], spaced: bool) -> str:
    """`text` with the longest known phrase at each place as digits, wherever the phrase has its spaces."""
    units = text.split() if spaced else [*text]
    longest = _LONGEST_WORDS if spaced else max(map(len, phrases))
    out: list[str] = []
    start = 0
    while start < len(units):
        ends = range(min(len(units), start + longest), start, -1)
        end = next((end for end in ends if "".join(units[start:end]) in phrases), start)
        out.append(phrases["".join(units[start:end])] if end > start else units[start])
        start = max(end, start + 1)
    return (" " if spaced else "").join(out)


@cache
def _phrases(language: str) -> dict[str, str]:
    """Each number by its words without spaces, "one thousand" without its "one" as well."""
    table: dict[str, str] = {}
    one, *thousand = _words(1000, language)
    for number in [*range(_LARGEST + 1), *range(_LARGEST + 1, 1_000_000, 1000)]:
        words = _words(number, language)
        table.setdefault("".join(words), str(number))
        if thousand and 1000 <= number < 2000 and words[0] == one:
            table.setdefault("".join(words[1:]), str(number))
    return table


def _words(number: int, language: str) -> list[str]:
    words: list[str] = _basic(_written(number, language)).split()
    return words


def _written(number: int, language: str) -> str:
    if language in INDIC:
        return str(indic_words(number, lang=language))
    return str(num2words.num2words(number, lang=_NUM2WORDS_NAMES.get(language, language)))
