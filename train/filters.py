"""Initial filters of a convolution over the waveform: mel bands, so that training needs little data.

Each band has a windowed cosine in four phases, a quarter period apart. Rectified and summed, the four give the strength
of the band whatever the phase of the sound, like a mel spectrum (compare Zeghidour et al. 2018, "Learning Filterbanks
from Raw Speech for Phone Recognition").
"""

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError

PHASES = 4
LOWEST_HZ, HIGHEST_HZ = 80.0, 4000.0
"""The band common to telephone lines and wideband microphones, and a little below it."""


def mel_filters(channels: int, width: int) -> torch.Tensor:
    """Filters ``(channels, 1, width)`` of unit power, four per band. Raises `ConfigError` for other channel counts."""
    if channels % PHASES:
        raise ConfigError(f"model.filters is mel with {channels} channels, wanted a multiple of {PHASES}")
    edges_hz = _hz(np.linspace(_mel(LOWEST_HZ), _mel(HIGHEST_HZ), channels // PHASES + 2))
    filters = [
        _filter(centre_hz, high_hz - low_hz, phase * np.pi / 2, width)
        for low_hz, centre_hz, high_hz in zip(edges_hz, edges_hz[1:], edges_hz[2:], strict=False)
        for phase in range(PHASES)
    ]
    return torch.from_numpy(np.stack(filters).astype(np.float32))[:, None]


def _filter(centre_hz: float, band_hz: float, phase: float, width: int) -> np.ndarray:
    """A cosine ``(width,)`` in a Hann window as long as the band requires (its main lobe is four bins wide)."""
    length = min(width, round(4 * SAMPLE_RATE_HZ / band_hz))
    window = np.hanning(length + 2)[1:-1]
    time_s = (np.arange(length) - length / 2) / SAMPLE_RATE_HZ
    wave = window * np.cos(2 * np.pi * centre_hz * time_s + phase)
    padded = np.zeros(width)
    start = (width - length) // 2
    padded[start : start + length] = wave / np.sqrt(np.sum(wave**2))
    return padded


def _mel(hz: float) -> float:
    return 2595 * float(np.log10(1 + hz / 700))


def _hz(mel: np.ndarray) -> np.ndarray:
    hz: np.ndarray = 700 * (10 ** (mel / 2595) - 1)
    return hz
