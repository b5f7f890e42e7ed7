"""One alignment, edit by edit: what was said against what was heard, word for word (or character for character)."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import jiwer

from eval.metrics.word_errors import Counts, total
from eval.normalise import normalise, units
from eval.trace import Trace

EQUAL, SUBSTITUTE, DELETE, INSERT = "equal", "substitute", "delete", "insert"


@dataclass(frozen=True, slots=True)
class Edit:
    """One step of the alignment. ``said`` is "" in an insertion, ``heard`` in a deletion."""

    kind: str
    said: str
    heard: str

    @property
    def counts(self) -> Counts:
        return Counts(self.kind == EQUAL, self.kind == SUBSTITUTE, self.kind == DELETE, self.kind == INSERT)


def edits(said: Sequence[str], heard: Sequence[str]) -> tuple[Edit, ...]:
    """A minimal alignment of two rows of words (Levenshtein 1966, as jiwer finds it)."""
    if not said or not heard:
        return (*(Edit(DELETE, word, "") for word in said), *(Edit(INSERT, "", word) for word in heard))
    found: list[Edit] = []
    for chunk in jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]:
        left = said[chunk.ref_start_idx : chunk.ref_end_idx]
        right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
        blank = [""] * max(len(left), len(right))
        found += [Edit(chunk.type, s, h) for s, h in zip(left or blank, right or blank, strict=True)]
    return tuple(found)


def edits_of(trace: Trace) -> tuple[Edit, ...]:
    """The normalised reference against the normalised transcript, in the language's unit."""
    said = units(normalise(trace.reference, trace.language), trace.language)
    return edits(said, units(normalise(trace.text, trace.language), trace.language))


def counts_of(found: Iterable[Edit]) -> Counts:
    return total(edit.counts for edit in found)


def pieces(trace: Trace, found: Sequence[Edit]) -> tuple[Counts, ...]:
    """The counts cut at the reference's segments, so that a chapter is more than one thing to resample.

    Each edit belongs to the segment of the reference word that it stands at, an insertion to that of the word before
    it. The pieces add up to the whole. One piece where no segments are known, or where the segments' normalised words
    are not the whole's (a number across a boundary, say).
    """
    lengths = [len(units(normalise(s.text, trace.language), trace.language)) for s in trace.reference_segments]
    if not sum(lengths) or sum(lengths) != sum(edit.kind != INSERT for edit in found):
        return (counts_of(found),)
    cut: list[list[Edit]] = [[] for _ in lengths]
    at = used = 0
    for edit in found:
        if edit.kind != INSERT:
            while used == lengths[at]:
                at, used = at + 1, 0
            used += 1
        cut[at].append(edit)
    return tuple(counts_of(part) for part in cut)


def confusions(found: Iterable[Edit]) -> Counter[tuple[str, str]]:
    """How often what was taken for what; "" stands for nothing."""
    return Counter((edit.said, edit.heard) for edit in found if edit.kind != EQUAL)
