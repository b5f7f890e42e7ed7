"""Alignments and edit counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.word_errors import (
    Counts,
    Edit,
    align,
    align_trace,
    confusions,
    count,
    count_characters,
    count_words,
    counts_of,
    segment_counts,
    total,
)
from eval.trace import Span
from tests.eval.fakes import said

words = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=8)
texts = words.map(" ".join)


def test_a_hand_counted_sentence() -> None:
    """One of each: "the" became "a", "jumps" is missing, "indeed" was added, the other six are right."""
    reference, hypothesis = "the quick brown fox jumps over dogs today", "a quick brown fox over dogs today indeed"
    assert count_words(reference, hypothesis) == Counts(6, 1, 1, 1)


def test_the_word_error_rate_of_jiwers_own_example() -> None:
    """jiwer's README: "hello world" against "hello duck" is 0.5."""
    assert count_words("hello world", "hello duck").rate == 0.5


def test_an_empty_reference_makes_every_word_an_insertion() -> None:
    """It is scored, not dropped; it has no rate."""
    counts = count_words("", "thank you")
    assert counts == Counts(insertions=2)
    assert counts.rate is None


def test_an_empty_hypothesis_makes_every_word_a_deletion() -> None:
    """No text is 100 %."""
    assert count_words("one two", "") == Counts(deletions=2)


def test_characters_are_counted_without_spaces() -> None:
    """One substitution of four, wherever spaces stand."""
    assert count("他出生在", "他 出去 在", "zh") == Counts(hits=3, substitutions=1)


def test_counts_below_zero_are_refused() -> None:
    """They would cancel errors in a sum."""
    with pytest.raises(ValueError, match="wanted counts of zero or more"):
        Counts(hits=1, insertions=-1)


@given(texts, texts)
def test_counts_add_up_to_both_texts(reference: str, hypothesis: str) -> None:
    """H + S + D is the reference's length, H + S + I the hypothesis's; errors at most the longer."""
    counts = count_words(reference, hypothesis)
    left, right = len(reference.split()), len(hypothesis.split())
    assert counts.reference_length == left
    assert counts.hits + counts.substitutions + counts.insertions == right
    assert abs(left - right) <= counts.errors <= max(left, right)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_sums_are_of_counts_and_rates_come_last(pairs: list[tuple[str, str]]) -> None:
    """The total's errors are the sum of errors, over the sum of lengths."""
    counted = [count_characters(left, right) for left, right in pairs]
    summed = total(counted)
    assert summed.errors == sum(c.errors for c in counted)
    assert summed.reference_length == sum(c.reference_length for c in counted)
    assert summed.rate == (summed.errors / summed.reference_length if summed.reference_length else None)


def test_a_hand_made_alignment() -> None:
    """One of each."""
    edits = align(["the", "cat", "sat", "down", "now"], ["a", "cat", "down", "now", "in"])
    assert edits == (
        Edit("substitute", "the", "a"),
        Edit("equal", "cat", "cat"),
        Edit("delete", "sat", ""),
        Edit("equal", "down", "down"),
        Edit("equal", "now", "now"),
        Edit("insert", "", "in"),
    )
    assert confusions(edits) == {("the", "a"): 1, ("sat", ""): 1, ("", "in"): 1}


@given(words, words)
def test_an_alignment_has_the_counts_of_jiwer(left: list[str], right: list[str]) -> None:
    """`count_words` takes them from jiwer; both texts can be read off the edits."""
    edits = align(left, right)
    assert counts_of(edits) == count_words(" ".join(left), " ".join(right))
    assert [edit.reference for edit in edits if edit.reference] == left
    assert [edit.hypothesis for edit in edits if edit.hypothesis] == right


def test_characters_are_the_unit_where_no_spaces_are_written() -> None:
    """In Chinese a character is aligned with a character."""
    assert counts_of(align_trace(said("他出去", reference="他出生在", language="zh"))) == Counts(2, 1, 1)


def test_a_long_recording_is_cut_at_its_segments() -> None:
    """Each error at its reference word, an insertion with the word before it; the parts add up to the whole."""
    chapter = said("red dogs too big red cars", reference="Red dogs. Big green cars.")
    chapter = replace(chapter, reference_segments=(Span("Red dogs.", 0, 1), Span("Big green cars.", 1, 2)))
    edits = align_trace(chapter)
    assert segment_counts(chapter, edits) == (Counts(2, 0, 0, 1), Counts(2, 1))
    assert total(segment_counts(chapter, edits)) == counts_of(edits)


def test_a_number_across_a_boundary_leaves_the_recording_whole() -> None:
    """ "twenty" "one" has two digits when normalised together, three when not."""
    chapter = said("21", reference="twenty one")
    chapter = replace(chapter, reference_segments=(Span("twenty", 0, 1), Span("one", 1, 2)))
    assert segment_counts(chapter, align_trace(chapter)) == (Counts(2),)
