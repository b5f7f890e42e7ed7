"""Measures a recording: pure functions of mono float32 samples ``(n,)`` at 16 kHz.

Levels are in dB of full scale (a square wave of amplitude 1 has 0 dBFS), loudness in LUFS (ITU-R BS.1770-4).
"""

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asr.config import SAMPLE_RATE_HZ

FRAME_SAMPLES = 512
"""The frame of Silero's voice activity detection: 32 ms."""
SPEECH, SILENCE = 0.5, 0.1
"""A frame is speech from the first probability on, and a pause below the second. Frames between are neither."""
MARGIN_FRAMES = 2
"""Frames this close to speech are not used to measure noise: words begin softly and rooms reverberate."""
MIN_NOISE_FRAMES = 4
"""Pause frames needed to measure noise: an eighth of a second."""
MAX_SNR_DB = 80.0
"""The value for pauses of digital silence, which no microphone produces."""
FULL_SCALE = 0.99
FLAT_TOP, FLAT_STEP, LEAST_FLAT_PEAK = 0.998, 2e-4, 0.02
"""Shares of the peak: where a top begins, and how much it may rise. Quieter recordings are flat by their 16 bits."""
MIN_LOUDNESS_S = 0.4
"""One block of BS.1770: shorter recordings have no loudness."""
BANDWIDTH_FROM_HZ, BANDWIDTH_SHARE = 100.0, 1 - 1e-5
CUT_DB = 12.0
"""Speech at an edge is cut off if it is at most this much softer than the recording's speech."""

Vad = Callable[[np.ndarray], np.ndarray]
"""Samples ``(n * 512,)`` -> speech probabilities ``(n,)``. `silero` makes one."""


@dataclass(frozen=True, slots=True)
class Acoustics:
    """The measurements of one recording; None if unknown (loudness below 0.4 s, noise without pauses)."""

    duration_s: float
    speech_s: float
    loudness_lufs: float | None
    peak_dbfs: float | None
    snr_db: float | None
    clipped_share: float
    bandwidth_hz: float | None
    cut_start: bool
    cut_end: bool
    sound_sha256: str

    @property
    def speech_share(self) -> float:
        return self.speech_s / self.duration_s if self.duration_s else 0.0


def measure(samples: np.ndarray, vad: Vad) -> Acoustics:
    """All measurements of samples ``(n,)``."""
    speech = probabilities(samples, vad)
    return Acoustics(
        duration_s=len(samples) / SAMPLE_RATE_HZ,
        speech_s=min(float((speech >= SPEECH).sum()) * FRAME_SAMPLES, len(samples)) / SAMPLE_RATE_HZ,
        loudness_lufs=loudness_lufs(samples),
        peak_dbfs=_db(float(np.abs(samples).max(initial=0.0)) ** 2),
        snr_db=snr_db(samples, speech),
        clipped_share=clipped_share(samples),
        bandwidth_hz=bandwidth_hz(samples),
        cut_start=is_cut(samples, speech),
        cut_end=is_cut(samples[::-1], speech[::-1]),
        sound_sha256=sound_sha256(samples),
    )


def silero() -> Vad:
    """Silero's voice activity detection, one recording per call. Imports torch, which takes seconds."""
    from asr.streaming.vad import SileroVad, VadState

    network = SileroVad()
    return lambda samples: network.probabilities([VadState()], [samples])[0]


def probabilities(samples: np.ndarray, vad: Vad) -> np.ndarray:
    """Speech probabilities of samples ``(n,)``, one per frame ``(ceil(n / 512),)``; the last frame is zero-padded."""
    return vad(np.pad(samples, (0, -len(samples) % FRAME_SAMPLES)))


def loudness_lufs(samples: np.ndarray) -> float | None:
    """Integrated loudness of samples ``(n,)`` (ITU-R BS.1770-4, by `pyloudnorm`); None below 0.4 s and for silence."""
    import pyloudnorm

    if len(samples) < MIN_LOUDNESS_S * SAMPLE_RATE_HZ:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loudness = float(pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(samples.astype(np.float64)))
    return loudness if np.isfinite(loudness) else None


