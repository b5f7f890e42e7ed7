"""Texts made comparable: which units a language is scored in, and what normalisation takes away before."""

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
    basic one (case, punctuation, what stands in brackets); diacritics stay: they are letters in Vietnamese and German.
    One thing differs: the English normaliser leaves a dot of "because..." behind as a word, which is dropped here.
    """
    return " ".join(word for word in _normaliser(base_language(language))(text).split() if word.strip("."))


def units(text: str, language: str) -> tuple[str, ...]:
    """What is counted: words, or the characters other than spaces in a language that writes no spaces."""
    return tuple("".join(text.split())) if is_by_character(language) else tuple(text.split())


def plain(word: str) -> str:
    """A word without case, outer punctuation and spaces; what has nothing else stays as it is.

    Two words that are `plain`-ly equal are the same word to a reader who does not mind a comma that came late.
    """
    stripped = word.strip()
    letters = [i for i, character in enumerate(stripped) if character.isalnum()]
    return stripped[letters[0] : letters[-1] + 1].casefold() if letters else stripped


def normaliser_signature(languages: tuple[str, ...]) -> str:
    """Name and version of what `normalise` used for these languages."""
    kinds = sorted({"english" if base_language(language) == "en" else "basic" for language in languages})
    return f"whisper-normalizer {version('whisper-normalizer')} ({' + '.join(kinds)}, lone dots dropped)"


@cache
def _normaliser(language: str) -> Callable[[str], str]:
    normaliser: Callable[[str], str] = EnglishTextNormalizer() if language == "en" else BasicTextNormalizer()
    return normaliser
