"""The end of speech from energy, on synthetic signals whose end is known."""

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ
from eval.data.speech_bounds import speech_bounds
from tests.eval.fakes import spoken_noise

FRAME_S = 0.011
"""The bounds are exact to a frame of 10 ms."""


def quiet(seconds: float, level_db: float) -> np.ndarray:
    """White noise at this level."""
    rng = np.random.default_rng(0)
    return (10 ** (level_db / 20) * rng.standard_normal(round(seconds * SAMPLE_RATE_HZ))).astype(np.float32)


def mixed(background: np.ndarray, *sounds: tuple[float, np.ndarray]) -> np.ndarray:
    """The background with each sound added at its time in seconds."""
    samples = background.copy()
    for at_s, sound in sounds:
        start = round(at_s * SAMPLE_RATE_HZ)
        samples[start : start + len(sound)] += sound
    return samples


def bounds(samples: np.ndarray) -> tuple[float, float]:
    found = speech_bounds(samples)
    assert found is not None
    return found.start_s, found.end_s


@pytest.mark.parametrize("level_db", [-100, -70, -50, -40])
def test_speech_begins_and_ends_where_its_energy_does(level_db: float) -> None:
    """Whatever the background, down to 20 dB below speech."""
    samples = mixed(quiet(4.0, level_db), (0.73, spoken_noise(2.0)))
    assert bounds(samples) == pytest.approx((0.73, 2.73), abs=FRAME_S)


@pytest.mark.parametrize("gain_db", [-40, 0])
def test_the_recordings_gain_moves_no_bound(gain_db: float) -> None:
    """Levels are relative to the recording's own speech; nor does a constant offset count."""
    samples = mixed(quiet(4.0, -60), (0.73, spoken_noise(2.0))) * 10 ** (gain_db / 20) + 0.1
    assert bounds(samples) == pytest.approx((0.73, 2.73), abs=FRAME_S)


def test_digital_silence_moves_no_bound() -> None:
    """So a recording with silence put before and behind it ends where it ended, later by what was put before."""
    samples = mixed(quiet(3.0, -45), (0.5, spoken_noise(1.5)))
    padding = np.zeros(8000, np.float32)
    start_s, end_s = bounds(samples)
    assert bounds(np.concatenate([padding, samples, padding, padding])) == (start_s + 0.5, end_s + 0.5)


def test_a_recording_that_begins_and_ends_within_speech_is_speech_all_over() -> None:
    """No silence is needed: speech has its own."""
    assert bounds(spoken_noise(2.0)) == pytest.approx((0.0, 2.0), abs=FRAME_S)


def test_a_pause_within_speech_ends_nothing() -> None:
    """Two sentences with 1.5 s between them."""
    samples = mixed(quiet(6.0, -60), (0.5, spoken_noise(1.0)), (3.0, spoken_noise(1.0)))
    assert bounds(samples) == pytest.approx((0.5, 4.0), abs=FRAME_S)


def test_a_click_is_no_speech() -> None:
    """The mouse button before and after a crowd-sourced recording, louder than the speech and 60 ms long."""
    click = quiet(0.06, 0)
    samples = mixed(quiet(5.0, -60), (0.2, click), (1.0, spoken_noise(2.0)), (4.5, click))
    assert bounds(samples) == pytest.approx((1.0, 3.0), abs=FRAME_S)


def test_the_release_of_a_last_stop_consonant_belongs_to_the_word() -> None:
    """A burst of 30 ms, 120 ms after the vowel and 20 dB softer."""
    samples = mixed(quiet(4.0, -70), (0.5, spoken_noise(1.0)), (1.62, quiet(0.03, -35)))
    assert bounds(samples)[1] == pytest.approx(1.65, abs=FRAME_S)


@pytest.mark.parametrize(
    "samples",
    [np.zeros(16_000, np.float32), np.zeros(0, np.float32), quiet(3.0, -30), quiet(0.005, -30)],
    ids=["digital silence", "nothing", "noise alone", "less than a frame"],
)
def test_where_energy_cannot_tell_there_are_no_bounds(samples: np.ndarray) -> None:
    """No guess: such a recording has no turn."""
    assert speech_bounds(samples) is None
