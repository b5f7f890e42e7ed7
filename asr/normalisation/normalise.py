"""Makes texts comparable: the scoring unit of a language, and what normalisation removes first."""

import re
from collections.abc import Callable
from functools import cache, lru_cache
from importlib.metadata import version
from itertools import groupby

from whisper_normalizer.basic import BasicTextNormalizer

from asr.languages import closest_code
from asr.normalisation.canonical import canonical, is_part_of_word
from asr.normalisation.english import english
from asr.normalisation.numbers import HAN, number_libraries, number_words_as_digits, symbols_as_words
from asr.normalisation.vietnamese import number_forms, one_spelling

CHARACTER_LANGUAGES = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my"})
"""Languages written without spaces between words: scored, and joined, by character."""

RULES = 6
"""Version of the rules that this project adds to the published normalisers. 1: lone dots dropped; 2: marks kept, one
form of each character; 3: numbers as digits, compounds, alternates; 4: Vietnamese words in one spelling;
5: times, ranges, fractions, units and dates in English, decimal commas and ranges in languages that say them; 6: the
days of a month in words."""

_KINDS = {"en": "english", "": "english or basic with marks, by word"}
_OTHER = "und"
"""The code of "another language" (ISO 639-2: undetermined)."""

_BRACKETED = (re.compile(r"[<\[][^>\]]*[>\]]"), re.compile(r"\(([^)]+?)\)"))
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Characters of the scripts of `CHARACTER_LANGUAGES`: Thai, Lao, Burmese, Khmer, kana, Han."""


def base_language(language: str) -> str:
    """The language's code: "zh-CN", "cmn" and "Chinese" -> "zh"; "" stays "". Of an unknown name its first part."""
    return closest_code(language)


def is_by_character(language: str) -> bool:
    """True where errors are counted in characters (CER), False where in words (WER)."""
    return base_language(language) in CHARACTER_LANGUAGES


@lru_cache(maxsize=1 << 16)  # each system and each mode has the same references, each alignment the same words
def normalise(text: str, language: str) -> str:
    """`text` as Whisper's own evaluation compares it (Radford et al. 2022, appendix C), in one form of each character.

    English goes through the English normaliser (spellings, contractions, numbers), every other language through the
    basic one (case, punctuation, text in brackets). Marks stay: vowel signs and diacritics are letters in Hindi, Thai,
    Vietnamese and German. `canonical` says which ones are optional spelling and go. Number words become digits, and
    each digit is a word: `english`, `numbers`.

    Without a language, words of ASCII letters are normalised as English, and all others as basic; characters of scripts
    that are written without spaces become words.
    """
    code = base_language(language)
    return " ".join(word for word in _normaliser(code)(canonical(text, code)).split() if word.strip("."))


def units(text: str, language: str) -> tuple[str, ...]:
    """The scoring units of a text: its words, or its characters without spaces where no spaces are written."""
    return tuple("".join(text.split())) if is_by_character(language) else tuple(text.split())


@lru_cache(maxsize=1 << 16)  # each word is shown in many partials
def plain(word: str) -> str:
    """A word without case, outer punctuation and spaces; a word of punctuation only stays as it is.

    Words that are equal under `plain` differ only in case or punctuation. That is not counted as a change.
    """
    stripped = word.strip()
    letters = [i for i, character in enumerate(stripped) if is_part_of_word(character)]
    return stripped[letters[0] : letters[-1] + 1].casefold() if letters else stripped


def normaliser_signature(languages: tuple[str, ...]) -> str:
    """Names and versions of the libraries that `normalise` uses for these languages, and of its own rules."""
    codes = tuple(map(base_language, languages))
    kinds = " + ".join(sorted({_KINDS.get(code, "basic with marks") for code in codes}))
    libraries = (f"whisper-normalizer {version('whisper-normalizer')} ({kinds})", *number_libraries(codes))
    return f"{', '.join(libraries)}; rules {RULES}"


def how_compared(language: str) -> str:
    """For readers: by which rules texts of this language are compared, and what they do about numbers."""
    code = base_language(language)
    if not code:
        return "words of ASCII letters as English, all others by the basic rules; digits one by one; counted in words"
    rules = "Whisper's English rules" if code == "en" else "Whisper's basic rules with vowel signs and other marks kept"
    libraries = number_libraries((code,))
    words = code == "en" or code in HAN or bool(libraries)
    by = f" (by {' and '.join(libraries)})" if libraries else ""
    numbers = f"number words{by} as digits" if words else "digits one by one, number words stay words"
    unit = "characters" if is_by_character(code) else "words; a compound may be one word or two"
    return f"{rules}; {numbers}; counted in {unit}"


def _other(language: str) -> Callable[[str], str]:
    basic = BasicTextNormalizer(preserve_marks=True)
    if language == "vi":
        return lambda text: one_spelling(
            number_words_as_digits(number_forms(basic(symbols_as_words(text, "vi"))), "vi")
        )
    return lambda text: number_words_as_digits(basic(symbols_as_words(text, language)), language)


def _unknown(text: str) -> str:
    """A text without a language: English rules for the words that may be English, the basic ones for all others."""
    for bracketed in _BRACKETED:  # before the text is split, since brackets may hold several words
        text = bracketed.sub("", text)
    runs = groupby(_UNSPACED.sub(r" \g<0> ", text).split(), key=_may_be_english)
    return " ".join(_normaliser("en" if english else _OTHER)(" ".join(words)) for english, words in runs)


def _may_be_english(word: str) -> bool:
    return all(character.isascii() for character in word if is_part_of_word(character))


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    if language == "en":
        return english
    return _other(language) if language else _unknown
