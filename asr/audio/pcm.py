"""Uncompressed samples as they come over wires and out of decoders -> mono float32 in [-1, 1]."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from asr.errors import AudioError

MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class SampleForm:
    """How one sample lies in bytes: little-endian, ``width_bytes`` long, ``to_float`` scales it to [-1, 1]."""

    width_bytes: int
    to_float: Callable[[bytes], np.ndarray]


class PcmReader:
    """Bytes of interleaved samples, cut anywhere, -> mono; the bytes of an unfinished frame wait for the rest."""

    def __init__(self, form: SampleForm, channels: int) -> None:
        self._form = form
        self._channels = channels
        self._rest = b""

    def read(self, data: bytes) -> np.ndarray:
        """Mono ``(n,)`` of the frames complete by now; `AudioError` for NaN or infinite samples."""
        data = self._rest + data
        frame_bytes = self._form.width_bytes * self._channels
        whole = len(data) // frame_bytes * frame_bytes
        self._rest = data[whole:]
        return mix_down(self._form.to_float(data[:whole]).reshape(-1, self._channels))

    def end(self) -> None:
        """`AudioError` when bytes of an unfinished frame are left over."""
        if self._rest:
            wanted = self._form.width_bytes * self._channels
            raise AudioError(f"found {len(self._rest)} bytes left over at the end; wanted frames of {wanted} bytes")


def mix_down(frames: np.ndarray) -> np.ndarray:
    """Float frames ``(n, channels)`` -> their mean ``(n,)`` in [-1, 1]; `AudioError` for NaN or infinite samples.

    Beyond full scale is cut off, as every sound card does: a float of 1e30 is finite, but its power is not.
    """
    if not np.isfinite(frames).all():
        raise AudioError("found samples that are NaN or infinite; wanted finite floats in [-1, 1]")
    clipped: np.ndarray = np.clip(frames, -1, 1)
    mono: np.ndarray = clipped[:, 0] if frames.shape[1] == 1 else clipped.mean(axis=1)
    return mono


def any_to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any numpy type -> float32 of the same shape, full scale at 1; unsigned ones are zero in the middle."""
    if samples.dtype.kind == "f":
        return np.asarray(samples, np.float32)
    full_scale = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    scaled: np.ndarray = samples.astype(np.float32) / full_scale
    return scaled - np.float32(1) if samples.dtype.kind == "u" else scaled


@functools.cache
def mulaw_table() -> np.ndarray:
    """The 256 values of mu-law (ITU-T G.711, table 2): 14 bit magnitudes, scaled to 16 bit as every decoder does."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


@functools.cache
def alaw_table() -> np.ndarray:
    """The 256 values of A-law (ITU-T G.711, table 1): 13 bit magnitudes, scaled to 16 bit; even bits are inverted."""
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


SAMPLE_FORMS: Mapping[str, SampleForm] = {
    "linear16": SampleForm(2, lambda data: any_to_float(np.frombuffer(data, "<i2"))),
    "linear32": SampleForm(4, lambda data: np.frombuffer(data, "<f4")),
    "mulaw": SampleForm(1, lambda data: mulaw_table()[np.frombuffer(data, np.uint8)]),
    "alaw": SampleForm(1, lambda data: alaw_table()[np.frombuffer(data, np.uint8)]),
}
