"""WAV -> sample bytes, from a live writer: sizes may be unknown.

Specification: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991), and Microsoft's
WAVEFORMATEXTENSIBLE. A RIFF file is a flat list of chunks: name, size, body, and a byte of padding after an odd size.
"""

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr.audio.pcm import MAX_CHANNELS, SAMPLE_FORMATS, AudioForm, SampleFormat, any_to_float
from asr.errors import AudioError

MAGIC = b"RIFF"

_FORMAT, _DATA = b"fmt ", b"data"
_EXTENSIBLE = 0xFFFE
"""With this format tag, the actual tag stands at the beginning of the sub-format."""
_MASK_AT, _SUBFORMAT_AT = 20, 24
_SPEAKERS = (
    *("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR"),
    *("TC", "TFL", "TFC", "TFR", "TBL", "TBC", "TBR"),
)
"""FFmpeg's names of the bits of the channel mask, from the lowest."""
_MAX_FORMAT_BYTES = 4096
_MAX_SKIPPED_BYTES = 16 << 20
"""Other chunks are not buffered, but a live stream with a longer stretch without audio is broken."""
_UNKNOWN_BYTES = 0x7FFF0000
"""Live writers put a data size from here on for "unknown": SoX 0x7FFFF000, FFmpeg 0xFFFFFFFF. Others put 0."""


@dataclass(frozen=True, slots=True)
class WavFormat:
    """How to read the sample bytes. `rate_hz` is the header's claim, unchecked."""

    sample: SampleFormat
    rate_hz: int
    channels: int
    names: tuple[str, ...] = ()
    """FFmpeg's names of the channels, in their order; empty if the header has none."""

    @property
    def form(self) -> AudioForm:
        return AudioForm(self.rate_hz, self.names)

    @property
    def frame_bytes(self) -> int:
        return self.sample.width_bytes * self.channels


class WavDemuxer:
    """Gives the bytes of data chunks and skips all others. A new RIFF header starts a new recording."""

    def __init__(self) -> None:
        self.format: WavFormat | None = None
        """Set before `receive` returns the first sample bytes."""
        self.reached_data = False
        self._buffer = bytearray()  # less than a format chunk between calls
        self._chunk = b""
        self._left_bytes = self._padding_bytes = 0
        """What is left of the current chunk (with padding), and how much of that is padding."""
        self._skipped_bytes = 0

    def receive(self, data: bytes) -> bytes:
        """The sample bytes in `data`. Raises `AudioError` for other bytes than WAV, and for unknown formats."""
        self._buffer += data
        samples = bytearray(self._take_body())
        while self._enter_chunk():
            samples += self._take_body()
        return bytes(samples)

    def _take_body(self) -> bytes:
        """Takes the current chunk's bytes out of the buffer; returns those that are samples."""
        samples = max(0, self._left_bytes - self._padding_bytes) if self._chunk == _DATA else 0
        body = bytes(self._buffer[:samples])
        taken = min(self._left_bytes, len(self._buffer))
        del self._buffer[:taken]
        self._left_bytes -= taken
        return body

    def _enter_chunk(self) -> bool:
        """Starts the next chunk; False while its header is incomplete."""
        if self._left_bytes or len(self._buffer) < 8:
            return False
        name, size = struct.unpack_from("<4sI", self._buffer)
        _check_name(name, self._chunk)
        read = {MAGIC: 4, _FORMAT: size}.get(name, 0)
        if read > _MAX_FORMAT_BYTES:
            raise AudioError(f"found a WAV format of {read} bytes; wanted at most {_MAX_FORMAT_BYTES}")
        if len(self._buffer) < 8 + read:
            return False
        body = bytes(self._buffer[8 : 8 + read])
        del self._buffer[: 8 + read]
        self._chunk = name
        self._begin(name, size, body)
        return True

    def _begin(self, name: bytes, size: int, body: bytes) -> None:
        self._padding_bytes = 0 if name == MAGIC else size & 1
        self._left_bytes = self._padding_bytes
        if name == MAGIC:
            _check_riff(body)
        elif name == _FORMAT:
            self._read_format(body)
        elif name == _DATA:
            self._begin_data(size)
        else:
            self._skip(name, size)

    def _read_format(self, body: bytes) -> None:
        wav_format = _parse_format(body)
        if self.format not in (None, wav_format):
            raise AudioError("found WAV that changes its format; wanted one format per stream")
        self.format = wav_format

    def _begin_data(self, size: int) -> None:
        if self.format is None:
            raise AudioError("found WAV data without a format before it; wanted an undamaged WAV stream")
        self.reached_data = True
        if not 0 < size < _UNKNOWN_BYTES:
            self._left_bytes, self._padding_bytes = sys.maxsize, 0
            return
        self._left_bytes += size
        self._padding_bytes += size % self.format.frame_bytes  # an incomplete last frame is skipped

    def _skip(self, name: bytes, size: int) -> None:
        self._left_bytes += size
        self._skipped_bytes += 8 + size
        if self._skipped_bytes > _MAX_SKIPPED_BYTES:
            found = f"a WAV chunk {name!r} that claims {size} bytes"
            raise AudioError(f"found {found}; wanted at most {_MAX_SKIPPED_BYTES} bytes beside the audio")


