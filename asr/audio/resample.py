"""Any sample rate -> 16 kHz, in pieces of any size.

A polyphase windowed-sinc filter (Crochiere & Rabiner 1983, chapter 4) of our own, because soxr's stream holds back
37 ms of sound at 48 kHz and 115 ms at 8 kHz (it works in blocks of FFTs); this one holds back 2 ms and 4 ms. It costs
about 1.5 ms of one core for a second of 48 kHz sound, and each output is the same sum of the same numbers however the
input is cut, so fed in pieces equals fed at once bit for bit.
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from asr.config import SAMPLE_RATE_HZ

_ZERO_CROSSINGS = 32
"""Of the sinc on each side: twice what ffmpeg's resampler, which made Whisper's training audio, uses."""
_KAISER_BETA = 8.0
"""About 80 dB of stop band."""
_CUTOFF = 0.95
"""Of the lower Nyquist frequency, where the filter is at -6 dB."""
_MAX_PHASES = 2048
"""Only odd rates (47,999 Hz) have more; their phases are rounded down, an error of less than -60 dB."""
_STEP = 512
"""Outputs per inner step: the gathered windows stay in the cache."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """Output ``n`` lies at input position ``n * down / up``; ``bank`` is ``(phases, 2 * half)``, each row of sum 1."""

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
    """Mono float32 at ``rate_in_hz`` -> mono float32 at 16 kHz; the filter's memory is carried from call to call.

    ``process`` any number of times, then ``flush`` once; ``n`` samples in give ``ceil(n * 16000 / rate_in_hz)`` out.
    At 16 kHz the samples pass unchanged and undelayed.
    """

    def __init__(self, rate_in_hz: int) -> None:
        self._filter = None if rate_in_hz == SAMPLE_RATE_HZ else _filter_for(rate_in_hz)
        half = self._filter.half if self._filter else 1
        self.delay_s = half / rate_in_hz if self._filter else 0.0
        """Sound held back until more arrives."""
        self._base = 1 - half
        """Input position of the first sample kept; before position 0 there is silence."""
        self._kept = np.zeros(half - 1, np.float32)
        self._next = 0

    def process(self, x: np.ndarray) -> np.ndarray:
        """Samples ``(n,)`` -> those outputs ``(m,)`` whose whole window is known by now."""
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
        """The last outputs ``(m,)``, as if silence followed. Nothing may be processed afterwards."""
        return self.process(np.zeros(self._filter.half if self._filter else 0, np.float32))

    def _forget(self, position: int) -> None:
        """Drop what lies before the input position that the next output's window begins at."""
        drop = min(position - self._base, len(self._kept))
        self._kept = self._kept[drop:].copy()
        self._base += drop


def _outputs(f: _Filter, kept: np.ndarray, base: int, start: int, end: int) -> np.ndarray:
    """Outputs ``start`` to ``end`` from the samples ``kept``, which begin at input position ``base``."""
    y = np.empty(end - start, np.float32)
    if not len(y):
        return y
    windows = np.lib.stride_tricks.sliding_window_view(kept, 2 * f.half)
    if f.up == 1:  # every window meets the same row of the bank: a view does, three times as fast as gathering them
        offset = start * f.down - (f.half - 1) - base
        np.einsum("ij,j->i", windows[offset :: f.down][: len(y)], f.bank[0], out=y)
        return y
    for n in range(start, end, _STEP):
        positions = np.arange(n, min(n + _STEP, end), dtype=np.int64) * f.down
        first = positions // f.up - (f.half - 1) - base
        phase = positions % f.up * len(f.bank) // f.up
        np.einsum("ij,ij->i", windows[first], f.bank[phase], out=y[n - start : n - start + len(first)])
    return y


def gathered(pieces: Iterator[tuple[int, np.ndarray]]) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces of one rate and shape, ``(n,)`` or ``(n, channels)``, joined up to half a second: a call to mix or to
    resample costs more than 20 ms of sound in it."""
    kept: list[np.ndarray] = []
    kept_hz = count = 0
    for rate_hz, piece in pieces:
        if kept and (rate_hz != kept_hz or piece.shape[1:] != kept[0].shape[1:] or count >= rate_hz // 2):
            yield kept_hz, np.concatenate(kept)
            kept, count = [], 0
        kept.append(piece)
        kept_hz, count = rate_hz, count + len(piece)
    if kept:
        yield kept_hz, np.concatenate(kept)
