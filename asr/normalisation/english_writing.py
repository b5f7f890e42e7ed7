"""Ways of writing English that are said alike and that Whisper's published rules keep apart.

Times of day, ranges, fractions, dozens, amounts of money, units, dates, numerals of kings and wars. Each rule is on
lower-case text, before number words become digits. What is ambiguous stays as it is written: "twenty to eight" is a
time, as no range falls, but "five to ten" is one only beside "at", "o'clock" or "pm".
"""

import re
from collections.abc import Callable, Sequence

from asr.normalisation.ranges import ranges_as_words

_ONES = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
_NAMES = {name: value for value, name in enumerate(f"{_ONES} eighteen nineteen twenty".split(), 1)}
_NAMES |= {f"twenty{space}{name}": 20 + value for space in " -" for name, value in [*_NAMES.items()][:9]}
_DIGIT = "zero|oh|o|" + "|".join(list(_NAMES)[:9])
_SMALL = "|".join(sorted(_NAMES, key=len, reverse=True)) + r"|[12]\d|0?[1-9]"
_HOUR = "|".join(list(_NAMES)[:12]) + r"|1[0-2]|0?[1-9]"
_NO_HOUR = r"(?![\w%-]|[\s.,:/]\d|\s(?:percent|per cent|hundred|thousand|million|billion)\b)"
"""What must not follow an hour: it would be part of a larger number."""
_HALF_DAY = r"(?=\s*(?:[ap]\.?\s?m\b|o'?clock|in the (?:morning|afternoon|evening)|at night))"
_AT = r"(?<=\bat )|(?<=\bby )|(?<=\bit's )|(?<=\bit is )|(?<=\buntil )|(?<=\btill )"
_SOON = r"(?<!\d )(?:five|ten|twenty|twenty[ -]five|5|10|20|25)"
_WAR_OR_CHAPTER = "world war|war|part|chapter|volume|act|scene|section|phase|book|article|appendix|type|super bowl"
_KINGS = "henry|elizabeth|louis|charles|george|edward|richard|james|william|philip|john paul|pius|napoleon|nicholas"
_ROMAN = {
    f"{tens}{ones}": 10 * len(tens) + number
    for tens in ("", "x")
    for number, ones in enumerate(("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"))
    if tens or ones
}
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_SURE_MONTHS = "|".join(month for month in _MONTHS if month not in ("march", "may"))
_DAY_FIRST = re.compile(rf"\b(?:the )?((?:[123] ?)?\d(?:st|nd|rd|th)) (?:of )?({'|'.join(_MONTHS)})\b")
_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth"} | {
    10: "tenth",
    16: "sixteenth",
    32: "thirty second",
}
_DECIMALS = {"half": "five", "quarter": "two five", "quarters": "seven five"}
_SIGNS = {
    "½": "1/2",
    "⅓": "1/3",
    "⅔": "2/3",
    "¼": "1/4",
    "¾": "3/4",
    "⅕": "1/5",
    "⅖": "2/5",
    "⅗": "3/5",
    "⅘": "4/5",
} | {
    "⅙": "1/6",
    "⅚": "5/6",
    "⅛": "1/8",
    "⅜": "3/8",
    "⅝": "5/8",
    "⅞": "7/8",
}
_MULTIPLES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "tn": "trillion"}
_UNITS = {
    "km": "kilometer",
    "cm": "centimeter",
    "mm": "millimeter",
    "kg": "kilogram",
    "mg": "milligram",
    "ml": "milliliter",
    "lb": "pound",
    "lbs": "pound",
    "oz": "ounce",
    "yd": "yard",
    "yds": "yard",
    "hr": "hour",
    "hrs": "hour",
    "min": "minute",
    "mins": "minute",
    "sec": "second",
    "secs": "second",
    "kb": "kilobyte",
    "mb": "megabyte",
    "gb": "gigabyte",
    "tb": "terabyte",
    "kw": "kilowatt",
}
_WHOLE_UNITS = {
    "km/h": "kilometers per hour",
    "kph": "kilometers per hour",
    "kmh": "kilometers per hour",
    "mph": "miles per hour",
    "m/s": "meters per second",
    "kwh": "kilowatt hours",
    "hz": "hertz",
    "khz": "kilohertz",
    "mhz": "megahertz",
    "ghz": "gigahertz",
    "°c": "degrees celsius",
    "°f": "degrees fahrenheit",
    "¢": "cents",
}


def said_alike(text: str) -> str:
    """Lower-case `text` with written times, ranges, fractions, amounts and units as they are said."""
    for sign, fraction in _SIGNS.items():
        text = text.replace(sign, f" {fraction} ")
    text = ranges_as_words(text, "to")
    return rewritten(text, _FORMS)


