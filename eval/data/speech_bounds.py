"""When speech begins and ends in a recording, by its energy alone: no model that is measured has a say in it."""

from dataclasses import dataclass

import numpy as np

from asr.config import SAMPLE_RATE_HZ

FRAME_SAMPLES = 160
"""10 ms. A level is the variance of a frame, so that a constant offset of the signal does not count."""
LOUD_PERCENTILE, FLOOR_PERCENTILE = 95, 5
"""Of the frames' levels: the level of loud speech, and the level of the background."""
BELOW_LOUD_DB, ABOVE_FLOOR_DB = 30.0, 10.0
"""A frame is active from 30 dB below loud speech on, and at least 10 dB above the background. Of 25 to 40 dB, 30 is
nearest to a forced alignment: 25 cuts soft last consonants, 40 takes breath for speech
(docs/log/evaluation.md#the-end-of-speech-from-energy)."""
LEAST_BELOW_LOUD_DB = 6.0
"""Where background and speech are close, a frame this much below loud speech is still active."""
LEAST_RANGE_DB = 10.0
"""Below this range between loud and soft, the recording has no silence to be told from speech."""
GAP_S = 0.2
"""Active frames closer than this are one sound: a stop consonant is silent for up to 0.15 s."""
LEAST_SOUND_S = 0.1
"""A sound with less active time is a click (many people's last sound is the mouse button that stops the recording)."""


@dataclass(frozen=True, slots=True)
class SpeechBounds:
    """Start of the first sound and end of the last one, in seconds."""

    start_s: float
    end_s: float


def speech_bounds(samples: np.ndarray) -> SpeechBounds | None:
    """The bounds of speech in mono samples ``(n,)`` at 16 kHz, to 10 ms; None where energy cannot tell.

    Frames of digital silence count for neither level, so silence put before or behind a recording moves no bound.
    """
    levels_db = _levels_db(samples)
    recorded = levels_db[np.isfinite(levels_db)]
    if not len(recorded):
        return None
    loud_db, floor_db = np.percentile(recorded, [LOUD_PERCENTILE, FLOOR_PERCENTILE])
    if loud_db - floor_db < LEAST_RANGE_DB:
        return None
    threshold_db = max(floor_db + ABOVE_FLOOR_DB, loud_db - BELOW_LOUD_DB)
    active = np.flatnonzero(levels_db >= min(threshold_db, loud_db - LEAST_BELOW_LOUD_DB))
    sounds = np.split(active, np.flatnonzero(np.diff(active) > _frames(GAP_S)) + 1)
    sounds = [sound for sound in sounds if len(sound) >= _frames(LEAST_SOUND_S)]
    if not sounds:
        return None
    return SpeechBounds(_seconds(sounds[0][0]), _seconds(sounds[-1][-1] + 1))


def _levels_db(samples: np.ndarray) -> np.ndarray:
    """Level of each whole frame ``(frames,)``; minus infinity for digital silence."""
    frames = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    with np.errstate(divide="ignore"):
        levels_db: np.ndarray = 10 * np.log10(frames.astype(np.float64).var(axis=1))
    return levels_db


def _frames(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ / FRAME_SAMPLES)


def _seconds(frame: int) -> float:
    return float(frame * FRAME_SAMPLES / SAMPLE_RATE_HZ)
