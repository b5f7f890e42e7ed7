"""The gain of voice activity: which frames are amplified, by how much, and after what."""

import numpy as np
import pytest

from asr.config import SAMPLE_RATE_HZ
from asr.streaming.level import FALL_DB_PER_S, FULL_DB, MOST_DB, SUSTAINED_FRAMES, Level
from asr.streaming.vad import FRAME_S

WIDTH = 576
SECOND = round(1 / FRAME_S)


def tone(db: float, frames: int = 1) -> np.ndarray:
    """Frames of 1 kHz ``(frames, 576)``, each of whole periods, at an RMS level in dB of full scale."""
    wave = np.sin(2 * np.pi * 1000 * np.arange(WIDTH) / SAMPLE_RATE_HZ) * 2**0.5 * 10 ** (db / 20)
    return np.tile(wave, (frames, 1)).astype(np.float32)


def gains_db(level: Level, frames: np.ndarray) -> np.ndarray:
    """The gains that the next frames get ``(n,)``, measured on what came out."""
    amplified, _ = level.amplified(frames)
    return 20 * np.log10(np.std(amplified, axis=1) / np.std(frames, axis=1))


def test_ordinary_audio_stays_bit_for_bit() -> None:
    """Also its pauses, for as long as the level needs to fall below the limit."""
    frames = np.concatenate([tone(-20, 10), tone(-70, 2 * SECOND), tone(-20, 10)])
    amplified, quiet = Level().amplified(frames)
    np.testing.assert_array_equal(amplified, frames)
    assert not quiet.any()


@pytest.mark.parametrize(("db", "gain_db"), [(-36, 1), (-55, 20), (-80, 45), (-100, 45)])
def test_quiet_audio_is_lifted_to_the_limit_from_its_first_frame(db: float, gain_db: float) -> None:
    """The first words count. The gain has a limit, so that what 16 bits round off does not become loud."""
    frames = tone(db, 5)
    level = Level()
    np.testing.assert_allclose(gains_db(level, frames), gain_db, atol=0.01)
    assert level.amplified(frames)[1].all()
    assert (FULL_DB, MOST_DB) == (-35, 45)


def test_no_frame_is_lifted_above_the_limit() -> None:
    """A loud word after silence is as loud as it was, from its first frame."""
    frames = np.concatenate([tone(-90, 20), tone(-10, 5), tone(-34, 5)])
    amplified, quiet = Level().amplified(frames)
    np.testing.assert_array_equal(amplified[20:], frames[20:])
    assert quiet.tolist() == [True] * 20 + [False] * 10


def test_the_gain_rises_slowly_and_falls_immediately() -> None:
    """After speech at -20 dB the limit is reached in 2.5 s; then the gain grows by 6 dB each second."""
    level = Level()
    gains_db(level, tone(-20, 10))
    gains = gains_db(level, tone(-75, 8 * SECOND))
    assert gains[: int(2.4 * SECOND)].max() == pytest.approx(0, abs=0.01)
    assert np.diff(gains).max() <= FALL_DB_PER_S * FRAME_S + 0.01
    assert gains[-1] == pytest.approx(8 * SECOND * FRAME_S * FALL_DB_PER_S - 15, abs=0.3)
    assert gains_db(level, tone(-20))[0] == pytest.approx(0, abs=0.01)


def test_a_click_does_not_hide_the_quiet_words_after_it() -> None:
    """The pop of a microphone that is switched on lasts a frame or two; a level counts after three."""
    level = Level()
    gains_db(level, np.concatenate([tone(-75, 5), tone(-3, SUSTAINED_FRAMES - 1)]))
    assert gains_db(level, tone(-75))[0] == pytest.approx(40, abs=0.01)
    gains_db(level, tone(-3, SUSTAINED_FRAMES))
    assert gains_db(level, tone(-75))[0] == pytest.approx(0, abs=0.01)


def test_an_offset_is_neither_level_nor_amplified() -> None:
    """A sound card's offset of 1 % is 35 dB above quiet speech."""
    frames = tone(-75, 3) + np.float32(0.01)
    amplified, _ = Level().amplified(frames)
    np.testing.assert_allclose(amplified.mean(axis=1), 0.01, atol=1e-4)
    assert 20 * np.log10(np.std(amplified[0])) == pytest.approx(FULL_DB, abs=0.1)


def test_digital_silence_stays_silent() -> None:
    """Zeros have no level."""
    amplified, _ = Level().amplified(np.zeros((4, WIDTH), np.float32))
    assert not amplified.any()


def test_gains_do_not_depend_on_how_the_frames_come() -> None:
    """One by one, in pieces of several lengths and of none, as at once."""
    rng = np.random.default_rng(3)
    frames = rng.standard_normal((200, WIDTH)).astype(np.float32) * 10 ** rng.uniform(-5, -0.5, (200, 1))
    whole, whole_quiet = Level().amplified(frames.astype(np.float32))
    for cuts in (range(1, 200), (1, 1, 64, 65, 190)):
        level = Level()
        parts = [level.amplified(part) for part in np.split(frames.astype(np.float32), list(cuts))]
        np.testing.assert_array_equal(np.concatenate([part for part, _ in parts]), whole)
        np.testing.assert_array_equal(np.concatenate([quiet for _, quiet in parts]), whole_quiet)
