"""Log-mel features, as Whisper was trained with them (Radford et al. 2022, section 2.2).

80 (or 128) mel bands, 25 ms Hann window, 10 ms hop; log10, floored 8 below the window's maximum, then ``(x + 4) / 4``.
"""

import functools

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ

CPU = torch.device("cpu")
N_FFT = 400
HOP_SAMPLES = 160
FRAME_S = 2 * HOP_SAMPLES / SAMPLE_RATE_HZ
"""The length of one encoder frame: two mel frames, 20 ms."""


def log_mel(samples: np.ndarray, bands: int) -> torch.Tensor:
    """Samples ``(n,)`` at 16 kHz -> log-mel ``(bands, n // 160)``."""
    power = log_power(samples, bands)
    return scaled(power, float(power.max()))


@torch.inference_mode()
def log_power(samples: np.ndarray, bands: int, device: torch.device = CPU) -> torch.Tensor:
    """Samples ``(n,)`` at 16 kHz -> log10 of the power in each mel band ``(bands, n // 160)``, on that device."""
    audio = torch.from_numpy(samples).to(device)
    spectrum = torch.stft(audio, N_FFT, HOP_SAMPLES, window=_window(device), return_complex=True)
    spectrum = spectrum[:, :-1]  # (201, n // 160)
    power = spectrum.real.square() + spectrum.imag.square()  # three times as fast as `abs`
    return (_filters(bands, device) @ power).clamp_min(1e-10).log10()


def scaled(power: torch.Tensor, loudest: float) -> torch.Tensor:
    """Log power ``(bands, n)`` -> the encoder's input ``(bands, n)``, floored 8 below `loudest`."""
    return (power.clamp_min(loudest - 8.0) + 4.0) / 4.0


@functools.cache
def _window(device: torch.device) -> torch.Tensor:
    return torch.hann_window(N_FFT, device=device)


@functools.cache
def _filters(bands: int, device: torch.device) -> torch.Tensor:
    """Slaney's mel filter bank ``(bands, 201)``, each filter of unit area, as librosa computes it for Whisper."""
    fft_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, N_FFT // 2 + 1)
    edges_hz = _hz_of_mel(np.linspace(0, _mel_of_hz(SAMPLE_RATE_HZ / 2), bands + 2))
    width = np.diff(edges_hz)
    ramps = edges_hz[:, None] - fft_hz[None]
    rising = -ramps[:-2] / width[:-1, None]
    falling = ramps[2:] / width[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling)) * (2.0 / (edges_hz[2:] - edges_hz[:-2]))[:, None]
    return torch.from_numpy(weights.astype(np.float32)).to(device)


# Slaney's mel scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
_LINEAR_HZ, _BREAK_HZ = 200.0 / 3, 1000.0
_BREAK_MEL, _LOG_STEP = _BREAK_HZ / _LINEAR_HZ, np.log(6.4) / 27.0


def _mel_of_hz(hz: float) -> float:
    return hz / _LINEAR_HZ if hz < _BREAK_HZ else _BREAK_MEL + float(np.log(hz / _BREAK_HZ)) / _LOG_STEP


def _hz_of_mel(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
