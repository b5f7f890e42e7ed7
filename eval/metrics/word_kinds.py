"""Errors by what the words are: numbers, names, keywords; and what is made up inside speech.

Pure functions of an alignment and of the texts as written. A pair is (errors, occurrences).
"""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from rapidfuzz.distance import Levenshtein

from asr.normalisation.canonical import is_part_of_word
from asr.normalisation.normalise import base_language, normalise, units
from eval.metrics.word_errors import EQUAL, INSERT, Edit

RUN_WORDS = 3
"""This many words inserted one after the other are made up rather than misheard."""
LOOP_TIMES = 3
"""A phrase is a loop when it comes this often in a row, a single word one time more ("no, no, no")."""
LOOP_WORDS = 12
"""Words of the longest phrase that is searched for."""

_NUMBER = re.compile(r"\d(?:st|nd|rd|th|s)?|[1-9]\d*[万亿]?|point|percent|thousand|million|billion|trillion")
_LONE = frozenset({"1", "point"})
"""No numbers where no digit stands beside them: "no one", "a point"."""
_SENTENCE_END = (".", "!", "?", ":", ";", "…", "-", "–", "—")
_OPENING = "\"'“‘«„(["
_NOUNS_ARE_CAPITAL = frozenset({"de", "lb"})

Pair = tuple[int, int]


def number_errors(edits: Sequence[Edit]) -> Pair:
    """Wrong, missing and inserted units of numbers; units of numbers in the reference (mostly digits)."""
    said = _are_numbers([edit.reference for edit in edits])
    made = _are_numbers([edit.hypothesis for edit in edits])
    wrong = sum(
        edit.kind != EQUAL and (number if edit.reference else extra)
        for edit, number, extra in zip(edits, said, made, strict=True)
    )
    return wrong, sum(said)


def name_errors(reference: str, language: str, edits: Sequence[Edit]) -> Pair:
    """Proper nouns that are wrong or missing; proper nouns in the reference.

    A proper noun is a word with a capital inside a sentence. (0, 0) where capitals do not say it: labels in one case,
    German, scripts without capitals.
    """
    if base_language(language) in _NOUNS_ARE_CAPITAL:
        return 0, 0
    names = _names(reference)
    if not any(is_name for _, is_name in names):
        return 0, 0
    units_said = [edit for edit in edits if edit.kind != INSERT]
    wrong = [edit.kind != EQUAL for edit in units_said]
    flagged = 0
    missed = 0
    for op in Levenshtein.opcodes([word for word, _ in names], [edit.reference for edit in units_said]):
        if op.tag != "equal":
            continue
        for i in range(op.src_end - op.src_start):
            if names[op.src_start + i][1]:
                flagged += 1
                missed += wrong[op.dest_start + i]
    return missed, flagged


def keyword_errors(keywords: Iterable[str], language: str, edits: Sequence[Edit]) -> Pair:
    """Keywords that were missed, and keywords that were recognised without being said; keywords in the reference."""
    said, recognised = ([unit for unit in side if unit] for side in _sides(edits))
    wrong = occurrences = 0
    for phrase in {units(normalise(keyword, language), language) for keyword in keywords} - {()}:
        in_reference, in_both = _count(phrase, said), _hits(phrase, edits)
        occurrences += in_reference
        wrong += in_reference - in_both + max(0, _count(phrase, recognised) - in_both)
    return wrong, occurrences


def made_up_in_speech(edits: Sequence[Edit]) -> Pair:
    """Words in runs of at least `RUN_WORDS` insertions, in a recording with speech; words in the reference."""
    runs = ((kind, len(list(run))) for kind, run in groupby(edits, key=lambda edit: edit.kind))
    said = sum(edit.kind != INSERT for edit in edits)
    return sum(length for kind, length in runs if kind == INSERT and length >= RUN_WORDS) if said else 0, said


def has_loop(edits: Sequence[Edit]) -> bool:
    """True where the transcript repeats a phrase in a row as often as nobody says it, and the reference does not."""
    said, recognised = ([unit for unit in side if unit] for side in _sides(edits))
    return any(phrase not in _loops(said) for phrase in _loops(recognised))


def _sides(edits: Sequence[Edit]) -> tuple[list[str], list[str]]:
    return [edit.reference for edit in edits], [edit.hypothesis for edit in edits]


def _are_numbers(words: Sequence[str]) -> list[bool]:
    """Which units are part of a number; gaps of the alignment are skipped when neighbours are looked at."""
    numeric = [bool(_NUMBER.fullmatch(word)) for word in words]
    placed = [i for i, word in enumerate(words) if word]
    result = [False] * len(words)
    for place, i in enumerate(placed):
        beside = placed[max(0, place - 1) : place] + placed[place + 1 : place + 2]
        needs_digit = words[i] in _LONE or words[i].isalpha()
        result[i] = numeric[i] and (not needs_digit or any(words[k][0].isdigit() for k in beside))
    return result


def _names(reference: str) -> list[tuple[str, bool]]:
    """Each word in small letters, and whether it is a proper noun by its capital."""
    letters = [character for character in reference if character.isalpha()]
    if all(map(str.isupper, letters)):
        return []
    words: list[tuple[str, bool]] = []
    begins = True
    for written in reference.split():
        word = _bare(written)
        capital = len(word) > 1 and word[0].isupper() and not word.startswith("I'")
        words.append((re.sub(r"['’]s$", "", word).lower(), capital and not begins and written[0] not in _OPENING))
        begins = written.rstrip("\"'”’»)").endswith(_SENTENCE_END)
    return words


def _bare(written: str) -> str:
    inner = [i for i, character in enumerate(written) if is_part_of_word(character)]
    return written[inner[0] : inner[-1] + 1] if inner else ""


def _count(phrase: Sequence[str], words: Sequence[str]) -> int:
    size = len(phrase)
    return sum(tuple(words[i : i + size]) == tuple(phrase) for i in range(len(words) - size + 1))


def _hits(phrase: Sequence[str], edits: Sequence[Edit]) -> int:
    """How often the phrase is in both texts at the same place, with nothing between its words."""
    return _count(phrase, [edit.reference if edit.kind == EQUAL else "" for edit in edits])


def _loops(words: Sequence[str]) -> set[tuple[str, ...]]:
    """The phrases that come in a row at least `LOOP_TIMES`; of "a b a b a b" both "a b" and "b a" may be given."""
    found: set[tuple[str, ...]] = set()
    for size in range(1, min(LOOP_WORDS, len(words) // LOOP_TIMES) + 1):
        wanted = (LOOP_TIMES - 1 + (size == 1)) * size
        length = 0
        for i in range(size, len(words)):
            length = length + 1 if words[i] == words[i - size] else 0
            if length >= wanted and not any(word[0].isdigit() for word in words[i - size + 1 : i + 1]):
                found.add(tuple(sorted(words[i - size + 1 : i + 1])))
    return found
