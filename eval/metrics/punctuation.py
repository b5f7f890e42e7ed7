"""Errors of punctuation and of capitals, apart from those of words."""

from collections.abc import Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from asr.normalisation.canonical import is_part_of_word
from asr.normalisation.normalise import is_by_character

MARKS = str.maketrans("。，、？！：；؟،؛।…", ".,,?!:;?,;..")
"""Marks of other scripts as the ones that are counted."""
COUNTED = frozenset(".,?!:;")


@dataclass(frozen=True, slots=True)
class WrittenErrors:
    """Errors as (errors, places); (0, 0) where the reference has no punctuation, or letters of one case only.

    Attributes:
        punctuation: Missing, inserted and wrong marks, of the places where either text has a mark (the punctuation
            error rate of Meister et al. 2023, "LibriSpeech-PC").
        case: Words with another case, of the words that both texts have.
    """

    punctuation: tuple[int, int]
    case: tuple[int, int]


def written_errors(reference: str, hypothesis: str, language: str) -> WrittenErrors:
    """Compares the marks behind words and the case of words, at the words that a minimal alignment pairs."""
    said, made = _words(reference, language), _words(hypothesis, language)
    pairs: list[tuple[tuple[str, str] | None, tuple[str, str] | None]] = []
    for op in Levenshtein.opcodes([word.casefold() for word, _ in said], [word.casefold() for word, _ in made]):
        left, right = said[op.src_start : op.src_end], made[op.dest_start : op.dest_end]
        length = max(len(left), len(right))
        pairs += zip(_filled(left, length), _filled(right, length), strict=True)
    return WrittenErrors(_punctuation(pairs), _case(pairs, reference))


Words = Sequence[tuple[str, str]]
Pairs = Sequence[tuple[tuple[str, str] | None, tuple[str, str] | None]]


def _words(text: str, language: str) -> list[tuple[str, str]]:
    """Each word, or character where no spaces are written, and the last mark behind it."""
    words: list[tuple[str, str]] = []
    for part in [*text] if is_by_character(language) else text.split():
        inner = [i for i, character in enumerate(part) if is_part_of_word(character)]
        marks = [mark for mark in (part[inner[-1] + 1 :] if inner else part).translate(MARKS) if mark in COUNTED]
        if inner:
            words.append((part[inner[0] : inner[-1] + 1], marks[0] if marks else ""))
        elif marks and words and not words[-1][1]:
            words[-1] = (words[-1][0], marks[0])  # a mark that stands alone, as in French
    return words


def _filled(words: Words, length: int) -> list[tuple[str, str] | None]:
    return [*words, *[None] * (length - len(words))]


def _punctuation(pairs: Pairs) -> tuple[int, int]:
    marks = [(left[1] if left else "", right[1] if right else "") for left, right in pairs]
    if not any(left for left, _ in marks):
        return 0, 0
    return sum(left != right for left, right in marks), sum(bool(left or right) for left, right in marks)


def _case(pairs: Pairs, reference: str) -> tuple[int, int]:
    letters = [character for character in reference if character.isalpha()]
    if all(map(str.isupper, letters)) or all(map(str.islower, letters)):
        return 0, 0
    both = [(left[0], right[0]) for left, right in pairs if left and right]
    same = [(left, right) for left, right in both if left.casefold() == right.casefold()]
    return sum(left != right for left, right in same), len(same)