def _check_name(name: bytes, before: bytes) -> None:
    """Raises `AudioError` for bytes that cannot be a chunk's name. Four zeros can: some writers pad files with them."""
    fits = all(32 <= byte < 127 for byte in name) or name == bytes(4)
    if not fits or (not before and name != MAGIC):
        raise AudioError(f"found {name!r} where a WAV chunk should begin; wanted {'a name' if before else 'RIFF'}")


def _check_riff(kind: bytes) -> None:
    if kind != b"WAVE":
        raise AudioError(f"found RIFF of the kind {kind!r}; wanted WAVE")


def _parse_format(body: bytes) -> WavFormat:
    """Parses the format chunk. Raises `AudioError` for an unknown sample format, and for channels out of range."""
    if len(body) < 16:
        raise AudioError(f"found a WAV format of {len(body)} bytes; wanted at least 16")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    names: tuple[str, ...] = ()
    if tag == _EXTENSIBLE and len(body) >= _SUBFORMAT_AT + 2:
        mask, tag = struct.unpack_from("<IH", body, _MASK_AT)
        names = tuple(name for bit, name in enumerate(_SPEAKERS) if mask >> bit & 1)
    sample = _FORMATS.get((tag, bits))
    if sample is None:
        raise AudioError(f"found WAV of format {tag:#x} with {bits} bits; wanted PCM, float, mu-law or A-law")
    wav_format = WavFormat(sample, rate_hz, channels, names if channels > 2 and len(names) == channels else ())
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"found WAV with {channels} channels; wanted 1 to {MAX_CHANNELS}")
    if frame_bytes != wav_format.frame_bytes:
        wanted = f"{wav_format.frame_bytes} for {channels} channels of {bits} bits"
        raise AudioError(f"found WAV with frames of {frame_bytes} bytes; wanted {wanted}")
    return wav_format


def _from_24_bits(data: bytes) -> np.ndarray:
    """24-bit samples as the upper three bytes of 32-bit ones."""
    samples = np.zeros((len(data) // 3, 4), np.uint8)
    samples[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return any_to_float(samples.view("<i4")[:, 0])


def _from_doubles(data: bytes) -> np.ndarray:
    """Values beyond float32 become infinite, which `checked_clipped` refuses."""
    with np.errstate(over="ignore"):
        return any_to_float(np.frombuffer(data, "<f8"))


_PCM, _FLOAT, _ALAW, _MULAW = 1, 3, 6, 7
_FORMATS: Mapping[tuple[int, int], SampleFormat] = {
    (_PCM, 8): SampleFormat(1, lambda data: any_to_float(np.frombuffer(data, np.uint8))),
    (_PCM, 16): SAMPLE_FORMATS["linear16"],
    (_PCM, 24): SampleFormat(3, _from_24_bits),
    (_PCM, 32): SampleFormat(4, lambda data: any_to_float(np.frombuffer(data, "<i4"))),
    (_FLOAT, 32): SAMPLE_FORMATS["linear32"],
    (_FLOAT, 64): SampleFormat(8, _from_doubles),
    (_ALAW, 8): SAMPLE_FORMATS["alaw"],
    (_MULAW, 8): SAMPLE_FORMATS["mulaw"],
}
"""By format tag and bits per sample."""