Form = str | Callable[[re.Match[str]], str]
"""What a pattern is replaced by, as `re.sub` takes it."""


def compiled(forms: Sequence[tuple[str, Form]]) -> tuple[tuple[re.Pattern[str], Form], ...]:
    """Patterns and their replacements, for `rewritten`."""
    return tuple((re.compile(pattern), form) for pattern, form in forms)


def rewritten(text: str, forms: Sequence[tuple[re.Pattern[str], Form]]) -> str:
    """`text` after all replacements, one after another."""
    for pattern, form in forms:
        text = pattern.sub(form, text)
    return text


def dates_and_dots(words: Sequence[str]) -> list[str]:
    """The words of the published form, with "dot" between numbers as "point" and one form for the days of a month.

    "july 4" is "july 4th"; "14th june", which was "fourteenth June", is "the 14th of june", as "14 June" is in digits.
    """
    out = list(words)
    for i, word in enumerate(words):
        before, after = words[i - 1 : i], words[i + 1 : i + 2]
        if before and before[0] in _MONTHS and word.isdigit() and 1 <= int(word) <= 31:
            out[i] = ordinal(int(word))
        elif word == "dot" and before and after and before[0][-1].isdigit() and after[0][0].isdigit():
            out[i] = "point"
    return _DAY_FIRST.sub(r"the \1 of \2", " ".join(out)).split()


