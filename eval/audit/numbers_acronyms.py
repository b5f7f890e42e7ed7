"""What is written as it is spoken in some labels and in short in others: numbers, and letters that are read out."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from eval.audit.findings import Finding, Written, grouped, of_groups
from eval.audit.label_forms import AREA, windows, words_of
from eval.data.types import Utterance
from eval.normalise import base_language, is_by_character

LONGEST_NUMBER = 8
"""Words: "one thousand nine hundred and ninety nine"."""
LONGEST_ACRONYM = 7
"""Words: letters read out, and one that is spoken ("em el ops")."""

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
"""English and Vietnamese names of letters, but those that are common words ("you", "see", "be", "why", "i", "o")."""

_COMMON = {"you": "u", "see": "c", "be": "b", "are": "r", "why": "y", "oh": "o", "eye": "i", "tea": "t", "ca": "k"}
"""Names that count as letters only beside two that are nothing else."""


def spoken_findings(utterances: Sequence[Utterance]) -> list[Finding]:
    """Numbers and acronyms."""
    return numbers(utterances) + acronyms(utterances)


def numbers(utterances: Sequence[Utterance]) -> list[Finding]:
    """Numbers in digits that other labels write in words, as `num2words` spells them in the label's language."""
    spaced = [utterance for utterance in utterances if not is_by_character(utterance.language)]
    spelled = [(utterance, [word.casefold() for word in words_of(utterance)]) for utterance in spaced]
    sought = _spellings((base_language(u.language), word) for u, words in spelled for word in words)

    def written() -> Iterable[Written]:
        for utterance, words in spelled:
            language = base_language(utterance.language)
            for window in windows([part for word in words for part in word.split("-")], LONGEST_NUMBER):
                phrase = " ".join(window)
                if number := sought.get((language, phrase)):
                    yield f"{number} {language}", phrase, utterance

    rule = "one form for all numbers, in digits or in words; for this one mostly “{}”"
    return of_groups(AREA, "digits and words", "numbers in digits and in words", grouped(written(), rule))


def _spellings(words: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """For each number in digits, with its language: itself and its words -> the number."""
    sought: dict[tuple[str, str], str] = {}
    for language, word in set(words):
        digits = word.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", word) else ""
        if digits and len(digits) < 10:
            sought[language, word] = digits
            for phrase in _in_words(int(digits), language):
                sought[language, phrase] = digits
    return sought


def _in_words(number: int, language: str) -> list[str]:
    """As it is spoken, with and without "and"; as a year too where it may be one. Empty for an unknown language."""
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

    A form counts that is a word with at least two capitals beside small letters or dots, or begins with two letters
    read out; two forms are of one thing when the letters, and what follows them without marks and plural s, are equal.
    """

    def written() -> Iterable[Written]:
        for utterance in utterances:
            for window in windows(utterance.text.split(), LONGEST_ACRONYM):
                form = " ".join(window).strip(".,;:!?\"'”“’() ")
                if key := _acronym(window, shouted=utterance.text.isupper()):
                    yield key, form, utterance

    return of_groups(AREA, "acronyms", "acronyms in several forms", grouped(written()))


def _acronym(window: Sequence[str], shouted: bool) -> str:
    """The key of one thing; "" where the window is no acronym in any form."""
    words = [word.strip(",;:!?\"'”“’()") for word in window]
    if not all(words):
        return ""
    if len(words) == 1:
        return _key(words[0].replace(".", "")) if _is_short(words[0], shouted) else ""
    letters = [_letter(word.rstrip(".").casefold()) for word in words]
    named = [letter for letter in letters if letter]
    rest = [word for word, letter in zip(words, letters, strict=True) if not letter]
    if len(named) < 2 or not all(letters[:2]) or len(rest) > 1 or (rest and letters[-1]):
        return ""
    sure = sum(_is_only_a_letter(word.rstrip(".").casefold()) for word in words)
    return _key("".join(named) + "".join(rest)) if sure > 1 else ""


def _is_short(word: str, shouted: bool) -> bool:
    """A word that is no ordinary one: "MLOps", "USA", "U.S."; in a label all in capitals only the dots tell."""
    if re.fullmatch(r"(\w\.){2,}\w?", word):
        return True
    return not shouted and word.isalnum() and sum(map(str.isupper, word)) > 1


def _is_only_a_letter(word: str) -> bool:
    """A letter or the name of one, and no word beside: "be a" is no BA."""
    return word in LETTERS or (len(word) == 1 and word.isalpha() and word not in "aio")


def _letter(word: str) -> str:
    """The letter that the word is or names."""
    return word if len(word) == 1 and word.isalpha() else LETTERS.get(word) or _COMMON.get(word, "")


def _key(text: str) -> str:
    """Without case, marks and the s of a plural, which Vietnamese does not speak."""
    plain = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if not unicodedata.combining(c))
    return plain.removesuffix("s") if len(plain) > 3 else plain
