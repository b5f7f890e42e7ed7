"""What a recording sounds like, on sounds made so that the answer is known, and on real speech."""

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ
from eval.audit.acoustics import (
    FRAME_SAMPLES,
    MAX_SNR_DB,
    Vad,
    bandwidth_hz,
    clipped_share,
    is_cut,
    loudness_lufs,
    measure,
    probabilities,
    silero,
    snr_db,
    sound_sha256,
)
from eval.data.effects import add_noise, power, telephone
from tests.speech import clip, silence


@pytest.fixture(scope="module")
def vad() -> Vad:
    return silero()


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """A sentence with 0.8 s of silence on either side."""
    return np.concatenate([silence(0.8), clip("quick_brown_fox"), silence(0.8)])


def tone(hz: float, level: float, seconds: float = 3.0) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def rush(samples: int, level: float) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def test_loudness_is_that_of_the_recommendation() -> None:
    """ITU-R BS.1770-4: a tone of 997 Hz at full scale in one channel has -3.01 LUFS; EBU Tech 3341 allows 0.1."""
    assert loudness_lufs(tone(997, 1.0)) == pytest.approx(-3.01, abs=0.1)
    assert loudness_lufs(tone(997, 0.1)) == pytest.approx(-23.01, abs=0.1)
    assert loudness_lufs(np.zeros(SAMPLE_RATE_HZ, np.float32)) is None
    assert loudness_lufs(tone(997, 1.0, 0.3)) is None


@pytest.mark.parametrize("wanted_db", [0.0, 10.0, 20.0, 30.0])
def test_the_signal_to_noise_ratio_is_measured(wanted_db: float) -> None:
    """A tone in the middle third of noise, with known speech frames: the true ratio, to half a decibel."""
    frames = 90
    talk = np.zeros(frames, np.float32)
    talk[30:60] = 1.0
    noise = rush(frames * FRAME_SAMPLES, 0.01)
    signal = tone(440, 1.0, frames * FRAME_SAMPLES / SAMPLE_RATE_HZ) * np.repeat(talk, FRAME_SAMPLES)
    inside = signal[30 * FRAME_SAMPLES : 60 * FRAME_SAMPLES]
    signal *= np.sqrt(power(noise) * 10 ** (wanted_db / 10) / power(inside))
    assert snr_db(signal + noise, talk) == pytest.approx(wanted_db, abs=0.5)


@pytest.mark.parametrize("wanted_db", [5.0, 15.0, 25.0])
def test_the_signal_to_noise_ratio_of_speech_is_measured(vad: Vad, spoken: np.ndarray, wanted_db: float) -> None:
    """With real voice activity, to 3 dB: `add_noise` counts the pauses in, so the ratio in speech is higher."""
    noisy = add_noise(spoken, rush(len(spoken), 0.1), wanted_db)
    share = len(clip("quick_brown_fox")) / len(spoken)
    found = snr_db(noisy, probabilities(noisy, vad))
    assert found == pytest.approx(wanted_db - 10 * np.log10(share), abs=3)


def test_a_ratio_to_nothing_is_bounded_and_one_without_speech_or_pauses_is_not_known(
    spoken: np.ndarray, vad: Vad
) -> None:
    """Digital silence in the pauses; only noise; only speech."""
    assert snr_db(spoken, probabilities(spoken, vad)) == MAX_SNR_DB
    noise = rush(30 * FRAME_SAMPLES, 0.1)
    assert snr_db(noise, np.zeros(30)) is None
    assert snr_db(noise, np.ones(30)) is None


def test_a_telephones_bandwidth_is_below_a_microphones() -> None:
    """Noise up to 8 kHz, the same through a telephone line; a tone's is its frequency, to a bin of 31 Hz or two."""
    noise = rush(SAMPLE_RATE_HZ, 0.1)
    assert (bandwidth_hz(noise) or 0) > 7900
    assert 3300 < (bandwidth_hz(telephone(noise)) or 0) < 3700
    assert bandwidth_hz(tone(1000, 0.5)) == pytest.approx(1000, abs=100)
    assert bandwidth_hz(np.zeros(SAMPLE_RATE_HZ, np.float32)) is None
    assert bandwidth_hz(noise[:100]) is None


def test_clipped_samples_are_counted() -> None:
    """A tone of twice full scale, cut off: a sine lies beyond half its height for two thirds of the time."""
    assert clipped_share(np.clip(tone(440, 2.0), -1, 1)) == pytest.approx(2 / 3, abs=0.01)
    assert clipped_share(tone(440, 0.9)) == 0.0
    assert clipped_share(0.3 * np.clip(tone(440, 2.0), -1, 1)) == pytest.approx(2 / 3, abs=0.1)  # then turned down
    assert clipped_share(0.3 * np.clip(tone(440, 2.0), -1, 0.5)) > 0.1
    assert clipped_share(tone(110, 0.5)) < 0.01
    assert clipped_share(np.zeros(0, np.float32)) == 0.0


def test_speech_that_is_cut_at_an_end_is_found(vad: Vad, spoken: np.ndarray) -> None:
    """Cut in the middle of the sentence; not where silence stands before it."""
    middle = len(spoken) // 2
    first, second = measure(spoken[:middle], vad), measure(spoken[middle:], vad)
    assert (first.cut_start, first.cut_end) == (False, True)
    assert second.cut_end is False
    whole = measure(spoken, vad)
    assert (whole.cut_start, whole.cut_end) == (False, False)
    assert not is_cut(np.zeros(0, np.float32), np.zeros(0))


def test_the_share_of_speech_is_about_the_sentences_length(vad: Vad, spoken: np.ndarray) -> None:
    """A third of silence around it, to a tenth; of silence it is nothing."""
    told = measure(spoken, vad)
    assert told.duration_s == pytest.approx(len(spoken) / SAMPLE_RATE_HZ)
    assert told.speech_share == pytest.approx(len(clip("quick_brown_fox")) / len(spoken), abs=0.1)
    nothing = measure(silence(1.0), vad)
    assert (nothing.speech_s, nothing.snr_db, nothing.peak_dbfs) == (0.0, None, None)


def test_the_same_sound_has_the_same_hash_at_16_bits() -> None:
    """Differences below one bit do not change it; larger ones do."""
    samples = tone(440, 0.5)
    assert sound_sha256(samples) == sound_sha256((np.round(samples * 32767) / 32767).astype(np.float32))
    assert sound_sha256(samples) != sound_sha256(samples[::-1])


@pytest.mark.parametrize("length", [1, 100, 511, 513, 5000])
def test_no_length_is_too_odd_to_be_measured(vad: Vad, length: int) -> None:
    """Unfinished frames included."""
    told = measure(rush(length, 0.1), vad)
    assert told.duration_s == length / SAMPLE_RATE_HZ
    assert told.speech_s <= told.duration_s
