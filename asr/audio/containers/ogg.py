"""Ogg pages -> Opus packets (RFC 3533, RFC 7845)."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

from asr.audio.containers.opus import OpusPacket, Unit, check_packet_size, packet_samples, parse_head
from asr.errors import AudioError

MAGIC = b"OggS"


class OggDemuxer:
    """Demuxes the first Opus stream and those chained after it; skips all others."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # less than one page, 65,307 bytes, between calls
        self._serial: int | None = None
        self._partial: bytes | None = None
        """The part so far of a packet that continues on the next page; None if its beginning was missed."""
        self._tags_follow = False
        self._granule = 0

    def receive(self, data: bytes) -> list[Unit]:
        """The units that `data` completes. Raises `AudioError` for other bytes than Ogg with Opus."""
        self._buffer += data
        units: list[Unit] = []
        while page := self._take_page():
            units += self._read(page)
        return units

    def _take_page(self) -> "_Page | None":
        found = bytes(self._buffer[:4])
        if not MAGIC.startswith(found):
            raise AudioError(f"found {found!r} where an Ogg page should begin; wanted 'OggS'")
        if len(self._buffer) < 27 or len(self._buffer) < 27 + self._buffer[26]:
            return None
        length = 27 + self._buffer[26] + sum(self._buffer[27 : 27 + self._buffer[26]])
        if len(self._buffer) < length:
            return None
        page = _Page.parse(bytes(self._buffer[:length]))
        del self._buffer[:length]
        return page

    def _read(self, page: "_Page") -> list[Unit]:
        if page.begins:
            return self._begin(page)
        if self._serial is None:
            raise AudioError("found Ogg without an Opus stream at its beginning; wanted Ogg/Opus")
        if page.serial != self._serial:
            return []
        packets = [OpusPacket(packet) for packet in self._packets(page) if packet]
        if page.granule < 0:
            return list(packets)
        if page.ends:
            packets = _trimmed(packets, self._granule - page.granule)
        self._granule = page.granule
        return list(packets)

    def _begin(self, page: "_Page") -> list[Unit]:
        if not page.body.startswith(b"OpusHead"):
            return []
        self._serial, self._partial, self._tags_follow, self._granule = page.serial, None, True, 0
        return [parse_head(page.body)]

    def _packets(self, page: "_Page") -> list[bytes]:
        """The packets that end on this page. The comment header, which may be long, is skipped and never buffered."""
        packets = []
        partial = self._partial if page.continues else b""
        for piece, ends in page.pieces():
            if partial is not None and not self._tags_follow:
                partial += piece
                check_packet_size(len(partial))
            if ends and partial is not None:
                packets.append(partial)
            if ends:
                self._tags_follow, partial = False, b""
        self._partial = partial if page.goes_on else None
        return packets


@dataclass(frozen=True, slots=True)
class _Page:
    """One page (RFC 3533 section 6). `granule` is the stream's length in samples at the page's end; -1: unknown."""

    flags: int
    granule: int
    serial: int
    lacing: bytes
    body: bytes

    @classmethod
    def parse(cls, data: bytes) -> "_Page":
        version, flags, granule, serial, _, crc, segments = struct.unpack_from("<BBqIIIB", data, 4)
        if version != 0 or crc != page_crc(data[:22] + bytes(4) + data[26:]):
            raise AudioError("found an Ogg page with a wrong checksum; wanted an undamaged Ogg stream")
        return cls(flags, granule, serial, data[27 : 27 + segments], data[27 + segments :])

    @property
    def continues(self) -> bool:
        return bool(self.flags & 1)

    @property
    def begins(self) -> bool:
        return bool(self.flags & 2)

    @property
    def ends(self) -> bool:
        return bool(self.flags & 4)

    @property
    def goes_on(self) -> bool:
        """Whether its last packet ends on a later page."""
        return self.lacing[-1:] in (b"", b"\xff")

    def pieces(self) -> Iterator[tuple[bytes, bool]]:
        """Each packet's part on this page, and whether the packet ends here."""
        start = end = 0
        for lace in self.lacing:
            end += lace
            if lace < 255:
                yield self.body[start:end], True
                start = end
        if start < end:
            yield self.body[start:end], False


def _trimmed(packets: list[OpusPacket], before: int) -> list[OpusPacket]:
    """The last page's packets, with the samples beyond the page's granule marked for trimming, last packet first.

    `before` is the granule before the page minus the page's granule, so `before` + samples = samples too many.
    """
    excess = before + sum(packet_samples(packet.data) for packet in packets)
    kept = []
    for packet in reversed(packets):
        trim = max(0, min(excess, packet_samples(packet.data)))
        excess -= trim
        kept.append(replace(packet, trim_samples=trim))
    return kept[::-1]


_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def page_crc(data: bytes) -> int:
    """Ogg's CRC-32: zlib's polynomial, but most significant bit first and without the inversions."""
    crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{crc:032b}"[::-1], 2)
