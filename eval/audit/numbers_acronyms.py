"""Finds numbers and acronyms that some labels write in full and others in short: "two" and "2", "u s a" and "USA"."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from asr.normalisation.normalise import base_language, is_by_character
from eval.audit.findings import Finding, Written, grouped, of_groups
from eval.audit.label_forms import AREA, windows, words_of
from eval.data.types import Utterance

LONGEST_NUMBER = 8
"""In words: "one thousand nine hundred and ninety nine"."""
LONGEST_ACRONYM = 7
"""In words: spelled letters, and possibly one spoken part ("em el ops")."""

LETTERS: Mapping[str, str] = {
    name: letter
    for letter, names in {
        "a": "ay",
        "b": "bee bê bờ",
        "c": "cee xê cờ",
        "d": "dee dê dờ",
        "đ": "đê đờ",
        "f": "ef eff ép phờ",
        "g": "gee giê gờ",
        "h": "aitch haitch hát hờ",
        "j": "jay",
        "k": "kay ca",
        "l": "el ell lờ",
        "m": "em mờ",
        "n": "en nờ",
        "p": "pee pê pờ",
        "q": "cue queue quy",
        "r": "ar rờ",
        "s": "ess es sờ ét",
        "t": "tee tê tờ",
        "v": "vee vê vờ",
        "x": "ex xờ ích",
        "z": "zee zed dét",
    }.items()
    for name in names.split()
}
"""English and Vietnamese letter names, without those that are common words ("you", "see", "be", "why", "i", "o")."""

_COMMON = {"you": "u", "see": "c", "be": "b", "are": "r", "why": "y", "oh": "o", "eye": "i", "tea": "t", "ca": "k"}
"""Ambiguous letter names: counted only next to two unambiguous ones."""


def number_acronym_findings(utterances: Sequence[Utterance]) -> list[Finding]:
    """All findings of this module."""
    return numbers(utterances) + acronyms(utterances)


def numbers(utterances: Sequence[Utterance]) -> list[Finding]:
    """Numbers in digits that other labels write in words, as `num2words` spells them in the label's language."""
    spaced = [utterance for utterance in utterances if not is_by_character(utterance.language)]
    spelled = [(utterance, [word.casefold() for word in words_of(utterance)]) for utterance in spaced]
    numbers_by_spelling = _spellings((base_language(u.language), word) for u, words in spelled for word in words)

    def written() -> Iterable[Written]:
        for utterance, words in spelled:
            language = base_language(utterance.language)
            for window in windows([part for word in words for part in word.split("-")], LONGEST_NUMBER):
                phrase = " ".join(window)
                if number := numbers_by_spelling.get((language, phrase)):
                    yield f"{number} {language}", phrase, utterance

    rule = "one form for all numbers, in digits or in words; for this one mostly “{}”"
    return of_groups(AREA, "digits and words", "numbers in digits and in words", grouped(written(), rule))


def _spellings(words: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """(language, spelling) -> number, for each number that the words write in digits: its digits and its words."""
    spellings: dict[tuple[str, str], str] = {}
    for language, word in set(words):
        digits = word.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", word) else ""
        if digits and len(digits) < 10:
            spellings[language, word] = digits
            for phrase in _in_words(int(digits), language):
                spellings[language, phrase] = digits
    return spellings


def _in_words(number: int, language: str) -> list[str]:
    """The number's spellings with and without "and", also as a year if it may be one; [] for an unknown language."""
    from num2words import num2words

    try:
        spoken = [num2words(number, lang=language)]
        spoken += [num2words(number, lang=language, to="year")] if 1000 < number < 2100 else []
    except (NotImplementedError, OverflowError):
        return []
    plain = [" ".join(phrase.casefold().replace("-", " ").replace(",", " ").split()) for phrase in spoken]
    return plain + [phrase.replace(" and ", " ") for phrase in plain]


def acronyms(utterances: Sequence[Utterance]) -> list[Finding]:
    """ "MLOps", "em el ops" and "mờ lờ óp"; "USA", "U.S.A." and "u s a": letters together, dotted, apart or by name.

    A form is a word with at least two capitals or with dots, or a phrase that begins with two spelled letters. Forms
    belong together if their letters, and the rest without diacritics and plural s, are equal.
    """

    def written() -> Iterable[Written]:
        for utterance in utterances:
            for window in windows(utterance.text.split(), LONGEST_ACRONYM):
                form = _form(window)
                if key := _acronym(window, shouted=utterance.text.isupper()):
                    yield key, form, utterance

    return of_groups(AREA, "acronyms", "acronyms in several forms", grouped(written()))


def _form(window: Sequence[str]) -> str:
    """The phrase without outer punctuation; the last dot of "U.S.A." belongs to it, that of "USA." ends a sentence."""
    form = " ".join(window).strip(",;:!?\"'”“’() ")
    return form if re.search(r"(\b\w\.){2,}$", form) else form.strip(". ")


def _acronym(window: Sequence[str], shouted: bool) -> str:
    """The key shared by all forms of an acronym; "" if the window is not an acronym."""
    words = [word.strip(",;:!?\"'”“’()") for word in window]
    if not all(words):
        return ""
    if len(words) == 1:
        return _key(words[0].replace(".", "")) if _is_short(_form(words), shouted) else ""
    letters = [_letter(word.rstrip(".").casefold()) for word in words]
    spelled = [letter for letter in letters if letter]
    rest = [word for word, letter in zip(words, letters, strict=True) if not letter]
    if len(spelled) < 2 or not all(letters[:2]) or len(rest) > 1 or (rest and letters[-1]):
        return ""
    unambiguous = sum(_is_only_a_letter(word.rstrip(".").casefold()) for word in words)
    return _key("".join(spelled) + "".join(rest)) if unambiguous > 1 else ""


def _is_short(word: str, shouted: bool) -> bool:
    """True for "MLOps", "USA" and "U.S."; in a label all in capitals (``shouted``) only for words with dots."""
    if re.fullmatch(r"(\w\.){2,}\w?", word):
        return True
    return not shouted and word.isalnum() and sum(map(str.isupper, word)) > 1


def _is_only_a_letter(word: str) -> bool:
    """True for a letter or letter name that is not also a common word: "be a" is not BA."""
    return word in LETTERS or (len(word) == 1 and word.isalpha() and word not in "aio")


def _letter(word: str) -> str:
    """The letter that the word is or names; "" if neither."""
    return word if len(word) == 1 and word.isalpha() else LETTERS.get(word) or _COMMON.get(word, "")


def _key(text: str) -> str:
    """The text without case, diacritics and plural s (Vietnamese does not pronounce it)."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    return plain.removesuffix("s") if len(plain) > 3 else plain
