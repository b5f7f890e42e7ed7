"""Fragmented MP4 -> pieces that FFmpeg can open one by one: the header, and after it one fragment.

Specification: ISO/IEC 14496-12. A file is a list of boxes: size, type, body. `moov` has the tracks; each fragment is a
`moof`, which has the sizes and times of its samples, and an `mdat` with their bytes. Browsers' recorders write these.
"""

from collections.abc import Iterator

from asr.errors import AudioError

_HEADER = 8
_MAX_BOX_BYTES = 16 << 20
"""Recorders write a fragment each few seconds; a longer box would hold up the stream for minutes."""


def is_mp4(head: bytes) -> bool:
    """Whether a stream that begins with these eight bytes is an MP4."""
    return head[4:8] in (b"ftyp", b"styp", b"moov", b"wide")


_MAX_TABLE_BYTES = 1 << 18
"""Of a `moov` or a `moof`: recorders' have a few hundred bytes. The header is parsed again with every fragment."""
_MAX_SAMPLES = 50_000
"""In one fragment. FFmpeg makes room for as many as it claims, and four bytes may claim four billion."""


class FragmentSplitter:
    """Bytes split anywhere -> whole pieces. Holds the header and the bytes of one fragment."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._type = self._tracks = self._fragment = b""
        self._position = self._fragment_position = 0
        self.reached_audio = False

    def receive(self, data: bytes) -> Iterator[bytes]:
        """The pieces that the data completes, each a file by itself. Raises `AudioError` where there is no fragment."""
        self._buffer += data
        while (box := self._next_box()) is not None:
            kind = box[4:8]
            if kind == b"ftyp":
                self._type = box
            elif kind == b"moov":
                self._tracks = box
            elif kind == b"moof":
                self._fragment, self._fragment_position = box, self._position
            elif kind == b"mdat":
                self.reached_audio = True
                header = self._type + self._tracks
                yield header + _moved(self._fragment, len(header) - self._fragment_position) + box
                self._fragment = b""
            self._position += len(box)

    def _next_box(self) -> bytes | None:
        if len(self._buffer) < _HEADER:
            return None
        size, kind = int.from_bytes(self._buffer[:4], "big"), bytes(self._buffer[4:8])
        if not _HEADER <= size <= _MAX_BOX_BYTES or not kind.isascii():
            raise AudioError(
                f"found a box {kind!r} of {size} bytes in an MP4 stream; wanted fragments of a few seconds"
            )
        if kind in (b"moov", b"moof") and size > _MAX_TABLE_BYTES:
            raise AudioError(f"found a box {kind!r} of {size} bytes; wanted at most {_MAX_TABLE_BYTES}")
        if kind == b"mdat" and not self._fragment:
            raise AudioError(
                "found an MP4 without fragments; wanted a fragmented one, as browsers record it, or a file"
            )
        if len(self._buffer) < size:
            return None
        box = bytes(self._buffer[:size])
        del self._buffer[:size]
        return box


def _moved(moof: bytes, by_bytes: int) -> bytes:
    """The box for a fragment that lies elsewhere: some writers count places from the beginning of the file."""
    moved = bytearray(moof)
    samples = 0
    for kind, start in _children(moof, _HEADER, len(moof)):
        if kind != b"traf":
            continue
        for kind_inside, at in _children(moof, start + _HEADER, start + int.from_bytes(moof[start : start + 4], "big")):
            if kind_inside == b"tfhd" and moof[at + 11 : at + 12] and moof[at + 11] & 1:  # base-data-offset-present
                place = int.from_bytes(moof[at + 16 : at + 24], "big") + by_bytes
                moved[at + 16 : at + 24] = min(max(0, place), 2**63 - 1).to_bytes(8, "big")
            elif kind_inside == b"trun":
                samples += int.from_bytes(moof[at + 12 : at + 16], "big")
    if samples > _MAX_SAMPLES:
        raise AudioError(f"found a fragment that claims {samples} samples; wanted at most {_MAX_SAMPLES}")
    return bytes(moved)


def _children(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int]]:
    """Type and place of the boxes between two places; ends where a size makes no sense."""
    while start + _HEADER <= min(end, len(data)):
        size = int.from_bytes(data[start : start + 4], "big")
        if size < _HEADER or start + size > end:
            return
        yield data[start + 4 : start + 8], start
        start += size
