"""How many samples an MP4 claims. FFmpeg makes room for all of them: four bytes may ask for gigabytes of memory.

Specification: ISO/IEC 14496-12, sections 4.2 (boxes), 8.7.3 (`stsz`) and 8.8.8 (`trun`).
"""

from collections.abc import Iterator
from typing import BinaryIO

from asr.errors import AudioError

_FIRST = (
    b"ftyp",
    b"styp",
    b"moov",
    b"moof",
    b"mdat",
    b"wide",
    b"free",
    b"skip",
    b"pnot",
    b"uuid",
    b"junk",
    b"udta",
    b"sidx",
)
"""The first boxes by which FFmpeg takes a file for an MP4."""
_ENTERED = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}
_MAX_BOXES = 500_000
"""A day in fragments of a second has 350,000."""
_SAMPLE_FIELDS = (0x100, 0x200, 0x400, 0x800)
"""The flags of `trun` that give each sample four more bytes."""


def check_tables(file: BinaryIO, name: str) -> None:
    """Raises `AudioError` for an MP4 with more samples than bytes. Other files pass; the position stays."""
    place = file.tell()
    size = file.seek(0, 2)
    file.seek(0)
    if file.read(8)[4:] in _FIRST:
        for samples in _claims(file, size):
            if samples > size:
                raise AudioError(f"found {name} to claim {samples} samples in {size} bytes; wanted an undamaged MP4")
    file.seek(place)


def _claims(file: BinaryIO, size: int) -> Iterator[int]:
    """The samples of each table, whose own size is not bounded by the file's."""
    at = boxes = 0
    while at + 8 <= size:
        if (boxes := boxes + 1) > _MAX_BOXES:
            raise AudioError(f"found an MP4 with more than {_MAX_BOXES} boxes; wanted a recording")
        file.seek(at)
        head = file.read(24)
        kind, length, start = head[4:8], int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, start = int.from_bytes(head[8:16], "big"), 16
        if kind in _ENTERED:
            at += start
            continue
        body = head[start:]
        if kind == b"stsz" and int.from_bytes(body[4:8], "big"):
            yield int.from_bytes((body + file.read(4))[8:12], "big")
        elif kind == b"trun" and start == 8:
            fields = sum(1 for flag in _SAMPLE_FIELDS if int.from_bytes(body[1:4], "big") & flag)
            samples = int.from_bytes(body[4:8], "big")
            yield samples if samples * 4 * fields <= length else 2**32
        if length < start:  # 0: to the end of the file
            return
        at += length
