"""The state of an utterance, and its words as events carry them."""

from asr.events import Word
from asr.models.base import Piece
from asr.streaming.utterance import Utterance, words_of


def test_a_new_utterance_holds_nothing_but_its_place() -> None:
    """No words, no model memory, and no sample up to which it was decoded (-1, which no window can end at)."""
    utterance = Utterance(512)
    assert (utterance.window_start, utterance.decoded_until, utterance.doubts) == (512, -1, 0)
    assert (utterance.prefix, utterance.tail, utterance.shown) == ((), (), "")
    assert (utterance.language, utterance.memory, utterance.shortened) == (None, None, False)


def test_words_of_events_have_whole_milliseconds_and_keep_their_spaces() -> None:
    """Confidences have four digits; tokens stay inside."""
    pieces = (Piece(" The", (1, 2), 0.12345, 0.6789, 0.987654), Piece("你", (3,), 1.0, 2.0, 1.0))
    assert words_of(pieces) == (Word(" The", 0.123, 0.679, 0.9877), Word("你", 1.0, 2.0, 1.0))
    assert words_of(()) == ()
