"""What a session remembers: the curve of speech, and where a window may be cut."""

from asr.streaming.buffers import SpeechCurve
from asr.streaming.vad import FRAME_SAMPLES


def curve(*runs: tuple[float, int]) -> SpeechCurve:
    """So many frames of each probability."""
    made = SpeechCurve()
    for probability, frames in runs:
        for _ in range(frames):
            made.append(probability)
    return made


def test_the_longest_pause_is_cut_in_its_middle_and_of_equals_the_later() -> None:
    """Frames of 32 ms: pauses of 10, 20 and 20 frames between speech."""
    heard = curve((0.9, 30), (0.01, 10), (0.9, 30), (0.2, 20), (0.9, 30), (0.01, 20), (0.9, 30))
    assert heard.longest_pause(0, 170 * FRAME_SAMPLES, 0.0) == 130 * FRAME_SAMPLES
    assert heard.longest_pause(0, 110 * FRAME_SAMPLES, 0.0) == 80 * FRAME_SAMPLES


def test_a_pause_at_the_edge_counts_as_far_as_it_is_inside() -> None:
    """Two frames of the second are inside, ten of the first."""
    heard = curve((0.9, 30), (0.01, 10), (0.9, 30), (0.01, 20))
    assert heard.longest_pause(0, 72 * FRAME_SAMPLES, 0.0) == 35 * FRAME_SAMPLES


def test_without_a_pause_that_is_long_enough_there_is_none() -> None:
    """Ten frames are 0.32 s; two are a closure inside a word."""
    heard = curve((0.9, 30), (0.01, 10), (0.9, 30), (0.01, 2), (0.9, 10))
    assert heard.longest_pause(0, 82 * FRAME_SAMPLES, 0.4) is None
    assert heard.longest_pause(45 * FRAME_SAMPLES, 82 * FRAME_SAMPLES, 0.0) is None
