"""When the end of speech is reported, against the words of an aligned reference."""

import pytest

from asr.events import SpeechEnded
from eval.metrics.endpoints import Endpoints, endpoints
from eval.trace import Entry, Span
from tests.eval.fakes import final, trace, word

RED_GREEN = (Span("red", 0.5, 1.0), Span("green", 1.0, 2.0))


def reported(*entries: Entry, words: tuple[Span, ...] = RED_GREEN, **fields: object) -> Endpoints:
    found = endpoints(trace(*entries, reference="red green", reference_words=words, **fields))
    return Endpoints(tuple(round(delay, 6) for delay in found.delays_s), found.premature)


@pytest.mark.parametrize(
    "recognised",
    [("red", "green"), ("red", "grey"), ("red",), ("red", "green", "so"), ()],
    ids=["right", "last misheard", "last missed", "one more made up", "nothing"],
)
def test_what_was_recognised_of_the_last_word_moves_no_endpoint(recognised: tuple[str, ...]) -> None:
    """The last word ended at 2.0, the report came at 2.5."""
    words = tuple(word(text, 7.0, 8.0) for text in recognised)
    assert reported(final(2.5, *words, ends=True)) == Endpoints((0.5,), 0)


def test_a_report_within_a_word_is_premature() -> None:
    """And has no delay."""
    assert reported(final(1.5, word("red", 0.5, 1.0), ends=True)) == Endpoints((), 1)


def test_a_word_that_began_while_the_report_travelled_is_not_the_one_that_ended() -> None:
    """Speech ended at 1.0 and was reported at 1.6, when the next word had lasted 0.1 s."""
    words = (Span("red", 0.5, 1.0), Span("green", 1.5, 2.0))
    assert reported(final(1.6, word("red", 0.5, 1.0), ends=True), words=words) == Endpoints((0.6,), 0)


def test_one_pause_is_one_end() -> None:
    """speech_final and UtteranceEnd of the same pause, and an utterance without words after it."""
    entries = (final(2.5, word("green", 1.0, 2.0), ends=True), Entry(SpeechEnded(2.2), 2.6, 2.6), final(4.0, ends=True))
    assert reported(*entries) == Endpoints((0.5,), 0)


def test_a_server_that_only_says_utterance_end_is_measured_too() -> None:
    """Deepgram's UtteranceEnd without a speech_final before it."""
    assert reported(final(2.2, word("green", 1.0, 2.0)), Entry(SpeechEnded(2.0), 3.0, 3.0)) == Endpoints((1.0,), 0)


def test_an_end_with_the_end_of_the_stream_is_no_decision() -> None:
    """Nothing else could come."""
    assert reported(final(2.5, word("green", 1.0, 2.0), ends=True), end_wall_s=2.4) == Endpoints((), 0)


def test_without_an_aligned_reference_the_systems_own_words_count() -> None:
    """Nothing is known of premature ends then."""
    own = endpoints(trace(final(2.5, word("grey", 1.0, 1.9), ends=True), reference="red green"))
    assert (own.delays_s, own.premature) == ((pytest.approx(0.6),), None)
