"""LAAL and StreamLAAL, beside the values of the reference implementation."""

import pytest

from eval.metrics.average_lagging import laal_s, stream_laal_s
from eval.metrics.word_times import word_times
from eval.trace import Span, Trace
from tests.eval.fakes import final_at, trace, word

ITALIAN = (
    Span("A New York, sono a capo di un'associazione no profit, chiamata Robin Hood.", 12.61, 16.68),
    Span(
        "Quando non combatto la povertà, combatto gli incendi come assistente capitano di una brigata di pompieri "
        "volontari.",
        16.9,
        22.04,
    ),
)
TRANSCRIPT = (
    "Tornando a New York, sono il capo dello sviluppo per un non-profit chiamato Robin Hood. Quando non sto "
    "combattendo la povertà, sto combattendo i fuochi."
)
IDEAL_S = [14.0] * 4 + [16.0] * 9 + [18.0] * 8 + [20.0] * 4
AWARE_S = [18.22] * 4 + [19.93] * 9 + [23.01] * 8 + [27.30] * 4


def spoken(text: str, audio_s: list[float], wall_s: list[float], segments: tuple[Span, ...], language: str) -> Trace:
    """A trace whose words became final one by one at these times."""
    times = zip(text.split(), audio_s, wall_s, strict=True)
    entries = [final_at(word(each), audio, wall) for each, audio, wall in times]
    reference = " ".join(segment.text for segment in segments)
    return trace(
        *entries, reference=reference, reference_segments=segments, language=language, duration_s=30.0, end_wall_s=30.0
    )


@pytest.mark.parametrize(("clock", "expected"), [("audio", 0.868587), ("wall", 5.86)])
def test_stream_laal_is_simulstreams(clock: str, expected: float) -> None:
    """The example and both values of simulstream 1.0.0's own test (uts/metrics/test_stream_laal.py, words)."""
    streamed = spoken(TRANSCRIPT, IDEAL_S, AWARE_S, ITALIAN, "it")
    lagging = stream_laal_s(streamed, word_times(streamed), clock)
    assert sum(lagging) / 2 == pytest.approx(expected, abs=5e-5)


def test_a_segment_without_words_has_no_lagging() -> None:
    """It is left out of the mean, as there."""
    segments = (Span("red", 0.0, 1.0), Span("green", 1.0, 2.0), Span("blue", 2.0, 3.0))
    streamed = spoken("red blue", [1.5, 3.5], [1.5, 3.5], segments, "en")
    assert stream_laal_s(streamed, word_times(streamed)) == pytest.approx((1.5, 1.5))


def test_a_word_that_was_made_up_belongs_to_the_segment_behind_it() -> None:
    """As in mweralign 1.4.1; behind the last segment there is none: it belongs to the last."""
    segments = (Span("red", 0.0, 1.0), Span("green", 1.0, 2.0))
    times_s = [0.4, 0.6, 1.3, 1.5, 1.9]
    streamed = spoken("well red so green end", times_s, times_s, segments, "en")
    first = (0.4 + (0.6 - 1 / 2)) / 2
    second = (0.3 + (0.5 - 1 / 3) + (0.9 - 2 / 3)) / 3
    assert stream_laal_s(streamed, word_times(streamed)) == pytest.approx((first, second))


def test_languages_without_spaces_count_characters() -> None:
    """Both characters of a word are final with it."""
    segments = (Span("今天", 0.0, 1.0), Span("很好", 1.0, 2.0))
    streamed = spoken("今天 很好", [0.5, 1.5], [0.5, 1.5], segments, "zh")
    each = (0.5 + (0.5 - 0.5)) / 2
    assert stream_laal_s(streamed, word_times(streamed)) == pytest.approx((each, each))


def test_a_recording_without_segments_is_one() -> None:
    """StreamLAAL of one sentence is its LAAL."""
    streamed = trace(final_at(word("red"), 1.0, 1.0), final_at(word("green"), 4.0, 4.0), reference="red green")
    assert stream_laal_s(streamed, word_times(streamed)) == (laal_s([1.0, 4.0], 10.0, 2),)


@pytest.mark.parametrize(
    ("delays", "source_s", "reference", "expected"),
    [
        ([2.0, 5.0], 4.0, 4, 3.0),
        ([5.0, 6.0], 4.0, 2, 5.0),
        ([1.0, 2.0, 3.0], 3.0, 1, 1.0),
    ],
    ids=["a word beyond the source", "all words beyond it", "more words than the reference"],
)
def test_laal_by_hand(delays: list[float], source_s: float, reference: int, expected: float) -> None:
    """Delays less the times of ideal words, up to the first word beyond the end of the source."""
    assert laal_s(delays, source_s, reference) == pytest.approx(expected)
