"""Which scripts a language is written in, and which letters of a text belong to another one.

A letter's script is the first word of its Unicode name; that holds for all letters of the languages listed here.
"""

import unicodedata
from collections.abc import Mapping

from asr.normalisation.normalise import base_language

_CJK = frozenset({"CJK"})
_LATIN = (
    *("en", "vi", "de", "fr", "es", "it", "pt", "nl", "pl", "cs", "sv", "da", "nb", "nn", "no", "fi"),
    *("tr", "ro", "hu", "id", "ms", "tl", "sw"),
)
SCRIPTS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_LATIN, frozenset({"LATIN"})),
    **dict.fromkeys(("ru", "uk", "bg", "be", "mk", "kk", "ky", "mn"), frozenset({"CYRILLIC"})),
    **dict.fromkeys(("zh", "yue"), _CJK | {"BOPOMOFO"}),
    "ja": _CJK | {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"},
    "ko": _CJK | {"HANGUL"},
    "el": frozenset({"GREEK"}),
    "ar": frozenset({"ARABIC"}),
    "fa": frozenset({"ARABIC"}),
    "he": frozenset({"HEBREW"}),
    "hi": frozenset({"DEVANAGARI"}),
    "th": frozenset({"THAI"}),
    "ka": frozenset({"GEORGIAN"}),
    "hy": frozenset({"ARMENIAN"}),
}
"""The scripts of each language. Texts in other languages are not checked."""

_EVERYWHERE = frozenset({"LATIN", "MODIFIER", "FULLWIDTH", "FEMININE", "MASCULINE", "MICRO", ""})
"""Scripts that occur in texts of every language: Latin names, units, abbreviations."""


def script(character: str) -> str:
    """The first word of the character's Unicode name; "" if it has no name."""
    return unicodedata.name(character, "").split(" ")[0]


def foreign_letters(text: str, language: str) -> str:
    """Names of the scripts in the text, Latin excepted, that its language is not written in; "" if there are none."""
    native = SCRIPTS.get(base_language(language))
    if native is None:
        return ""
    scripts = dict.fromkeys(script(c) for c in text if c.isalpha())
    return ", ".join(name.title() for name in scripts if name not in native and name not in _EVERYWHERE)


def is_foreign(text: str, language: str) -> bool:
    """True if the text has letters and all of them are foreign: probably the label of another recording."""
    native = SCRIPTS.get(base_language(language))
    letters = [character for character in text if character.isalpha()]
    return native is not None and bool(letters) and not {script(c) for c in letters} & (native | _EVERYWHERE)
