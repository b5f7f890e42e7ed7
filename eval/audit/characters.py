"""Trouble with characters that the eye does not see: normal forms, look-alikes, invisible ones, the wrong script.

Scripts are told by the first word of a letter's Unicode name, which is the script's for all letters in use here.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence

from eval.audit.findings import Finding, example, grouped, of_examples
from eval.data.types import Utterance
from eval.normalise import base_language

AREA = "characters"

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
"""The scripts that a language is written in; of a language that is not here nothing is said."""

LOOKALIKES: Mapping[str, str] = {"Ð": "Đ", "ð": "đ", "Ɖ": "Đ", "ɖ": "đ", "ı": "i", "ƀ": "b"}
"""Letters of one script that stand in for Vietnamese ones: eth for đ, above all."""

_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
"""Grave, acute, tilde, hook above, dot below: Vietnamese tones; circumflex, breve and horn belong to the vowel."""
_SPACES = frozenset(" \t\n\r")
_EVERYWHERE = frozenset({"LATIN", "MODIFIER", "FULLWIDTH", "FEMININE", "MASCULINE", "MICRO", ""})
_UNSEEN = frozenset({"Cf", "Cc", "Co", "Cn", "Cs", "Zs", "Zl", "Zp"})


def script_findings(utterances: Sequence[Utterance]) -> list[Finding]:
    """All that this module finds."""
    finders: tuple[Callable[[Sequence[Utterance]], list[Finding]], ...] = (
        normal_forms,
        mixed_words,
        stand_ins,
        invisible,
        mojibake,
        wrong_script,
    )
    return [finding for finder in finders for finding in finder(utterances)]


def normal_forms(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels not in NFC: "ế" as one character in some and as three in others looks the same and is not equal."""
    forms = grouped(("", form, utterance) for utterance in utterances if (form := _form(utterance.text)))
    found = tuple(example(u, _form(u.text)) for u in utterances if _form(u.text) not in ("", "NFC"))
    what = "labels that are not in Unicode's form NFC"
    what += f" ({', '.join(f'{form.text} {form.count}' for form in forms[0].forms)})" if forms else ""
    return of_examples(
        AREA, "normal form", what, found, "NFC everywhere: unicodedata.normalize('NFC', text)", grave=True
    )


def _form(text: str) -> str:
    """NFC, NFD or mixed; "" where all forms are the same."""
    composed, decomposed = (unicodedata.is_normalized(form, text) for form in ("NFC", "NFD"))
    if composed and decomposed:
        return ""
    return "NFC" if composed else "NFD" if decomposed else "mixed"


def mixed_words(utterances: Sequence[Utterance]) -> list[Finding]:
    """Words with letters of Latin and of Cyrillic or Greek: "Сafe" with a Cyrillic С is another word."""
    confusable = {"LATIN", "CYRILLIC", "GREEK"}
    found = tuple(
        example(utterance, f"{word}: {_letters_told(word)}")
        for utterance in utterances
        for word in utterance.text.split()
        if len({script(c) for c in word if c.isalpha()} & confusable) > 1
    )
    what, rule = "words with letters of two scripts that look alike", "letters of the label's language"
    return of_examples(AREA, "look-alike letters", what, found, rule, grave=True)


def _letters_told(word: str) -> str:
    """The letters that are in the minority, by name."""
    scripts = [script(c) for c in word if c.isalpha()]
    rare = min(set(scripts), key=scripts.count)
    return ", ".join(dict.fromkeys(unicodedata.name(c, "?").title() for c in word if script(c) == rare))


def stand_ins(utterances: Sequence[Utterance]) -> list[Finding]:
    """Vietnamese labels with a letter that only looks like one of its own; letters of double width anywhere."""

    def told(utterance: Utterance) -> str:
        vietnamese = base_language(utterance.language) == "vi"
        odd = [c for c in utterance.text if (vietnamese and c in LOOKALIKES) or "\uff21" <= c <= "\uff5a"]
        return ", ".join(f"{c} (U+{ord(c):04X})" for c in dict.fromkeys(odd))

    found = tuple(example(utterance, note) for utterance in utterances if (note := told(utterance)))
    return of_examples(AREA, "stand-in letters", "labels with letters that stand in for others", found, grave=True)


def invisible(utterances: Sequence[Utterance]) -> list[Finding]:
    """Characters without width, other spaces than the usual one, control and private characters, the one for "lost"."""
    odd = [(utterance, _invisible_told(utterance.text)) for utterance in utterances]
    found = tuple(example(utterance, note) for utterance, note in odd if note)
    return of_examples(AREA, "invisible characters", "labels with characters that nobody sees", found, "leave them out")


def _invisible_told(text: str) -> str:
    odd = [c for c in text if c not in _SPACES and (unicodedata.category(c) in _UNSEEN or c == "\ufffd")]
    return ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'unnamed').title()}" for c in dict.fromkeys(odd))


def mojibake(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels in UTF-8 that were once read as Windows-1252: "cÃ  phÃª" for "cà phê"."""
    mended = [(utterance, _mended(utterance.text)) for utterance in utterances]
    found = tuple(example(utterance, text) for utterance, text in mended if text)
    rule = "read the source as UTF-8; what it says is shown beside"
    return of_examples(AREA, "wrong encoding", "labels that were read in the wrong encoding", found, rule, grave=True)


def _mended(text: str) -> str:
    """What the text was before, "" where it was not read wrongly."""
    if text.isascii():
        return ""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return ""


def wrong_script(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels with letters of a script that their language is not written in; Latin is at home everywhere."""
    odd = [(utterance, foreign_letters(utterance.text, utterance.language)) for utterance in utterances]
    found = tuple(example(utterance, f"{letters} in {utterance.language}") for utterance, letters in odd if letters)
    what = "labels with letters of a script that their language is not written in"
    return of_examples(AREA, "wrong script", what, found, "check label and language", grave=True)


def foreign_letters(text: str, language: str) -> str:
    """The scripts, other than Latin, that the language is not written in and the text has letters of; "" for none."""
    known = SCRIPTS.get(base_language(language))
    if known is None:
        return ""
    found = dict.fromkeys(script(c) for c in text if c.isalpha())
    return ", ".join(name.title() for name in found if name not in known and name not in _EVERYWHERE)


def is_foreign(text: str, language: str) -> bool:
    """True where the text has letters and every one of them is foreign: the label of another recording."""
    known = SCRIPTS.get(base_language(language))
    letters = [character for character in text if character.isalpha()]
    return known is not None and bool(letters) and not {script(c) for c in letters} & (known | _EVERYWHERE)


def script(character: str) -> str:
    """The first word of the character's name, "" where it has none."""
    return unicodedata.name(character, "").split(" ")[0]


def tone_key(word: str) -> str:
    """A Vietnamese syllable with its tone mark behind it: the same wherever the mark stands."""
    decomposed = unicodedata.normalize("NFD", word)
    letters = "".join(c for c in decomposed if c not in _TONES)
    return unicodedata.normalize("NFC", letters) + "".join(c for c in decomposed if c in _TONES)
