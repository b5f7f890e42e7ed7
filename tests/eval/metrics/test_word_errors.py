"""Edit counts."""

from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.word_errors import Counts, count, count_characters, count_words, total

texts = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=8).map(" ".join)


def test_a_hand_counted_sentence() -> None:
    """One of each: "the" became "a", "jumps" is gone, "indeed" came on top, the other six were heard."""
    reference, hypothesis = "the quick brown fox jumps over dogs today", "a quick brown fox over dogs today indeed"
    assert count_words(reference, hypothesis) == Counts(6, 1, 1, 1)


def test_the_word_error_rate_of_jiwers_own_example() -> None:
    """jiwer's README: "hello world" against "hello duck" is 0.5."""
    assert count_words("hello world", "hello duck").rate == 0.5


def test_an_empty_reference_makes_every_word_an_insertion() -> None:
    """It is scored, not dropped; a rate there is none."""
    counts = count_words("", "thank you")
    assert counts == Counts(insertions=2)
    assert counts.rate is None


def test_an_empty_hypothesis_makes_every_word_a_deletion() -> None:
    """Saying nothing is 100 %."""
    assert count_words("one two", "") == Counts(deletions=2)


def test_characters_are_counted_without_spaces() -> None:
    """One substitution of four, wherever spaces stand."""
    assert count("他出生在", "他 出去 在", "zh") == Counts(hits=3, substitutions=1)


@given(texts, texts)
def test_counts_add_up_to_both_texts(reference: str, hypothesis: str) -> None:
    """H + S + D is the reference's length, H + S + I the hypothesis's; errors at most the longer."""
    counts = count_words(reference, hypothesis)
    left, right = len(reference.split()), len(hypothesis.split())
    assert (counts.reference_length, counts.hypothesis_length) == (left, right)
    assert abs(left - right) <= counts.errors <= max(left, right)


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_sums_are_of_counts_and_rates_come_last(pairs: list[tuple[str, str]]) -> None:
    """The total's errors are the sum of errors, over the sum of lengths."""
    counted = [count_characters(left, right) for left, right in pairs]
    summed = total(counted)
    assert summed.errors == sum(c.errors for c in counted)
    assert summed.reference_length == sum(c.reference_length for c in counted)
    assert summed.rate == (summed.errors / summed.reference_length if summed.reference_length else None)