def ordinal(number: int) -> str:
    """21 -> "21st"."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NAMES[word]


def _past(match: re.Match[str]) -> str:
    minutes, hour = match.groups()
    return f"{_number(hour)}:{ {'quarter': 15, 'half': 30}.get(minutes) or _number(minutes):02d}"


def _before(match: re.Match[str]) -> str:
    minutes = 15 if match.group("m") == "quarter" else _number(match.group("m"))
    return f"{(_number(match.group('h')) - 2) % 12 + 1}:{60 - minutes}"


def _falls(match: re.Match[str]) -> str:
    """ "Twenty to eight" is a time: no range falls."""
    falls = _number(match.group("m")) > _number(match.group("h"))
    return _before(match) if falls else match.group()


def _fraction(match: re.Match[str]) -> str:
    whole, above, below = match.group(1) or "", int(match.group(2)), int(match.group(3))
    if below not in _PARTS or not 0 < above < below:
        return match.group()
    name = _PARTS[below] + ("s" if above > 1 else "")
    if whole and (above, below) in ((1, 2), (1, 4), (3, 4)):
        return f"{whole}{ {(1, 2): '.5', (1, 4): '.25', (3, 4): '.75'}[above, below] }"
    said = f"{list(_NAMES)[above - 1]} {name}"
    return f"{whole} and {said}" if whole else said


def _dozen(match: re.Match[str]) -> str:
    return f"{12 * (1 if match.group(1) in ('a', 'one') else _number(match.group(1)))}"


def _unit(match: re.Match[str]) -> str:
    number, unit = match.groups()
    return f"{number} {_UNITS[unit]}{'' if number == '1' else 's'}"


def _roman(match: re.Match[str]) -> str:
    return f"{match.group(1)} {_ROMAN[match.group(2)]}"


def _king(match: re.Match[str]) -> str:
    return f"{match.group(1)} the {ordinal(_ROMAN[match.group(2)])}"


def _day(match: re.Match[str]) -> str:
    return f"the {ordinal(int(match.group(1)))} of {match.group(2)}"


def _alternatives(words: Sequence[str]) -> str:
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


_WRITTEN: tuple[tuple[str, Form], ...] = (
    # times of day
    (r"\b([ap])(?:\. | )m\b", r"\1m"),
    (rf"\b(?:a )?(quarter|half|{_SMALL})(?: minutes?)? past ({_HOUR}){_NO_HOUR}", _past),
    (rf"\b(?:a )?(quarter) after ({_HOUR}){_NO_HOUR}", _past),
    (rf"\b(?:a )?(?P<m>quarter) (?:to|till?) (?P<h>{_HOUR}){_NO_HOUR}", _before),
    (rf"\b(?P<m>{_SMALL}) minutes (?:to|before) (?P<h>{_HOUR}){_NO_HOUR}", _before),
    (rf"\b(?P<m>{_SOON}) to (?P<h>{_HOUR}){_NO_HOUR}{_HALF_DAY}", _before),
    (rf"(?:{_AT})(?P<m>{_SOON}) to (?P<h>{_HOUR}){_NO_HOUR}", _before),
    (rf"\b(?P<m>{_SOON}) to (?P<h>{_HOUR}){_NO_HOUR}", _falls),
    (r"\b0([1-9]):(?=\d\d(?![\d:]))", r"\1:"),
    (r"(?<![\d:])(1[0-2]|[1-9]):00(?![\d:])(?=\s*(?:[ap]\.?\s?m\b|o'?clock))", r"\1"),
    (r"(?<![\d:])(1[0-2]|[1-9]):00(?![\d:])", r"\1 o'clock"),
    # dozens, halves of millions, fractions
    (r"\bhalf(?: a)? dozen\b", "six"),
    (rf"\b(a|{_SMALL}) dozen\b", _dozen),
    (r"(?<!\band )(?<!\band a )\b(?:a half|half an?|half(?: one)?) (million|billion|trillion)\b", r"0.5 \1"),
    (r"\b(?:a |one )?quarter(?: of)?(?: a)? (million|billion|trillion)\b", r"0.25 \1"),
    (r"\b(?:a|one) (million|billion|trillion) and a half\b", r"1.5 \1"),
    (r"\b(\d+|two|three|four|five|six|seven|eight|nine) (million|billion|trillion) and a half\b", r"\1 point five \2"),
    (r"(?<![\d/.,])(?:(\d+)[\s-]+)?(\d+)/(\d+)(?![\d/]|[.,]\d)", _fraction),
    (rf"\b({_SMALL}|thirty|forty|fifty|\d+) and (?:a|one|1) (?:quarter|fourth)\b", r"\1 point two five"),
    (rf"\b({_SMALL}|thirty|forty|fifty|\d+) and (?:three|3) (?:quarters|fourths)\b", r"\1 point seven five"),
    (r"\b(?:1|one) fourth\b", "one quarter"),
    (r"\b(?:3|three) fourths\b", "three quarters"),
    (r"(?<!\band )\ba half\b", "one half"),
    (r"\ba quarter\b", "one quarter"),
    (r"\ba (third|fifth|sixth|seventh|eighth|ninth|tenth)(?= of\b|\s*(?:$|[.,;:!?]))", r"one \1"),
    (r"\b(?:oh?) point\b", "zero point"),
    # telephone numbers
    (rf"\b({'|'.join(list(_NAMES)[:9])}) hundred(?=(?: (?:{_DIGIT})\b){{3}})", r"\1 zero zero"),
    (r"(?<!\S)\+(?=\d)", "plus "),
    # money
    (r"([$€£])\s?(\d[\d.,]*)\s?(k|mn?|bn?|tn)\b", lambda m: f"{m.group(1)}{m.group(2)} {_MULTIPLES[m.group(3)]}"),
    (r"(?<![\w$€£.,])(\d[\d.,]*)\s?([$€£])(?!\d)", r"\2\1"),
    (r"£0\.0?(\d+)\b", r"\1 pence"),
    (r"\b(\d\d?)p\b", r"\1 pence"),
    (r"\bpounds?(?: and)? ((?:[a-z]+[ -])?[a-z]+|\d\d?) pence\b", r"pounds \1"),
    # units, signs between numbers
    (rf"(?<=\d)\s?({_alternatives(list(_WHOLE_UNITS))})(?!\w)", lambda m: f" {_WHOLE_UNITS[m.group(1)]}"),
    (rf"(?<![\d.,])(\d[\d.,]*)\s?({_alternatives(list(_UNITS))})\b", _unit),
    (r"(?<=\d)\s?ft\b", " feet"),
    (r"(\d)'\s?(\d\d?)(?:\"|''|\u201d|\u2033)", r"\1 foot \2"),
    (r"(?<=\d)\s*x\s*(?=\d)", " by "),
    (r"(?<=\d)\s?x\b", " times"),
    (r"(?<=\d)\s*×\s*(?=\d)", " times "),
    (r"(?<=\d)\s*=\s*(?=\d)", " equals "),
    (r"(?:#|\bno\.|№)\s?(?=\d)", "number "),
    # numerals and days
    (rf"\b({_WAR_OR_CHAPTER}) ({_alternatives(list(_ROMAN))})\b", _roman),
    (rf"\b({_KINGS}) ({_alternatives([numeral for numeral in _ROMAN if numeral != 'i'])})\b", _king),
    (rf"\b(?<!\d )(?:the )?(\d\d?)(?:st|nd|rd|th)? (?:of )?({_SURE_MONTHS})\b", _day),
    (r"\b(?<!\d )(?:the )?(\d\d?)(?:st|nd|rd|th) (?:of )?(march|may)\b", _day),
)
_FORMS = compiled(_WRITTEN)
