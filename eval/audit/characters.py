"""Finds characters that look right and are wrong: normal forms, look-alikes, invisible ones, the wrong script."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence

from asr.normalisation.normalise import base_language
from eval.audit.findings import Example, Finding, example, grouped, of_examples
from eval.data.types import Utterance
from eval.data.writing_systems import foreign_letters, script

AREA = "characters"

LOOKALIKES: Mapping[str, str] = {"Ð": "Đ", "ð": "đ", "Ɖ": "Đ", "ɖ": "đ", "ı": "i", "ƀ": "b"}
"""Letters that look like Vietnamese ones (most often eth for đ) -> the Vietnamese letter."""

_TONES = frozenset("\u0300\u0301\u0303\u0309\u0323")
"""Vietnamese tone marks: grave, acute, tilde, hook above, dot below. Circumflex, breve and horn belong to the vowel."""
_SPACES = frozenset(" \t\n\r")
_INVISIBLE = frozenset({"Cf", "Cc", "Co", "Cn", "Cs", "Zs", "Zl", "Zp"})
"""Unicode categories of characters that show nothing."""


def character_findings(utterances: Sequence[Utterance]) -> list[Finding]:
    """All findings of this module."""
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
    """Labels not in NFC: "ế" as one character in some labels and as three in others looks equal and is not."""
    forms = grouped(("", form, utterance) for utterance in utterances if (form := _form(utterance.text)))
    examples = tuple(example(u, _form(u.text)) for u in utterances if _form(u.text) not in ("", "NFC"))
    what = "labels that are not in Unicode's form NFC"
    what += f" ({', '.join(f'{form.text} {form.count}' for form in forms[0].forms)})" if forms else ""
    return of_examples(
        AREA, "normal form", what, examples, "NFC everywhere: unicodedata.normalize('NFC', text)", grave=True
    )


def _form(text: str) -> str:
    """NFC, NFD or mixed; "" if the text is the same in all forms."""
    composed, decomposed = (unicodedata.is_normalized(form, text) for form in ("NFC", "NFD"))
    if composed and decomposed:
        return ""
    return "NFC" if composed else "NFD" if decomposed else "mixed"


def mixed_words(utterances: Sequence[Utterance]) -> list[Finding]:
    """Words that mix letters of Latin, Cyrillic and Greek: "Сafe" with a Cyrillic С is a different word."""
    confusable = {"LATIN", "CYRILLIC", "GREEK"}
    examples = tuple(
        example(utterance, f"{word}: {_minority_letters(word)}")
        for utterance in utterances
        for word in utterance.text.split()
        if len({script(c) for c in word if c.isalpha()} & confusable) > 1
    )
    what, rule = "words with letters of two scripts that look alike", "use letters of the label's language"
    return of_examples(AREA, "look-alike letters", what, examples, rule, grave=True)


def _minority_letters(word: str) -> str:
    """Names of the letters whose script is the rarest in the word."""
    scripts = [script(c) for c in word if c.isalpha()]
    rare = min(set(scripts), key=scripts.count)
    return ", ".join(dict.fromkeys(unicodedata.name(c, "?").title() for c in word if script(c) == rare))


def stand_ins(utterances: Sequence[Utterance]) -> list[Finding]:
    """Vietnamese labels with a letter that only looks Vietnamese; full-width letters in any language."""

    def note(utterance: Utterance) -> str:
        vietnamese = base_language(utterance.language) == "vi"
        odd = [c for c in utterance.text if (vietnamese and c in LOOKALIKES) or "\uff21" <= c <= "\uff5a"]
        return ", ".join(f"{c} (U+{ord(c):04X})" for c in dict.fromkeys(odd))

    examples = _noted(utterances, note)
    return of_examples(AREA, "stand-in letters", "labels with letters that stand in for others", examples, grave=True)


def invisible(utterances: Sequence[Utterance]) -> list[Finding]:
    """Zero-width, control and private characters, unusual spaces, and the replacement character."""
    examples = _noted(utterances, lambda utterance: _invisible_names(utterance.text))
    return of_examples(AREA, "invisible characters", "labels with invisible characters", examples, "remove them")


def _invisible_names(text: str) -> str:
    odd = [c for c in text if c not in _SPACES and (unicodedata.category(c) in _INVISIBLE or c == "\ufffd")]
    return ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'unnamed').title()}" for c in dict.fromkeys(odd))


def mojibake(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels in UTF-8 that were once read as Windows-1252: "cÃ  phÃª" for "cà phê"."""
    examples = _noted(utterances, lambda utterance: _repaired(utterance.text))
    rule = "read the source as UTF-8; the repaired text is shown next to the label"
    what = "labels that were read in the wrong encoding"
    return of_examples(AREA, "wrong encoding", what, examples, rule, grave=True)


def _repaired(text: str) -> str:
    """The text in its true encoding; "" if it was read correctly."""
    if text.isascii():
        return ""
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return ""


def wrong_script(utterances: Sequence[Utterance]) -> list[Finding]:
    """Labels with letters of a script that their language is not written in; Latin is allowed in all languages."""

    def note(utterance: Utterance) -> str:
        letters = foreign_letters(utterance.text, utterance.language)
        return f"{letters} in {utterance.language}" if letters else ""

    what = "labels with letters of a script that their language is not written in"
    return of_examples(AREA, "wrong script", what, _noted(utterances, note), "check label and language", grave=True)


def _noted(utterances: Sequence[Utterance], note: Callable[[Utterance], str]) -> tuple[Example, ...]:
    """Examples of the utterances whose note is not empty."""
    return tuple(example(utterance, text) for utterance in utterances if (text := note(utterance)))


def tone_key(word: str) -> str:
    """A Vietnamese syllable with its tone mark moved to the end: equal wherever the mark stands."""
    decomposed = unicodedata.normalize("NFD", word)
    letters = "".join(c for c in decomposed if c not in _TONES)
    return unicodedata.normalize("NFC", letters) + "".join(c for c in decomposed if c in _TONES)
