"""What a session keeps of its stream: samples, speech probabilities, and where the pauses are."""

import numpy as np
import pytest

from asr.streaming.buffers import AudioBuffer, SpeechCurve
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES
from tests.asr.streaming.scripted import curve

FRAME = FRAME_SAMPLES


def test_samples_are_addressed_by_their_number_in_the_stream() -> None:
    """Also after the front was dropped, and after the memory has grown."""
    rng = np.random.default_rng(5)
    samples = rng.standard_normal(200_000).astype(np.float32)
    buffer, start = AudioBuffer(), 0
    for end in (1, 7, 40_000, 40_000, 123_456, 200_000):
        buffer.append(samples[start:end])
        start = end
        buffer.forget(end - 5000)
        assert buffer.end == end
        np.testing.assert_array_equal(buffer.slice(buffer.start, end), samples[buffer.start : end])
        assert buffer.start <= max(0, end - 5000)
    assert buffer.start > 120_000


def test_a_slice_is_a_copy() -> None:
    """The model may keep it when the buffer goes on."""
    buffer = AudioBuffer()
    buffer.append(np.ones(10, np.float32))
    buffer.slice(0, 5)[:] = 7
    np.testing.assert_array_equal(buffer.slice(0, 10), np.ones(10))


def test_memory_is_dropped_once_half_of_it_can_go() -> None:
    """Less would copy the rest too often; what was never received is not dropped."""
    buffer = AudioBuffer()
    buffer.append(np.zeros(1000, np.float32))
    buffer.forget(499)
    assert buffer.start == 0
    buffer.forget(500)
    assert buffer.start == 500
    buffer.forget(9999)
    assert (buffer.start, buffer.end) == (1000, 1000)


def test_frames_are_addressed_by_samples_after_the_front_was_dropped() -> None:
    """All questions have the same answer as before."""
    speech = curve((0.9, 60), (0.0, 10), (0.9, 30), (0.2, 5), (0.9, 15))
    asked = (80 * FRAME, 115 * FRAME)

    def answers() -> list[object]:
        return [
            speech.speech_s(*asked),
            speech.pauses(*asked),
            speech.longest_pause(*asked, 0.0),
            speech.quietest(*asked),
        ]

    before = answers()
    speech.forget(80 * FRAME)
    assert answers() == before
    assert before[:3] == [pytest.approx(30 * FRAME_S), [(100 * FRAME, 105 * FRAME)], 205 * FRAME // 2]


def test_the_longest_pause_is_cut_in_its_middle_and_of_equals_the_later() -> None:
    """Pauses of 10, 20 and 20 frames between speech."""
    speech = curve((0.9, 30), (0.01, 10), (0.9, 30), (0.2, 20), (0.9, 30), (0.01, 20), (0.9, 30))
    assert speech.longest_pause(0, 170 * FRAME, 0.0) == 130 * FRAME
    assert speech.longest_pause(0, 110 * FRAME, 0.0) == 80 * FRAME


def test_a_pause_at_the_edge_counts_as_far_as_it_is_inside() -> None:
    """Two frames of the second are inside, ten of the first."""
    speech = curve((0.9, 30), (0.01, 10), (0.9, 30), (0.01, 20))
    assert speech.longest_pause(0, 72 * FRAME, 0.0) == 35 * FRAME


def test_without_a_pause_that_is_long_enough_there_is_none() -> None:
    """Ten frames are 0.32 s; two are a closure inside a word."""
    speech = curve((0.9, 30), (0.01, 10), (0.9, 30), (0.01, 2), (0.9, 10))
    assert speech.longest_pause(0, 82 * FRAME, 0.4) is None
    assert speech.longest_pause(0, 82 * FRAME, 0.32) == 35 * FRAME
    assert speech.longest_pause(45 * FRAME, 82 * FRAME, 0.0) is None


def test_a_pause_is_at_least_three_silent_frames() -> None:
    """A frame is silent below a speech probability of 0.35."""
    speech = curve((0.9, 5), (0.34, 3), (0.9, 5), (0.34, 2), (0.35, 1), (0.34, 2), (0.9, 5))
    assert speech.pauses(0, 23 * FRAME) == [(5 * FRAME, 8 * FRAME)]


def test_seconds_of_speech_count_frames_that_are_rather_speech_than_not() -> None:
    """From a probability of 0.5 on, in whole frames between the two samples."""
    speech = curve((0.49, 10), (0.5, 10), (0.9, 10))
    assert speech.speech_s(0, 30 * FRAME) == pytest.approx(20 * FRAME_S)
    assert speech.speech_s(15 * FRAME, 25 * FRAME) == pytest.approx(10 * FRAME_S)
    assert speech.speech_s(15 * FRAME, 25 * FRAME + FRAME - 1) == pytest.approx(10 * FRAME_S)


def test_the_quietest_place_is_the_middle_of_160_ms() -> None:
    """A single frame of silence is not quieter than five quiet ones, and of two equal places the later is taken."""
    speech = curve((0.9, 20), (0.0, 1), (0.9, 19), (0.5, 5), (0.9, 15), (0.5, 5), (0.9, 20))
    assert speech.quietest(5 * FRAME, 80 * FRAME) == 62 * FRAME + FRAME // 2
    assert speech.quietest(5 * FRAME, 55 * FRAME) == 42 * FRAME + FRAME // 2


def test_an_empty_curve_has_no_speech_and_no_pause() -> None:
    """As at the beginning of a stream."""
    assert SpeechCurve().speech_s(0, 100 * FRAME) == 0
    assert SpeechCurve().pauses(0, 100 * FRAME) == []
    assert SpeechCurve().longest_pause(0, 100 * FRAME, 0.0) is None
