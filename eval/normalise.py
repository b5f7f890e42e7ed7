"""Makes texts comparable: the scoring unit of a language, and what normalisation removes first."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version

from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

CHARACTER_LANGUAGES = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my"})
"""Languages written without spaces between words: scored, and joined, by character."""


def base_language(language: str) -> str:
    """The code without region or script, in lower case: "zh-CN" -> "zh"; "" stays ""."""
    return language.replace("_", "-").split("-")[0].lower()


def is_by_character(language: str) -> bool:
    """True where errors are counted in characters (CER), False where in words (WER)."""
    return base_language(language) in CHARACTER_LANGUAGES


def normalise(text: str, language: str) -> str:
    """`text` as Whisper's own evaluation compares it (Radford et al. 2022, appendix C).

    English goes through the English normaliser (spellings, contractions, numbers), every other language through the
    basic one (case, punctuation, text in brackets). Diacritics stay: they are letters in Vietnamese and German.
    One difference: the English normaliser leaves the dot of "because..." as a word of its own; it is dropped here.
    """
    return " ".join(word for word in _normaliser(base_language(language))(text).split() if word.strip("."))


def units(text: str, language: str) -> tuple[str, ...]:
    """The scoring units of a text: its words, or its characters without spaces where no spaces are written."""
    return tuple("".join(text.split())) if is_by_character(language) else tuple(text.split())


def plain(word: str) -> str:
    """A word without case, outer punctuation and spaces; a word of punctuation only stays as it is.

    Words that are equal under `plain` differ only in case or punctuation. That is not counted as a change.
    """
    stripped = word.strip()
    letters = [i for i, character in enumerate(stripped) if character.isalnum()]
    return stripped[letters[0] : letters[-1] + 1].casefold() if letters else stripped


def normaliser_signature(languages: tuple[str, ...]) -> str:
    """Name and version of the normalisers that `normalise` uses for these languages."""
    kinds = sorted({"english" if base_language(language) == "en" else "basic" for language in languages})
    return f"whisper-normalizer {version('whisper-normalizer')} ({' + '.join(kinds)}, lone dots dropped)"


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    normaliser: Callable[[str], str] = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    return normaliser
