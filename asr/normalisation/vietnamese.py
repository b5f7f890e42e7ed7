"""Vietnamese words in one spelling: readers take these pairs for the same word, and a model cannot hear which one a
label has. For lower-case text in NFC without punctuation."""

import re
import unicodedata

_TONES = "\u0300\u0301\u0303\u0309\u0323"  # grave, acute, tilde, hook above, dot below


def _toned(letter: str) -> dict[str, str]:
    """The letter with each tone mark -> the mark."""
    return {unicodedata.normalize("NFC", letter + tone): tone for tone in _TONES}


_TONE_OF = _toned("a") | _toned("e") | _toned("y")
_MARKED_SECOND = re.compile(rf"(o)([{''.join(_toned('a') | _toned('e'))}])\b|(?<!q)(u)([{''.join(_toned('y'))}])\b")
"""Open syllables in oa, oe and uy with the mark on the second vowel, as new schoolbooks write: hoà, khoẻ, thuý. In `qu`
the u belongs to the consonant."""
_Y_FOR_I = re.compile(rf"\b(qu|[bcdđghklmnprstvx]{{1,3}})([y{''.join(_toned('y'))}])\b")
"""Syllables whose only vowel is y after a consonant: kỹ, lý, mỹ, quý. Alone, or in uy, y is another word than i."""

_NUMBER_FORMS = (
    (re.compile(r"\bngàn\b"), "nghìn"),
    (re.compile(r"\b(trăm|nghìn) linh\b"), r"\1 lẻ"),
    (re.compile(r"\bnghìn không trăm (?:lẻ )?"), "nghìn lẻ "),
    (re.compile(r"\bmươi tư\b"), "mươi bốn"),
    (re.compile(r"\bmươi nhăm\b"), "mươi lăm"),
)
"""Other ways to say a number -> the way that num2words writes it."""


def number_forms(text: str) -> str:
    """Numbers in words as num2words writes them: `hai mươi tư` -> `hai mươi bốn`."""
    for pattern, form in _NUMBER_FORMS:
        text = pattern.sub(form, text)
    return text


def one_spelling(text: str) -> str:
    """The mark on the first vowel (hòa, khỏe, thúy), and i for y after a consonant (kĩ, lí, quí)."""
    return _Y_FOR_I.sub(_with_i, _MARKED_SECOND.sub(_on_first, text))


def _on_first(match: re.Match[str]) -> str:
    first, second = match[1] or match[3], match[2] or match[4]
    bare = unicodedata.normalize("NFD", second)[0]
    return unicodedata.normalize("NFC", first + _TONE_OF[second]) + bare


def _with_i(match: re.Match[str]) -> str:
    return match[1] + unicodedata.normalize("NFC", "i" + _TONE_OF.get(match[2], ""))
