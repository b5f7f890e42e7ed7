"""WebM and Matroska -> Opus packets (RFC 8794, RFC 9559), from a live writer: sizes may be unknown.

A flat walk without a stack. Master elements are entered and never closed, since each identifier we act on occurs in one
place of the tree only. So an unknown size needs no special case.
"""

from collections.abc import Iterator

from asr.audio.containers.opus import OpusHead, OpusPacket, Unit, check_packet_size, parse_head
from asr.errors import AudioError

MAGIC = b"\x1a\x45\xdf\xa3"

_EBML, _SEGMENT, _TRACKS, _TRACK, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675
_SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK, _DISCARD_PADDING_NS = 0xA3, 0xA0, 0xA1, 0x75A2
_TRACK_NUMBER, _TRACK_TYPE, _CODEC_ID, _CODEC_PRIVATE = 0xD7, 0x83, 0x86, 0x63A2
_ENTERED = {_SEGMENT, _TRACKS, _CLUSTER}
_READ = {_EBML, _TRACK, _SIMPLE_BLOCK, _BLOCK_GROUP}
_AUDIO = 2

_MAX_READ_BYTES = 4 << 20
"""Room for a key frame of a video track: blocks are read whole before their track is known."""
_MAX_CHILDREN = 256
"""Elements in one track or group of blocks, each of which costs time: recorders write about ten."""
_MAX_SKIPPED_BYTES = 64 << 20
"""Skipped elements are not buffered, but a live stream with a longer stretch without audio is broken."""


class WebmDemuxer:
    """Demuxes the first audio track in Opus. A new EBML header starts a new recording."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip_bytes = 0
        self._begun = False
        self._track: int | None = None
        self._codecs: list[str] = []

    def receive(self, data: bytes) -> list[Unit]:
        """The units that `data` completes. Raises `AudioError` for other bytes than WebM with Opus."""
        self._buffer += data
        units: list[Unit] = []
        while element := self._take_element():
            units += self._read(*element)
        return units

    def _take_element(self) -> tuple[int, bytes] | None:
        """The next complete element to act on: identifier and payload. None while bytes are missing."""
        while True:
            skipped = min(self._skip_bytes, len(self._buffer))
            del self._buffer[:skipped]
            self._skip_bytes -= skipped
            header = None if self._skip_bytes else self._peek_header()
            if header is None:
                return None
            identifier, size, start = header
            if identifier in _ENTERED:
                self._enter(identifier)
                self._skip_bytes = start
            elif identifier not in _READ:
                self._skip_bytes = start + _checked(identifier, size, _MAX_SKIPPED_BYTES)
            elif len(self._buffer) < start + _checked(identifier, size, _MAX_READ_BYTES):
                return None
            else:
                payload = bytes(self._buffer[start : start + (size or 0)])
                self._skip_bytes = start + len(payload)
                return identifier, payload

    def _peek_header(self) -> tuple[int, int | None, int] | None:
        """Identifier, size (None: unknown) and length of the header itself; None while bytes are missing."""
        if not self._begun and not MAGIC.startswith(bytes(self._buffer[:4])):
            raise AudioError(f"found {bytes(self._buffer[:4])!r} where WebM should begin; wanted an EBML header")
        return _header(self._buffer)

    def _enter(self, identifier: int) -> None:
        if identifier == _CLUSTER and self._track is None:
            found = ", ".join(self._codecs) or "no audio track"
            raise AudioError(f"found WebM with {found}; wanted an audio track with the codec A_OPUS")

    def _read(self, identifier: int, payload: bytes) -> list[Unit]:
        if identifier == _EBML:
            self._begun, self._track, self._codecs = True, None, []
            return []
        if identifier == _TRACK:
            return self._read_track(dict(_children(payload)))
        if identifier == _SIMPLE_BLOCK:
            return self._read_block(payload, 0)
        group = dict(_children(payload))
        return self._read_block(group.get(_BLOCK, b""), _signed(group.get(_DISCARD_PADDING_NS, b"")))

    def _read_track(self, track: dict[int, bytes]) -> list[Unit]:
        if self._track is not None or _unsigned(track.get(_TRACK_TYPE, b"")) != _AUDIO:
            return []
        codec = track.get(_CODEC_ID, b"").rstrip(b"\0").decode("ascii", "replace")
        if codec != "A_OPUS":
            self._codecs.append(f"the audio codec {codec[:40]!r}")
            return []
        self._track = _unsigned(track.get(_TRACK_NUMBER, b""))
        head: OpusHead = parse_head(track.get(_CODEC_PRIVATE, b""))
        return [head]

    def _read_block(self, block: bytes, discard_ns: int) -> list[Unit]:
        """A block is track number, 16-bit time (unused: we count samples), flags, then the packet."""
        number = _number(block, 0, keep_marker=False)
        if number is None or len(block) < number[1] + 3:
            raise AudioError(f"found a WebM block of {len(block)} bytes; wanted a header of four bytes and a packet")
        track, start = number
        if self._track is None or track != self._track:
            return []
        if block[start + 2] & 0x06:
            raise AudioError("found laced WebM blocks; wanted one Opus packet per block, as browsers write them")
        packet = block[start + 3 :]
        check_packet_size(len(packet))
        trim = max(0, round(discard_ns * 48 / 1_000_000))
        return [OpusPacket(packet, trim)] if packet else []


def _checked(identifier: int, size: int | None, limit: int) -> int:
    if size is None or size > limit:
        found = "of unknown size" if size is None else f"that claims {size} bytes"
        raise AudioError(f"found a WebM element {identifier:#x} {found}; wanted at most {limit} bytes")
    return size


def _children(payload: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and payload of each element inside a complete payload."""
    at = count = 0
    while at < len(payload):
        if (count := count + 1) > _MAX_CHILDREN:
            raise AudioError(f"found a WebM element with more than {_MAX_CHILDREN} others; wanted a recorder's stream")
        identifier, size, start = _header(payload[at : at + 12]) or (0, None, 0)
        if size is None or at + start + size > len(payload):
            raise AudioError("found a WebM element that ends beyond its parent; wanted an undamaged WebM stream")
        yield identifier, payload[at + start : at + start + size]
        at += start + size


def _header(data: bytes | bytearray) -> tuple[int, int | None, int] | None:
    """Identifier, size (None: unknown) and the length of both in bytes; None while bytes are missing."""
    identifier = _number(data, 0, keep_marker=True)
    if identifier is None:
        return None
    if identifier[1] > 4:
        raise AudioError("found bytes that are not a WebM element; wanted an undamaged WebM stream")
    size = _number(data, identifier[1], keep_marker=False)
    if size is None:
        return None
    unknown = size[0] == (1 << 7 * (size[1] - identifier[1])) - 1
    return identifier[0], None if unknown else size[0], size[1]


def _number(data: bytes | bytearray, at: int, *, keep_marker: bool) -> tuple[int, int] | None:
    """The variable-size integer (RFC 8794 section 4) at `at`, and its end; None while bytes are missing."""
    if at >= len(data):
        return None
    length = 9 - data[at].bit_length()  # the leading zeros say how many bytes follow
    if length > 8:
        raise AudioError("found bytes that are not a WebM element; wanted an undamaged WebM stream")
    if at + length > len(data):
        return None
    value = int.from_bytes(data[at : at + length], "big")
    return (value if keep_marker else value & ((1 << 7 * length) - 1)), at + length


def _unsigned(data: bytes) -> int:
    return int.from_bytes(data[:8], "big")


def _signed(data: bytes) -> int:
    return int.from_bytes(data[:8], "big", signed=True)
