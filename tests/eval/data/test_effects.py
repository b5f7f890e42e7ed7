"""What rooms, lines and devices do to sound, measured on sounds whose answer is known."""

import numpy as np
import pytest
import torch
import torchaudio
from hypothesis import given
from hypothesis import strategies as st

from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from eval.data.effects import CODECS, add_noise, coded, cut_noise, gain, power, reverberate, telephone
from tests.speech import speech


def tone(hz: float, level: float = 0.25, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def rush(seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    size = round(seconds * SAMPLE_RATE_HZ)
    return (level * np.random.default_rng(1).standard_normal(size)).astype(np.float32)


def level_db(samples: np.ndarray) -> float:
    return 10 * np.log10(power(samples[2000:-2000]))


def lag(clean: np.ndarray, heard: np.ndarray) -> int:
    """Samples by which the second comes later: where they correlate best."""
    size = 1 << (2 * len(clean)).bit_length()
    fit = np.fft.irfft(np.fft.rfft(clean, size).conj() * np.fft.rfft(heard, size))
    best = int(np.argmax(fit))
    return best if best < size // 2 else best - size


@given(st.floats(-10, 40), st.floats(0.001, 0.3))
def test_noise_is_as_loud_as_asked(snr_db: float, level: float) -> None:
    """Separated by least squares, the two parts have the requested ratio, whatever their levels."""
    clean, noise = tone(440), rush(level=level)
    heard = add_noise(clean, noise, snr_db)
    parts = np.linalg.lstsq(np.stack([clean, noise], 1), heard, rcond=None)[0]
    found = 10 * np.log10(power(parts[0] * clean) / power(parts[1] * noise))
    assert found == pytest.approx(snr_db, abs=0.01)
    assert np.abs(heard).max() <= 1


def test_noise_is_added_as_torchaudio_does() -> None:
    """The definition of the ratio is the same: mean powers over the whole recording."""
    clean, noise = tone(440), rush()
    theirs = torchaudio.functional.add_noise(torch.tensor(clean), torch.tensor(noise), torch.tensor(10.0))
    np.testing.assert_allclose(add_noise(clean, noise, 10), theirs.numpy(), atol=1e-6)


def test_a_silent_recording_or_noise_leaves_the_recording_as_it_was() -> None:
    """There is no ratio to nothing."""
    silence = np.zeros(1000, np.float32)
    assert np.array_equal(add_noise(silence, rush()[:1000], 10), silence)
    assert np.array_equal(add_noise(tone(440), np.zeros(16000, np.float32), 10), tone(440))


def test_noise_that_is_too_short_begins_again() -> None:
    """From a place that the generator chose; the same generator chooses the same."""
    noise = np.arange(10, dtype=np.float32)
    cut = cut_noise(noise, 25, np.random.default_rng(0))
    assert np.array_equal(np.diff(cut) % 10, np.ones(24))
    assert np.array_equal(cut, cut_noise(noise, 25, np.random.default_rng(0)))


@pytest.mark.parametrize(("hz", "passes"), [(100, False), (200, False), (500, True), (1000, True), (3200, True)])
def test_a_telephone_line_passes_its_band(hz: float, passes: bool) -> None:
    """300 to 3400 Hz within a decibel; what lies well outside falls by 40 at least."""
    change_db = level_db(telephone(tone(hz))) - level_db(tone(hz))
    assert change_db == pytest.approx(0, abs=1) if passes else change_db < -40


@pytest.mark.parametrize("hz", [3700, 4300, 5000, 7000])
def test_a_telephone_line_folds_nothing_back_from_above(hz: float) -> None:
    """What would lie below 4 kHz after decimation is gone before."""
    assert level_db(telephone(tone(hz))) - level_db(tone(hz)) < -60


def test_a_room_with_one_echo_adds_that_echo() -> None:
    """The direct sound stays where it was, however late it comes in the response; so does the loudness."""
    clean = np.zeros(1000, np.float32)
    clean[100] = 0.5
    response = np.zeros(500, np.float32)
    response[[50, 250]] = [1.0, 0.5]
    heard = reverberate(clean, response)
    assert list(np.flatnonzero(np.abs(heard) > 0.01)) == [100, 300]
    assert heard[300] / heard[100] == pytest.approx(0.5, abs=1e-4)
    assert power(heard) == pytest.approx(power(clean), rel=1e-4)


def test_a_silent_room_is_refused() -> None:
    """It would make silence of everything."""
    with pytest.raises(AudioError, match="silent"):
        reverberate(tone(440), np.zeros(10, np.float32))


def test_a_gain_is_a_factor_and_clips_at_full_scale() -> None:
    """6.02 dB are twice the amplitude."""
    np.testing.assert_allclose(gain(tone(440), 6.0206), 2 * tone(440), rtol=1e-4)
    assert np.abs(gain(tone(440), 40)).max() == 1.0


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_length_place_and_most_of_the_sound(name: str) -> None:
    """It changes the samples but not their time, to 5 samples of 16,000."""
    clean = speech()
    heard = coded(clean, CODECS[name])
    assert len(heard) == len(clean)
    assert not np.array_equal(heard, clean)
    assert abs(lag(clean, heard)) <= 5
    assert np.corrcoef(clean, heard)[0, 1] > 0.7


def test_g711_has_the_noise_that_its_specification_allows() -> None:
    """ITU-T G.712: a tone at -10 dBm0 has a signal-to-distortion ratio of at least 33 dB; full scale is +3.17 dBm0."""
    clean = tone(1020, level=10 ** ((-10 - 3.17) / 20))
    for name in ("mulaw", "alaw"):
        heard = coded(clean, CODECS[name])[2000:-2000]
        phase = 2 * np.pi * 1020 * np.arange(len(heard)) / SAMPLE_RATE_HZ
        wave = np.stack([np.sin(phase), np.cos(phase)], 1)
        rest = heard - wave @ np.linalg.lstsq(wave, heard, rcond=None)[0]
        assert 10 * np.log10(power(heard) / power(rest)) > 33


def test_fewer_bits_lose_more() -> None:
    """Opus at 8 kbit/s against 32."""
    clean = speech()
    few, many = (coded(clean, CODECS["opus"], rate) for rate in (8, 32))
    assert np.corrcoef(clean, few)[0, 1] < np.corrcoef(clean, many)[0, 1]


def test_a_codec_of_nothing_is_nothing() -> None:
    """An empty recording is refused elsewhere, by its reader."""
    assert len(coded(np.zeros(0, np.float32), CODECS["opus"])) == 0
