"""What two hypotheses agree on."""

from asr.config import StreamSettings
from asr.models.base import Piece
from asr.streaming.buffers import SpeechCurve
from asr.streaming.commit import AgreementPolicy, Commit, Decoded
from asr.streaming.utterance import Utterance

SETTINGS = StreamSettings(update_ms=1000)


def pieces(text: str, confidence: float = 1.0) -> tuple[Piece, ...]:
    """A word a second."""
    return tuple(Piece(" " + word, (i,), float(i), i + 1.0, confidence) for i, word in enumerate(text.split()))


def committed(previous: str, current: tuple[Piece, ...], end_s: float = 20.0) -> int:
    """How many words are committed in a window that ends at `end_s`."""
    decoded = Decoded(current, round(end_s * 16_000), round(end_s * 16_000))
    decision = AgreementPolicy().decide(Utterance(0, tail=pieces(previous)), decoded, SpeechCurve(), SETTINGS)
    assert isinstance(decision, Commit)
    return decision.count


def test_the_common_beginning_is_agreed() -> None:
    """Up to the first word that differs."""
    assert committed("the cat sat on", pieces("the cat sad on it")) == 2


def test_a_word_too_near_to_the_end_waits() -> None:
    """A word that ends less than 2 s before the window's end is not committed, nor is any behind it."""
    assert committed("a b c d", pieces("a b c d"), 4.5) == 2


def test_case_and_punctuation_do_not_hinder() -> None:
    """They depend on words to come."""
    assert committed("Hello world.", pieces("hello, World and")) == 2


def test_the_first_hypothesis_agrees_with_nothing() -> None:
    """It takes two."""
    assert committed("", pieces("a b")) == 0


def test_a_word_that_the_model_is_not_sure_of_waits_longer() -> None:
    """Each word has its own holdback."""
    sure, unsure = pieces("a b c d"), pieces("a b c d", 0.5)
    assert committed("a b c d", (sure[0], unsure[1], *sure[2:]), 7.5) == 1
