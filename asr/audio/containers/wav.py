"""WAV -> sample bytes, live as it is written: sizes may be unknown.

Source: Microsoft and IBM, "Multimedia Programming Interface and Data Specifications 1.0" (1991), and Microsoft's
WAVEFORMATEXTENSIBLE. A RIFF file is a flat row of chunks: name, size, body, and a byte of padding after an odd one.
"""

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asr.audio.pcm import MAX_CHANNELS, SAMPLE_FORMS, SampleForm, any_to_float
from asr.errors import AudioError

MAGIC = b"RIFF"

_FORMAT, _DATA = b"fmt ", b"data"
_EXTENSIBLE = 0xFFFE
"""The format tag that says: the tag proper is at the beginning of the sub-format."""
_SUBFORMAT_AT = 24
_MAX_FORMAT_BYTES = 4096
_MAX_PASSED_BYTES = 16 << 20
"""Nothing is kept of other chunks; but a live stream that claims to go on without audio for longer is broken."""
_UNKNOWN_BYTES = 0x7FFF0000
"""From here on a size of data is a live writer's way to say that it does not know: SoX writes 0x7FFFF000, FFmpeg
0xFFFFFFFF. Others write 0."""


@dataclass(frozen=True, slots=True)
class WavForm:
    """How the sample bytes are to be read; the rate is as the header claims it."""

    sample: SampleForm
    rate_hz: int
    channels: int

    @property
    def frame_bytes(self) -> int:
        return self.sample.width_bytes * self.channels


class WavDemuxer:
    """The bytes of the data chunk. Other chunks are passed over; a new RIFF header begins a new recording."""

    def __init__(self) -> None:
        self.form: WavForm | None = None
        """Known before the first sample bytes are given."""
        self.reached_data = False
        self._buffer = bytearray()  # less than a format chunk between calls
        self._chunk = b""
        self._left_bytes = self._padding_bytes = 0
        """Of the chunk, with its padding."""
        self._passed_bytes = 0

    def receive(self, data: bytes) -> bytes:
        """The sample bytes among these; `AudioError` for bytes that are no WAV, or WAV of a form not known here."""
        self._buffer += data
        samples = bytearray(self._take_body())
        while self._enter_chunk():
            samples += self._take_body()
        return bytes(samples)

    def _take_body(self) -> bytes:
        """What is here of the chunk, taken out of the buffer; nothing is given of one that is passed over."""
        samples = max(0, self._left_bytes - self._padding_bytes) if self._chunk == _DATA else 0
        body = bytes(self._buffer[:samples])
        taken = min(self._left_bytes, len(self._buffer))
        del self._buffer[:taken]
        self._left_bytes -= taken
        return body

    def _enter_chunk(self) -> bool:
        """Whether enough of the next chunk is here to go into it."""
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
            self._pass_over(name, size)

    def _read_format(self, body: bytes) -> None:
        form = _parse_format(body)
        if self.form not in (None, form):
            raise AudioError("found WAV that changes its format on the way; wanted one format a stream")
        self.form = form

    def _begin_data(self, size: int) -> None:
        if self.form is None:
            raise AudioError("found WAV data without a format before it; wanted an undamaged WAV stream")
        self.reached_data = True
        if not 0 < size < _UNKNOWN_BYTES:
            self._left_bytes, self._padding_bytes = sys.maxsize, 0
            return
        self._left_bytes += size
        self._padding_bytes += size % self.form.frame_bytes  # part of a frame is no sound

    def _pass_over(self, name: bytes, size: int) -> None:
        self._left_bytes += size
        self._passed_bytes += 8 + size
        if self._passed_bytes > _MAX_PASSED_BYTES:
            found = f"a WAV chunk {name!r} that claims {size} bytes"
            raise AudioError(f"found {found}; wanted at most {_MAX_PASSED_BYTES} bytes beside the audio")


def _check_name(name: bytes, before: bytes) -> None:
    """`AudioError` for what cannot be a chunk's name; four zeros can, since some files are filled up with them."""
    fits = all(32 <= byte < 127 for byte in name) or name == bytes(4)
    if not fits or (not before and name != MAGIC):
        raise AudioError(f"found {name!r} where a WAV chunk should begin; wanted {'a name' if before else 'RIFF'}")


def _check_riff(kind: bytes) -> None:
    if kind != b"WAVE":
        raise AudioError(f"found RIFF of the kind {kind!r}; wanted WAVE")


def _parse_format(body: bytes) -> WavForm:
    """The format chunk; `AudioError` for samples in a form not known here."""
    if len(body) < 16:
        raise AudioError(f"found a WAV format of {len(body)} bytes; wanted at least 16")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= _SUBFORMAT_AT + 2:
        (tag,) = struct.unpack_from("<H", body, _SUBFORMAT_AT)
    sample = _FORMS.get((tag, bits))
    if sample is None:
        raise AudioError(f"found WAV of format {tag:#x} with {bits} bits; wanted PCM, float, mu-law or A-law")
    form = WavForm(sample, rate_hz, channels)
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(f"found WAV with {channels} channels; wanted 1 to {MAX_CHANNELS}")
    if frame_bytes != form.frame_bytes:
        wanted = f"{form.frame_bytes} for {channels} channels of {bits} bits"
        raise AudioError(f"found WAV with frames of {frame_bytes} bytes; wanted {wanted}")
    return form


def _from_24_bits(data: bytes) -> np.ndarray:
    """Each sample as the upper three bytes of four."""
    samples = np.zeros((len(data) // 3, 4), np.uint8)
    samples[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
    return any_to_float(samples.view("<i4")[:, 0])


def _from_doubles(data: bytes) -> np.ndarray:
    """What float32 cannot hold becomes infinite, and so is refused."""
    with np.errstate(over="ignore"):
        return any_to_float(np.frombuffer(data, "<f8"))


_PCM, _FLOAT, _ALAW, _MULAW = 1, 3, 6, 7
_FORMS: Mapping[tuple[int, int], SampleForm] = {
    (_PCM, 8): SampleForm(1, lambda data: any_to_float(np.frombuffer(data, np.uint8))),
    (_PCM, 16): SAMPLE_FORMS["linear16"],
    (_PCM, 24): SampleForm(3, _from_24_bits),
    (_PCM, 32): SampleForm(4, lambda data: any_to_float(np.frombuffer(data, "<i4"))),
    (_FLOAT, 32): SAMPLE_FORMS["linear32"],
    (_FLOAT, 64): SampleForm(8, _from_doubles),
    (_ALAW, 8): SAMPLE_FORMS["alaw"],
    (_MULAW, 8): SAMPLE_FORMS["mulaw"],
}
"""By format tag and bits a sample."""
