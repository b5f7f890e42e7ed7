"""Uncompressed samples, from wires and from decoders -> float32 frames ``(n, channels)`` in [-1, 1]."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asr.errors import AudioError

if TYPE_CHECKING:
    import av

MAX_CHANNELS = 8
_UNKNOWN = "NONE"
"""FFmpeg's name of a channel whose place is unknown."""


@dataclass(frozen=True, slots=True)
class AudioForm:
    """The form of decoded frames ``(n, channels)``. `names` are FFmpeg's names of the channels, empty if unknown."""

    rate_hz: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """The layout of one sample: little-endian, `width_bytes` long.

    `to_float` takes the bytes of n samples and returns float32 ``(n,)`` scaled to [-1, 1].
    """

    width_bytes: int
    to_float: Callable[[bytes], np.ndarray]


class PcmReader:
    """Bytes of interleaved samples, split anywhere -> frames. An incomplete frame is kept for the next call."""

    def __init__(self, sample_format: SampleFormat, channels: int) -> None:
        self._format = sample_format
        self._channels = channels
        self._rest = b""

    def read(self, data: bytes) -> np.ndarray:
        """The frames ``(n, channels)`` that `data` completes."""
        data = self._rest + data
        frame_bytes = self._format.width_bytes * self._channels
        whole = len(data) // frame_bytes * frame_bytes
        self._rest = data[whole:]
        return self._format.to_float(data[:whole]).reshape(-1, self._channels)

    def end(self) -> None:
        """Raises `AudioError` if bytes of an incomplete frame are left over."""
        if self._rest:
            wanted = self._format.width_bytes * self._channels
            raise AudioError(f"found {len(self._rest)} bytes left over at the end; wanted frames of {wanted} bytes")


def checked_clipped(frames: np.ndarray) -> np.ndarray:
    """Float samples of any shape, clipped to [-1, 1]. Raises `AudioError` for NaN or infinite ones.

    Clipping is what every sound card does. Without it a float of 1e30, which is finite, has an infinite power.
    """
    if not np.isfinite(frames).all():
        raise AudioError("found samples that are NaN or infinite; wanted finite floats in [-1, 1]")
    clipped: np.ndarray = np.clip(frames, -1, 1)
    return clipped


def frame_samples(frame: "av.AudioFrame") -> np.ndarray:
    """A frame that FFmpeg decoded, of any sample format, packed or planar -> float32 ``(n, channels)``."""
    channels = frame.layout.nb_channels
    if channels == 1 and frame.format.name in ("flt", "fltp"):  # most speech; `to_ndarray` takes twice as long
        return np.frombuffer(memoryview(frame.planes[0]), np.float32, frame.samples)[:, None]
    samples = any_to_float(frame.to_ndarray())  # planar: (channels, n); packed: (1, n * channels)
    return samples.T if frame.format.is_planar else samples.reshape(-1, channels)


def any_to_float(samples: np.ndarray) -> np.ndarray:
    """Samples of any numpy type -> float32 of the same shape in [-1, 1]. Unsigned types have zero in the middle."""
    if samples.dtype.kind == "f":
        return np.asarray(samples, np.float32)
    full_scale = np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    scaled: np.ndarray = samples.astype(np.float32) / full_scale
    return scaled - np.float32(1) if samples.dtype.kind == "u" else scaled


def frame_form(frame: "av.AudioFrame") -> AudioForm:
    """The form of a frame that FFmpeg decoded."""
    return AudioForm(frame.sample_rate, channel_names(frame.layout))


def channel_names(layout: "av.AudioLayout") -> tuple[str, ...]:
    """FFmpeg's names of the channels; empty for mono and stereo, which have no centre, and where one is unknown."""
    names = tuple(channel.name for channel in layout.channels) if layout.nb_channels > 2 else ()
    return () if _UNKNOWN in names else names


def gathered(pieces: Iterator[tuple[AudioForm, np.ndarray]]) -> Iterator[tuple[AudioForm, np.ndarray]]:
    """Joins neighbours ``(n, channels)`` of the same form and channels into pieces of half a second.

    Decoders give 20 ms at a time, and one call to mix down or resample costs more than the 20 ms in it.
    """
    kept: list[np.ndarray] = []
    kept_form, count = AudioForm(0), 0
    for form, piece in pieces:
        if kept and (form != kept_form or piece.shape[1] != kept[0].shape[1] or count >= form.rate_hz // 2):
            yield kept_form, np.concatenate(kept)
            kept, count = [], 0
        kept.append(piece)
        kept_form, count = form, count + len(piece)
    if kept:
        yield kept_form, np.concatenate(kept)


@functools.cache
def mulaw_table() -> np.ndarray:
    """The values ``(256,)`` of mu-law (ITU-T G.711, table 2): 14-bit magnitudes, scaled to 16 bits as decoders do."""
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + 0x84) << exponent) - 0x84
    return (np.where(code & 0x80, -magnitude, magnitude) / 32768).astype(np.float32)


@functools.cache
def alaw_table() -> np.ndarray:
    """The values ``(256,)`` of A-law (ITU-T G.711, table 1): 13-bit magnitudes, scaled to 16 bits.

    G.711 inverts the even bits of each code, hence the 0x55.
    """
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = np.where(exponent == 0, (mantissa << 4) + 8, ((mantissa << 4) + 0x108) << np.maximum(exponent - 1, 0))
    return (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)


SAMPLE_FORMATS: Mapping[str, SampleFormat] = {
    "linear16": SampleFormat(2, lambda data: any_to_float(np.frombuffer(data, "<i2"))),
    "linear32": SampleFormat(4, lambda data: np.frombuffer(data, "<f4")),
    "mulaw": SampleFormat(1, lambda data: mulaw_table()[np.frombuffer(data, np.uint8)]),
    "alaw": SampleFormat(1, lambda data: alaw_table()[np.frombuffer(data, np.uint8)]),
}
"""By Deepgram's names of the encodings."""
