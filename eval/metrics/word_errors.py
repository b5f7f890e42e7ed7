"""Edit counts that are frozen and add up. A rate is derived last, from summed counts, never averaged."""

from collections.abc import Iterable
from dataclasses import dataclass

import jiwer

from eval.normalise import is_by_character


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits, substitutions, deletions and insertions of a minimal alignment (Levenshtein 1966); words or characters."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def reference_length(self) -> int:
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis_length(self) -> int:
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors per reference unit (WER or CER); None where the reference is empty, whatever was inserted."""
        return self.errors / self.reference_length if self.reference_length else None


def total(counts: Iterable[Counts]) -> Counts:
    """The sum; of nothing, zero."""
    return sum(counts, start=Counts())


def count_words(reference: str, hypothesis: str) -> Counts:
    """Counts in words, split at white space. An empty reference makes every word an insertion."""
    output = jiwer.process_words(reference, hypothesis)
    return Counts(output.hits, output.substitutions, output.deletions, output.insertions)


def count_characters(reference: str, hypothesis: str) -> Counts:
    """Counts in characters, spaces left out: where they stand is no error in a language that writes none."""
    output = jiwer.process_characters("".join(reference.split()), "".join(hypothesis.split()))
    return Counts(output.hits, output.substitutions, output.deletions, output.insertions)


def count(reference: str, hypothesis: str, language: str) -> Counts:
    """Counts in the unit of the language: see `eval.normalise.is_by_character`."""
    return (count_characters if is_by_character(language) else count_words)(reference, hypothesis)
