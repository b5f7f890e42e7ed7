"""What was shown and taken back."""

from eval.metrics.stability import Stability, stability
from tests.eval.fakes import final, partial, trace, word


def test_a_replaced_word_is_one_change_and_two_showings() -> None:
    """'a cat' -> 'the cat': a, cat, the were shown, a was changed."""
    streamed = trace(
        partial(1, "a", "cat"), partial(2, "the", "cat"), final(3, word("the", 0, 0.1), word("cat", 0.1, 0.2))
    )
    assert stability(streamed) == Stability(shown=3, changed=1, final=2, shown_aligned=3, changed_aligned=1)


def test_a_word_that_vanishes_is_changed() -> None:
    """Nothing stands at its place any more."""
    streamed = trace(partial(1, "yes", "no"), final(2, word("yes", 0, 0.1), ends=True))
    assert stability(streamed) == Stability(shown=2, changed=1, final=1, shown_aligned=2, changed_aligned=1)


def test_committing_what_is_shown_changes_nothing() -> None:
    """A partial that becomes final, and a tail that moves up behind it."""
    streamed = trace(
        partial(1, "a", "b"),
        final(2, word("a", 0, 0.1)),
        partial(3, "b", "c", start_s=0.1),
        final(4, word("b", 0.1, 0.2), word("c", 0.2, 0.3), ends=True),
    )
    assert stability(streamed) == Stability(shown=3, changed=0, final=3, shown_aligned=3, changed_aligned=0)


def test_a_word_put_in_front_changes_every_place_and_no_word() -> None:
    """'cat sat' -> 'the cat sat': by place the, cat, sat replaced cat, sat; by alignment only the is new."""
    streamed = trace(partial(1, "cat", "sat"), partial(2, "the", "cat", "sat"))
    assert stability(streamed) == Stability(shown=5, changed=2, final=0, shown_aligned=3, changed_aligned=0)


def test_silence_shows_nothing() -> None:
    """A trace without events."""
    assert stability(trace()) == Stability()
