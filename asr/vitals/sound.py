"""How an utterance sounds: frames of samples -> a few numbers of each frame -> the acoustic numbers of the utterance.

Frames are those of voice activity (512 samples, 32 ms), without overlap. Only band powers are kept, so the samples can
be forgotten and a saved session stays small.
"""

from collections.abc import Mapping

import numpy as np

from asr.config import SAMPLE_RATE_HZ

FRAME_SAMPLES = 512
BANDS = 32
"""Bands of 250 Hz, from 16 Hz to 8 kHz."""
BAND_HZ = SAMPLE_RATE_HZ / 2 / BANDS
SPEECH, SILENCE = 0.5, 0.35
"""Speech probability of a frame from which on it is speech, and below which it is none."""
FLOOR_DB = -100.0
CLIPPED = 0.985
"""Samples at this share of full scale count as clipped."""
AUDIBLE_DB = 45.0
"""A band this much below the strongest is not transmitted: the difference is 60 dB and more on a telephone line."""
HOLE_DB = 60.0
"""A band this much below the strongest of its own frame is a hole: codecs leave out what masks itself."""
_PEAK, _CLIPPED, _ZEROS, COLUMNS = BANDS, BANDS + 1, BANDS + 2, BANDS + 3
_MID, _LOW, _UPPER, _HIGH, _TOP = slice(1, 13), slice(0, 1), slice(14, 18), slice(20, 26), slice(28, 32)
_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_SCALE = 2.0 / float((_WINDOW**2).sum()) / FRAME_SAMPLES * (FRAME_SAMPLES / 2 / BANDS)


def frame_numbers(samples: np.ndarray) -> np.ndarray:
    """Band powers, peak, clipped and zero samples of each frame: float32 ``(n, COLUMNS)`` for ``(n * 512,)``."""
    frames = samples.reshape(-1, FRAME_SAMPLES)
    power = np.abs(np.fft.rfft(frames * _WINDOW, axis=1)[:, 1:]) ** 2
    bands = power.reshape(len(frames), BANDS, -1).mean(axis=2) * _SCALE
    size = np.abs(frames)
    counts = ((size >= CLIPPED).sum(axis=1), (size == 0).sum(axis=1))
    return np.column_stack([bands, size.max(axis=1), *counts]).astype(np.float32)


def acoustic(frames: np.ndarray, probabilities: np.ndarray) -> Mapping[str, float]:
    """The numbers of `asr.vitals.names.ACOUSTIC` for frames ``(n, COLUMNS)`` and speech probabilities ``(n,)``."""
    bands = frames[:, :BANDS]
    is_speech = probabilities >= SPEECH
    if not is_speech.any():
        return {}
    power = bands.sum(axis=1)
    speech, quiet = bands[is_speech], bands[power <= np.quantile(power, 0.1)]
    level, noise = decibel(power[is_speech].mean()), decibel(np.quantile(power, 0.1))
    spectrum = decibel(speech.mean(axis=0))
    mid = decibel(speech.mean(axis=0)[_MID].mean())
    envelope = decibel(power)
    falls = np.diff(envelope)
    falls = falls[falls < 0]
    samples = len(frames) * FRAME_SAMPLES
    return {
        "level_db": float(level),
        "noise_db": float(noise),
        "snr_db": float(np.clip(level - noise, 0, 90)),
        "peak_db": float(2 * decibel(frames[:, _PEAK].max())),
        "clipped": float(frames[:, _CLIPPED].sum() / samples),
        "zeros": float(frames[:, _ZEROS].sum() / samples),
        "rolloff_khz": float((np.flatnonzero(spectrum >= spectrum.max() - AUDIBLE_DB)[-1] + 1) * BAND_HZ / 1000),
        **{
            name: float(decibel(speech.mean(axis=0)[part].mean()) - mid)
            for name, part in {"low_db": _LOW, "upper_db": _UPPER, "high_db": _HIGH, "top_db": _TOP}.items()
        },
        "tilt_db": float(spectrum[1:4].mean() - spectrum[8:13].mean()),
        "flatness": _flatness(spectrum[_MID]),
        "floor_flatness": _flatness(decibel(quiet.mean(axis=0))),
        "holes": float((speech < speech.max(axis=1, keepdims=True) * 10 ** (-HOLE_DB / 10)).mean()),
        "modulation": float(decibel(power[is_speech]).std()),
        "decay_db": float(-np.mean(falls)) if len(falls) else float("nan"),
    }


def decibel(power: np.ndarray | float) -> np.ndarray:
    """Of full scale; `FLOOR_DB` at least."""
    return np.asarray(np.maximum(10 * np.log10(np.maximum(power, 1e-20)), FLOOR_DB))


def _flatness(levels_db: np.ndarray) -> float:
    """How much the mean level lies below the level of the mean power, in dB: 0 for white noise, negative else."""
    return float(levels_db.mean() - decibel(float((10 ** (levels_db / 10)).mean())))