def snr_db(samples: np.ndarray, speech: np.ndarray) -> float | None:
    """(Mean power of speech frames - median power of pause frames) / median power of pause frames, in dB.

    Takes samples ``(n,)`` and speech probabilities per frame. An estimate from voice activity (as in P.56 with a given
    mask), good to a few decibels. It uses the median of the pauses, because with the mean a single missed word would
    make the noise of a clean recording as loud as its speech. None without speech, or without `MIN_NOISE_FRAMES` of
    pauses away from speech; at most `MAX_SNR_DB`.
    """
    powers = frame_powers(samples, len(speech))
    talk, pause = speech >= SPEECH, _pauses(speech)
    if not talk.any() or pause.sum() < MIN_NOISE_FRAMES:
        return None
    noise = float(np.median(powers[pause]))
    signal = float(powers[talk].mean()) - noise
    if signal <= 0:
        return 0.0
    return min(MAX_SNR_DB, 10 * float(np.log10(signal / noise))) if noise else MAX_SNR_DB


def _pauses(speech: np.ndarray) -> np.ndarray:
    """Mask of the frames ``(frames,)`` without speech in them or within `MARGIN_FRAMES` of them."""
    return np.asarray(np.convolve(speech >= SILENCE, np.ones(2 * MARGIN_FRAMES + 1), mode="same") == 0)


def frame_powers(samples: np.ndarray, frames: int) -> np.ndarray:
    """Mean square of each frame ``(frames,)`` of samples ``(n,)``; of a partial last frame over its own samples."""
    padded = np.pad(samples, (0, frames * FRAME_SAMPLES - len(samples))).astype(np.float64)
    sums = np.square(padded).reshape(frames, FRAME_SAMPLES).sum(axis=1)
    sizes = np.full(frames, FRAME_SAMPLES)
    if frames:
        sizes[-1] = len(samples) - (frames - 1) * FRAME_SAMPLES
    return np.asarray(sums / sizes)


def clipped_share(samples: np.ndarray) -> float:
    """Share of samples ``(n,)`` at or above 99 % of full scale, or on flat tops: clipped, then turned down.

    Natural speech is within `FLAT_TOP` of its peak for 0.005 % of the time at most; a top is flat where neighbours are
    equal, so that a low tone has none.
    """
    levels = np.abs(samples)
    peak = float(levels.max(initial=0.0))
    if peak >= FULL_SCALE or peak < LEAST_FLAT_PEAK:
        return float((levels >= FULL_SCALE).mean()) if len(samples) else 0.0
    top = levels >= FLAT_TOP * peak
    level = np.abs(np.diff(samples, prepend=samples[:1])) <= FLAT_STEP * peak
    return float((top & level).mean())


def bandwidth_hz(samples: np.ndarray) -> float | None:
    """The frequency below which 99.999 % of the power above 100 Hz lies; None for silence and below one frame.

    8 kHz telephone speech in a 16 kHz file ends at or below 4 kHz; fricatives from any microphone exceed 5 kHz.
    """
    if len(samples) < FRAME_SAMPLES:
        return None
    spectrum = mean_spectrum(samples)
    hz = np.fft.rfftfreq(FRAME_SAMPLES, 1 / SAMPLE_RATE_HZ)
    spectrum[hz < BANDWIDTH_FROM_HZ] = 0.0
    if not spectrum.sum():
        return None
    return float(hz[np.searchsorted(np.cumsum(spectrum), BANDWIDTH_SHARE * spectrum.sum())])


def mean_spectrum(samples: np.ndarray) -> np.ndarray:
    """Mean power spectrum ``(257,)`` of samples ``(n,)``: windowed frames that overlap by half (Welch 1967)."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME_SAMPLES)[:: FRAME_SAMPLES // 2]
    window = np.blackman(FRAME_SAMPLES)
    total, step = np.zeros(FRAME_SAMPLES // 2 + 1), 4096
    for start in range(0, len(frames), step):
        total += np.square(np.abs(np.fft.rfft(frames[start : start + step] * window))).sum(axis=0)
    return total / len(frames)


def is_cut(samples: np.ndarray, speech: np.ndarray) -> bool:
    """True if the recording begins in the middle of speech; reverse both arrays to test its end.

    That is: one of the first two frames is speech, and the first `FRAME_SAMPLES` samples are as loud as speech (see
    `CUT_DB`). After reversal the first frame may be the partial one.
    """
    talk = speech >= SPEECH
    if not talk[:2].any():
        return False
    loud = float(frame_powers(samples, len(speech))[talk].mean())
    return bool(np.mean(np.square(samples[:FRAME_SAMPLES])) >= loud * 10 ** (-CUT_DB / 10))


def sound_sha256(samples: np.ndarray) -> str:
    """Hash of the samples ``(n,)`` rounded to 16 bits: equal for the same recording in two lossless files."""
    rounded = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    return hashlib.sha256(rounded.tobytes()).hexdigest()


def _db(power: float) -> float | None:
    return 10 * float(np.log10(power)) if power > 0 else None
