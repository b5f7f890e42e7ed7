"""Word errors: the minimal alignment of a reference with a hypothesis, and the counts taken from it.

Counts are frozen and add up. A rate is derived last, from summed counts, never averaged.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jiwer

from asr.normalisation.normalise import is_by_character, normalise, units
from eval.equivalents import comparable_units, plain_reference, same_spaces
from eval.trace import Trace

EQUAL, SUBSTITUTE, DELETE, INSERT = "equal", "substitute", "delete", "insert"


@dataclass(frozen=True, slots=True)
class Counts:
    """Edits of a minimal alignment (Levenshtein 1966), in words or characters. Raises `ValueError` below zero."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __post_init__(self) -> None:
        if min(self.hits, self.substitutions, self.deletions, self.insertions) < 0:
            raise ValueError(f"found {self}, wanted counts of zero or more")

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def reference_length(self) -> int:
        """The number of units in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per reference unit (WER or CER); None where the reference is empty, whatever was inserted."""
        return self.errors / self.reference_length if self.reference_length else None


@dataclass(frozen=True, slots=True)
class Edit:
    """One step of an alignment. ``reference`` is "" in an insertion, ``hypothesis`` is "" in a deletion."""

    kind: str
    reference: str
    hypothesis: str


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> tuple[Edit, ...]:
    """A minimal alignment of two sequences of units (Levenshtein 1966, as jiwer finds it). No unit has a space."""
    if not reference or not hypothesis:
        return (*(Edit(DELETE, unit, "") for unit in reference), *(Edit(INSERT, "", unit) for unit in hypothesis))
    edits: list[Edit] = []
    for chunk in jiwer.process_words(" ".join(reference), " ".join(hypothesis)).alignments[0]:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        blank = [""] * max(len(left), len(right))
        pairs = zip(left or blank, right or blank, strict=True)
        edits += [Edit(chunk.type, unit, other) for unit, other in pairs]
    return tuple(edits)


def align_texts(reference: str, hypothesis: str, language: str) -> tuple[Edit, ...]:
    """The normalised reference aligned with the normalised hypothesis, in the language's unit.

    The hypothesis is written as the reference where both say the same: see `eval.equivalents`.
    """
    return align(*comparable_units(reference, hypothesis, language))


def align_trace(trace: Trace) -> tuple[Edit, ...]:
    """The normalised reference of a trace aligned with its normalised transcript, see `align_texts`."""
    return align_texts(trace.reference, trace.text, trace.language)


def counts_of(edits: Iterable[Edit]) -> Counts:
    """The number of edits of each kind."""
    kinds = Counter(edit.kind for edit in edits)
    return Counts(kinds[EQUAL], kinds[SUBSTITUTE], kinds[DELETE], kinds[INSERT])


def segment_counts(trace: Trace, edits: Sequence[Edit]) -> tuple[Counts, ...]:
    """The counts of each reference segment, so that a long recording has more than one unit to resample.

    An edit belongs to the segment of its reference word, an insertion to the segment of the word before it. The counts
    add up to those of the whole. One entry where no segments are known, or where the segments normalised one by one
    have another length than the whole (a number across a boundary, for example).
    """
    texts = (plain_reference(segment.text) for segment in trace.reference_segments)
    lengths = [len(units(normalise(text, trace.language), trace.language)) for text in texts]
    if not sum(lengths) or sum(lengths) != sum(edit.kind != INSERT for edit in edits):
        return (counts_of(edits),)
    parts: list[list[Edit]] = [[] for _ in lengths]
    segment = used = 0
    for edit in edits:
        if edit.kind != INSERT:
            while used == lengths[segment]:
                segment, used = segment + 1, 0
            used += 1
        parts[segment].append(edit)
    return tuple(counts_of(part) for part in parts)


def confusions(edits: Iterable[Edit]) -> Counter[tuple[str, str]]:
    """How often each reference unit became which unit of the hypothesis; "" stands for nothing."""
    return Counter((edit.reference, edit.hypothesis) for edit in edits if edit.kind != EQUAL)


def total(counts: Iterable[Counts]) -> Counts:
    """The sum; zero for no counts."""
    return sum(counts, start=Counts())


def count_words(reference: str, hypothesis: str) -> Counts:
    """Counts in words, split at white space. An empty reference makes every word an insertion."""
    output = jiwer.process_words(reference, hypothesis)
    return Counts(output.hits, output.substitutions, output.deletions, output.insertions)


def count_characters(reference: str, hypothesis: str) -> Counts:
    """Counts in characters without spaces: where spaces stand is no error in a language that writes none."""
    output = jiwer.process_characters("".join(reference.split()), "".join(hypothesis.split()))
    return Counts(output.hits, output.substitutions, output.deletions, output.insertions)


def count_as_written(reference: str, hypothesis: str, language: str) -> Counts:
    """Counts of two texts as they are, in the unit of the language (`is_by_character`)."""
    return (count_characters if is_by_character(language) else count_words)(reference, hypothesis)


def count(reference: str, hypothesis: str, language: str) -> Counts:
    """Counts of two normalised texts in the unit of the language; a compound may be written in one word or in two."""
    if is_by_character(language):
        return count_characters(reference, hypothesis)
    return count_words(reference, " ".join(same_spaces(reference.split(), hypothesis.split())))
