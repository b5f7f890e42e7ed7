"""The streaming resampler: exact in pieces, right in pitch and level, and quick to let go."""

import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.resample import StreamResampler
from tests.asr.media import sine

RATES_HZ = [8_000, 11_025, 12_345, 16_000, 22_050, 24_000, 32_000, 44_100, 47_999, 48_000, 96_000, 192_000]


def resampled(pieces: list[np.ndarray], rate_hz: int) -> np.ndarray:
    resampler = StreamResampler(rate_hz)
    return np.concatenate([*(resampler.process(piece) for piece in pieces), resampler.flush()])


@given(st.sampled_from(RATES_HZ), st.integers(0, 3000), st.lists(st.integers(0, 3000), max_size=40))
@settings(max_examples=150, deadline=None)
def test_fed_in_pieces_equals_fed_at_once_bit_for_bit(rate_hz: int, length: int, places: list[int]) -> None:
    """The first of the four properties, for any cut, empty pieces included."""
    noise = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    pieces = np.split(noise, sorted(min(place, length) for place in places))
    np.testing.assert_array_equal(resampled(pieces, rate_hz), resampled([noise], rate_hz))


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_second_stays_a_second_and_a_sample_may_come_alone(rate_hz: int) -> None:
    """``ceil(n * 16000 / rate)`` samples, also when each is fed by itself."""
    noise = np.random.default_rng(0).uniform(-1, 1, rate_hz).astype(np.float32)
    assert len(resampled([noise], rate_hz)) == 16_000
    alone = resampled(np.split(noise[:700], 700), rate_hz)
    assert len(alone) == -(-700 * 16_000 // rate_hz)
    np.testing.assert_array_equal(alone, resampled([noise[:700]], rate_hz))


@pytest.mark.parametrize(("rate_hz", "hz"), list(itertools.product(RATES_HZ, (50, 440, 1000, 3000))))
def test_a_sine_keeps_pitch_phase_and_level(rate_hz: int, hz: float) -> None:
    """Sample ``n`` is the sound at ``n / 16000`` s: no delay is left in the result."""
    middle = slice(200, -200)
    decoded = resampled([sine(1, rate_hz, hz)], rate_hz)
    np.testing.assert_allclose(decoded[middle], sine(1, 16_000, hz)[middle], atol=4e-4)


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 44_100, 48_000, 96_000])
def test_what_lies_above_8_khz_does_not_fold_back(rate_hz: int) -> None:
    """An alias of 8.5 kHz at full level would be a tone at 7.5 kHz: it is 80 dB down."""
    decoded = resampled([sine(0.5, rate_hz, 8_500, 1.0)], rate_hz)
    assert np.abs(decoded[200:-200]).max() < 1e-4


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000])
def test_another_resampler_hears_the_same(rate_hz: int) -> None:
    """soxr (HQ) on noise below both filters' edges."""
    noise = np.random.default_rng(1).normal(0, 0.1, rate_hz)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(rate_hz, 1 / rate_hz) > 0.4 * min(rate_hz, 16_000)] = 0
    band = np.fft.irfft(spectrum, rate_hz).astype(np.float32)
    middle = slice(500, -500)
    np.testing.assert_allclose(
        resampled([band], rate_hz)[middle], soxr.resample(band, rate_hz, 16_000, "HQ")[middle], atol=1e-4
    )


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_little_sound_is_held_back(rate_hz: int) -> None:
    """Live words cannot come sooner than their sound: at most ``delay_s``, itself at most 4 ms, is missing."""
    resampler = StreamResampler(rate_hz)
    given_out = len(resampler.process(np.zeros(rate_hz, np.float32)))
    assert resampler.delay_s <= 0.004
    assert 16_000 - given_out <= resampler.delay_s * 16_000 + 1


def test_the_memory_of_a_long_stream_stays_flat() -> None:
    """Only the filter's length is kept, however much has passed."""
    resampler = StreamResampler(48_000)
    sizes = {(resampler.process(np.zeros(4800, np.float32)).size, resampler._kept.size) for _ in range(100)}
    assert max(size for _, size in sizes) < 200
