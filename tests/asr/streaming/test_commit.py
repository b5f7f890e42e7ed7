"""What two hypotheses agree on."""

from asr.models.base import Piece
from asr.streaming.commit import agreed


def pieces(text: str) -> list[Piece]:
    """A word a second."""
    return [Piece(" " + word, (i,), float(i), i + 1.0, 1.0) for i, word in enumerate(text.split())]


def test_the_common_beginning_is_agreed() -> None:
    """Up to the first word that differs."""
    assert agreed(pieces("the cat sat on"), pieces("the cat sad on it"), [10.0] * 9) == 2


def test_a_word_too_near_to_the_end_waits() -> None:
    """A word that ends after the point heard for sure is not committed, nor is any behind it."""
    assert agreed(pieces("a b c d"), pieces("a b c d"), [2.5] * 4) == 2


def test_case_and_punctuation_do_not_hinder() -> None:
    """They depend on words to come."""
    assert agreed(pieces("Hello world."), pieces("hello, World and"), [10.0] * 9) == 2


def test_the_first_hypothesis_agrees_with_nothing() -> None:
    """It takes two."""
    assert agreed([], pieces("a b"), [10.0] * 9) == 0


def test_a_word_that_the_model_is_not_sure_of_waits_longer() -> None:
    """Each word has its own point up to which it counts as heard."""
    assert agreed(pieces("a b c d"), pieces("a b c d"), [8.0, 1.0, 8.0, 8.0]) == 1
