"""Any sample rate -> 16 kHz, in pieces of any size.

A polyphase windowed-sinc filter (Crochiere & Rabiner 1983, chapter 4). Why not soxr: its stream works in blocks of FFTs
and delays 48 kHz audio by 37 ms and 8 kHz audio by 115 ms; this filter delays them by 2 ms and 4 ms. One second of
48 kHz audio takes about 1.5 ms of one core. Each output is the same sum of the same numbers however the input is split,
so resampling in pieces and in one call give the same bits.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np

from asr.config import SAMPLE_RATE_HZ

_ZERO_CROSSINGS = 32
"""Of the sinc on each side. FFmpeg's resampler, which made Whisper's training audio, uses half as many."""
_KAISER_BETA = 8.0
"""Gives a stop band of about 80 dB."""
_CUTOFF = 0.95
"""The filter's -6 dB point, as a fraction of the lower Nyquist frequency."""
_MAX_PHASES = 2048
"""Only odd rates such as 47,999 Hz have more. Their phases are rounded down, an error below -60 dB."""
_STEP = 512
"""Outputs per inner step: few enough for the gathered windows to stay in the CPU's cache."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """Output ``n`` lies at input position ``n * down / up``. `bank` is ``(phases, 2 * half)``; each row sums to 1."""

    up: int
    down: int
    half: int
    bank: np.ndarray


@functools.lru_cache(maxsize=16)
def _filter_for(rate_hz: int) -> _Filter:
    divisor = math.gcd(rate_hz, SAMPLE_RATE_HZ)
    up, down = SAMPLE_RATE_HZ // divisor, rate_hz // divisor
    shrink = min(1.0, SAMPLE_RATE_HZ / rate_hz)
    half = math.ceil(_ZERO_CROSSINGS / shrink)
    phases = min(up, _MAX_PHASES)
    distance = (np.arange(2 * half) - (half - 1))[None] - (np.arange(phases) / phases)[:, None]  # (phases, taps)
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (distance / half) ** 2))
    taps = np.sinc(_CUTOFF * shrink * distance) * window
    return _Filter(up, down, half, (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32))


class StreamResampler:
    """Mono float32 at `rate_in_hz` -> mono float32 at 16 kHz, keeping the filter's state from call to call.

    Call `process` any number of times, then `flush` once; ``n`` samples in give ``ceil(n * 16000 / rate_in_hz)`` out.
    Input at 16 kHz passes unchanged and without delay.
    """

    def __init__(self, rate_in_hz: int) -> None:
        self._filter = None if rate_in_hz == SAMPLE_RATE_HZ else _filter_for(rate_in_hz)
        half = self._filter.half if self._filter else 1
        self.delay_s = half / rate_in_hz if self._filter else 0.0
        """Audio that `process` holds back until more arrives."""
        self._base = 1 - half
        """Input position of the first kept sample. Before position 0 the input counts as silence."""
        self._kept = np.zeros(half - 1, np.float32)
        self._next = 0

    def process(self, x: np.ndarray) -> np.ndarray:
        """Samples ``(n,)`` -> the outputs ``(m,)`` whose whole window has arrived."""
        f = self._filter
        if f is None:
            return x.astype(np.float32)
        self._kept = np.concatenate([self._kept, x.astype(np.float32, copy=False)])
        received = self._base + len(self._kept)
        end = max(self._next, -(-(received - f.half) * f.up // f.down))  # first output that still lacks samples
        y = _outputs(f, self._kept, self._base, self._next, end)
        self._next = end
        self._forget(end * f.down // f.up - (f.half - 1))
        return y

    def flush(self) -> np.ndarray:
        """The last outputs ``(m,)``, as if silence followed. Do not call `process` afterwards."""
        return self.process(np.zeros(self._filter.half if self._filter else 0, np.float32))

    def _forget(self, position: int) -> None:
        """Drops samples before `position`, where the next output's window begins."""
        drop = min(position - self._base, len(self._kept))
        self._kept = self._kept[drop:].copy()
        self._base += drop


def _outputs(f: _Filter, kept: np.ndarray, base: int, start: int, end: int) -> np.ndarray:
    """Outputs ``(end - start,)`` from the samples `kept` ``(n,)``, the first of which is at input position `base`."""
    y = np.empty(end - start, np.float32)
    if not len(y):
        return y
    windows = np.lib.stride_tricks.sliding_window_view(kept, 2 * f.half)
    if f.up == 1:  # all windows use the same row of the bank, so a view will do: three times faster than gathering
        offset = start * f.down - (f.half - 1) - base
        np.einsum("ij,j->i", windows[offset :: f.down][: len(y)], f.bank[0], out=y)
        return y
    for n in range(start, end, _STEP):
        positions = np.arange(n, min(n + _STEP, end), dtype=np.int64) * f.down
        first = positions // f.up - (f.half - 1) - base
        phase = positions % f.up * len(f.bank) // f.up
        np.einsum("ij,ij->i", windows[first], f.bank[phase], out=y[n - start : n - start + len(first)])
    return y
