"""What comes after the end of speech, on scripted traces with times worked out by hand."""

import pytest

from eval.metrics.catalogue import BY_KEY
from eval.metrics.estimates import measured, value_of
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.turns import Answer, Turn, turn_of
from eval.trace import Entry, Span, Trace
from tests.eval.fakes import final, partial, trace, word

RED, GREEN, BLUE = word("red", 0.5, 1.0), word("green", 1.0, 1.5), word("blue", 1.5, 2.0)
BEFORE = (partial(1.3, "red"), final(1.8, RED), partial(1.81, "grey", start_s=1.0))
"""Until the end of speech at 2 s: "red" is final, "grey" is shown."""


def streamed(*entries: Entry, **fields: object) -> Trace:
    """A turn of "red green blue" whose speech lasts from 0.5 to 2 s."""
    known = {"mode": "live", "reference": "red green blue", "speech_start_s": 0.5, "speech_end_s": 2.0} | fields
    return trace(*entries, **known)  # type: ignore[arg-type]


def turn(*entries: Entry, **fields: object) -> Turn:
    found = turn_of(streamed(*entries, **fields))
    assert found is not None
    return found


def value(key: str, *traces: Trace) -> float | None:
    return value_of(BY_KEY[key], [ScoredTrace(each) for each in traces])


def test_each_answer_has_its_delay_and_the_text_by_then() -> None:
    """A partial 0.1 s after the end of speech, finals after 0.2 and 0.4 s, the turn's end after 0.7 s."""
    found = turn(
        *BEFORE,
        partial(2.1, "green", "blow", start_s=1.0),
        final(2.2, GREEN),
        final(2.4, BLUE),
        final(2.7, ends=True),
    )
    assert found.first_message == Answer(pytest.approx(0.1), "red green blow")
    assert found.first_final == Answer(pytest.approx(0.2), "red green")  # the word behind is shown, and no final
    assert found.last_final == Answer(pytest.approx(0.4), "red green blue")
    assert found.speech_final == Answer(pytest.approx(0.7), "red green blue")
    assert not found.cut


def test_a_message_without_any_text_is_no_answer() -> None:
    """Servers send empty partials in silence."""
    found = turn(partial(2.1), partial(2.2, "red"))
    assert found.first_message == Answer(pytest.approx(0.2), "red")


def test_what_came_before_the_end_of_speech_has_no_delay() -> None:
    """As in Pipecat's benchmark: a final before the anchor cannot be measured, and is not a delay of zero."""
    early = turn(final(1.9, RED, GREEN, BLUE))
    assert (early.first_message, early.first_final, early.last_final, early.speech_final) == (None,) * 4
    assert value("ttfs_p50", streamed(final(1.9, RED, GREEN, BLUE))) is None


def test_a_turn_is_cut_where_its_end_was_reported_before_the_speaker_stopped() -> None:
    """Or where words came behind that end: a decision from before may arrive after the end of speech."""
    assert turn(final(1.2, RED, ends=True), final(2.4, GREEN, BLUE, ends=True)).cut
    assert turn(final(2.1, RED, ends=True), final(2.4, GREEN, BLUE, ends=True)).cut
    assert turn(final(1.9, RED, GREEN, BLUE, ends=True)).cut
    assert not turn(final(2.1, RED, GREEN, BLUE, ends=True), final(2.5, ends=True)).cut
    assert not turn(final(1.9, RED), final(2.1, GREEN, BLUE)).cut


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": "offline"},
        {"speech_end_s": None},
        {"reference": " "},
        {"duration_s": 31.0},
        {"reference_segments": (Span("red", 0.0, 1.0), Span("green blue", 1.0, 2.0))},
    ],
    ids=["not streamed", "no end of speech", "no speech", "too long", "several segments"],
)
def test_other_recordings_are_no_turns(fields: dict[str, object]) -> None:
    """They have no figures either."""
    other = streamed(final(2.2, RED, GREEN, BLUE, ends=True), **fields)
    assert turn_of(other) is None
    assert value("ttfs_p50", other) is None
    assert value("cut_turns", other) is None


def test_the_metrics_pair_delays_with_the_errors_of_their_text() -> None:
    """Two turns. After 0.1 s "red", after 0.3 s all: two of three words missing, then none. The other: 0.2 s and 0.5 s,
    with one word wrong at the first message."""
    one = streamed(partial(2.1, "red"), final(2.3, RED, GREEN, BLUE, ends=True))
    other = streamed(partial(2.2, "red", "green", "blow"), final(2.5, RED, GREEN, BLUE), utterance="v")
    assert value("first_message_p50", one, other) == pytest.approx(0.15)
    assert value("wer_first_message", one, other) == pytest.approx(100 * 3 / 6)
    assert value("first_final_p50", one, other) == pytest.approx(0.4)
    assert value("wer_first_final", one, other) == 0.0
    assert value("ttfs_p50", one, other) == pytest.approx(0.4)
    assert value("ttfs_p99", one, other) == pytest.approx(0.3 + 0.99 * 0.2)
    assert value("speech_final_p50", one, other) == pytest.approx(0.3)
    turns = [ScoredTrace(one), ScoredTrace(other)]
    assert (measured(BY_KEY["ttfs_p50"], turns), measured(BY_KEY["speech_final_p50"], turns)) == (2, 1)
    assert value("cut_turns", one, other) == 0.0


def test_the_first_words_count_from_the_first_words_onset_and_end() -> None:
    """From the aligned reference where there is one, else from the recording's energy and the system's own word."""
    shown = streamed(partial(1.4, "red"), final(2.5, RED, GREEN, BLUE))
    assert value("first_p50", shown) == pytest.approx(0.9)
    assert value("first_word_p50", shown) == pytest.approx(0.4)
    aligned = streamed(*shown.entries, reference_words=(Span("red", 0.6, 0.9), Span("green", 1.0, 1.5)))
    assert value("first_p50", aligned) == pytest.approx(0.8)
    assert value("first_word_p50", aligned) == pytest.approx(0.5)
