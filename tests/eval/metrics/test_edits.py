"""Alignments, edit by edit."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.edits import Edit, confusions, counts_of, edits, edits_of, pieces
from eval.metrics.word_errors import Counts, count_words, total
from eval.trace import Span
from tests.eval.fakes import said

words = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=8)


def test_a_hand_made_alignment() -> None:
    """One of each."""
    found = edits(["the", "cat", "sat", "down", "now"], ["a", "cat", "down", "now", "in"])
    assert found == (
        Edit("substitute", "the", "a"),
        Edit("equal", "cat", "cat"),
        Edit("delete", "sat", ""),
        Edit("equal", "down", "down"),
        Edit("equal", "now", "now"),
        Edit("insert", "", "in"),
    )
    assert confusions(found) == {("the", "a"): 1, ("sat", ""): 1, ("", "in"): 1}


@given(words, words)
def test_edits_are_the_counts_spelled_out(left: list[str], right: list[str]) -> None:
    """Same aligner, same sums, and both texts can be read off."""
    found = edits(left, right)
    assert counts_of(found) == count_words(" ".join(left), " ".join(right))
    assert [edit.said for edit in found if edit.said] == left
    assert [edit.heard for edit in found if edit.heard] == right


def test_characters_are_the_unit_where_no_spaces_are_written() -> None:
    """As in `eval.metrics.word_errors`."""
    assert counts_of(edits_of(said("他出去", reference="他出生在", language="zh"))) == Counts(2, 1, 1)


def test_a_long_recording_is_cut_at_its_segments() -> None:
    """Each error at its reference word, an insertion with the word before it; the pieces add up to the whole."""
    chapter = said("red dogs too big red cars", reference="Red dogs. Big green cars.")
    chapter = replace(chapter, reference_segments=(Span("Red dogs.", 0, 1), Span("Big green cars.", 1, 2)))
    found = edits_of(chapter)
    assert pieces(chapter, found) == (Counts(2, 0, 0, 1), Counts(2, 1))
    assert total(pieces(chapter, found)) == counts_of(found)


def test_a_number_across_a_boundary_leaves_the_recording_whole() -> None:
    """ "twenty" "one" is one word when normalised together."""
    chapter = said("21", reference="twenty one")
    chapter = replace(chapter, reference_segments=(Span("twenty", 0, 1), Span("one", 1, 2)))
    assert pieces(chapter, edits_of(chapter)) == (Counts(1),)
