"""Demuxing Ogg and WebM: FFmpeg's packets, in any pieces, and no memory for lengths that a stream only claims."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.containers import OggDemuxer, OpusHead, OpusPacket, Unit, WebmDemuxer
from asr.audio.containers.opus import make_head, packet_samples
from asr.errors import AudioError
from tests.asr.media import LIVE_WEBM, OGG, OGG_HEADER, WEBM, cut, ebml, ogg_page, packets_by_ffmpeg

TRACK = ebml(0xD7, b"\1") + ebml(0x83, b"\2") + ebml(0x86, b"A_OPUS") + ebml(0x63A2, make_head(1).data)
WEBM_HEADER = ebml(0x1A45DFA3, b"") + ebml(0x18538067, b"", (1 << 56) - 1) + ebml(0x1654AE6B, ebml(0xAE, TRACK))


def demuxed(data: bytes, places: list[int] | None = None) -> list[Unit]:
    demuxer = OggDemuxer() if data[:1] == b"O" else WebmDemuxer()
    return [unit for piece in cut(data, places or []) for unit in demuxer.receive(piece)]


@pytest.mark.parametrize("data", [OGG, WEBM, LIVE_WEBM], ids=["ogg", "webm", "live webm"])
def test_the_packets_are_those_that_ffmpeg_finds(data: bytes) -> None:
    """One head, then byte for byte FFmpeg's packets; the trim at the end leaves what was recorded."""
    head, *packets = demuxed(data)
    assert isinstance(head, OpusHead)
    assert [packet.data for packet in packets] == packets_by_ffmpeg(data)
    lengths = [packet_samples(packet.data) - packet.trim_samples for packet in packets]
    pre_skip = struct.unpack_from("<H", head.data, 10)[0]
    assert sum(lengths) - pre_skip == pytest.approx(0.513 * 48_000, abs=1)


def test_a_live_webm_has_unknown_sizes() -> None:
    """What a browser sends: the segment's end is not known when it begins. The fixture must show that."""
    assert b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" in LIVE_WEBM


@given(st.sampled_from([OGG, WEBM, LIVE_WEBM]), st.lists(st.integers(0, 12_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_cut_gives_the_same_units(data: bytes, places: list[int]) -> None:
    """Fed in pieces equals fed at once."""
    assert demuxed(data, places) == demuxed(data)


@pytest.mark.parametrize("data", [OGG, WEBM, LIVE_WEBM], ids=["ogg", "webm", "live webm"])
def test_single_bytes_give_the_same_units(data: bytes) -> None:
    """The hardest cut."""
    assert demuxed(data, list(range(len(data)))) == demuxed(data)


@pytest.mark.parametrize("data", [OGG, LIVE_WEBM], ids=["ogg", "live webm"])
def test_recordings_may_be_chained(data: bytes) -> None:
    """A page that stops and starts its recorder on one socket: each recording begins with its head."""
    assert demuxed(data + data) == demuxed(data) * 2


@pytest.mark.parametrize(
    ("toc", "samples"),
    [(b"\x00", 480), (b"\x18", 2880), (b"\x60", 480), (b"\x78", 960), (b"\x80", 120), (b"\xfc", 960), (b"\xfd", 1920),
     (b"\xff\x03", 2880), (b"\x1b\x02", 5760), (b"\xff", 0)],
)  # fmt: skip
def test_a_packet_says_its_length(toc: bytes, samples: int) -> None:
    """RFC 6716, tables 2 and 3."""
    assert packet_samples(toc) == samples


def test_an_ogg_packet_may_cross_pages() -> None:
    """255 means more to come, on the next page if need be (RFC 3533 section 6)."""
    packet = b"\xfc" + bytes(600)
    pages = ogg_page(0, -1, b"\xff\xff", packet[:510]) + ogg_page(1, 960, b"\x5b", packet[510:])
    assert demuxed(OGG_HEADER + pages)[1:] == [OpusPacket(packet)]


def test_an_ogg_packet_whose_beginning_was_never_seen_is_dropped() -> None:
    """A stream joined in its middle."""
    pages = ogg_page(1, 960, b"\x03\x01", b"end\xfc") + ogg_page(0, 1920, b"\x01", b"\xfc")
    assert demuxed(OGG_HEADER + pages)[1:] == [OpusPacket(b"\xfc"), OpusPacket(b"\xfc")]


def test_long_ogg_comments_are_passed_over() -> None:
    """A cover picture of megabytes may lie in the comment header; none of it is kept."""
    demuxer = OggDemuxer()
    demuxer.receive(ogg_page(2, 0, b"\x13", make_head(1).data))
    for _ in range(40):
        demuxer.receive(ogg_page(1, -1, b"\xff" * 255, bytes(255 * 255)))
    demuxer.receive(ogg_page(1, 0, b"\x05", bytes(5)))
    assert demuxer.receive(ogg_page(0, 960, b"\x01", b"\xfc")) == [OpusPacket(b"\xfc")]


def test_other_ogg_streams_are_passed_over() -> None:
    """Video beside the sound."""
    other = ogg_page(2, 0, b"\x07", b"\x80theora", serial=9) + OGG_HEADER
    pages = ogg_page(0, 5, b"\x03", b"abc", serial=9) + ogg_page(0, 960, b"\x01", b"\xfc")
    assert demuxed(other + pages)[1:] == [OpusPacket(b"\xfc")]


def test_a_webm_block_group_trims_its_packet() -> None:
    """DiscardPadding is in nanoseconds (RFC 9559): 10 ms are 480 samples."""
    group = ebml(0xA0, ebml(0xA1, b"\x81\0\0\0\xfc") + ebml(0x75A2, (10_000_000).to_bytes(4, "big")))
    assert demuxed(WEBM_HEADER + ebml(0x1F43B675, group))[1:] == [OpusPacket(b"\xfc", 480)]


def test_other_webm_tracks_and_elements_are_passed_over() -> None:
    """Blocks of a video track, voids and tags."""
    cluster = (
        ebml(0xE7, b"\0") + ebml(0xA3, b"\x82\0\0\0video") + ebml(0xEC, bytes(5000)) + ebml(0xA3, b"\x81\0\0\0\xfc")
    )
    assert demuxed(WEBM_HEADER + ebml(0x1F43B675, cluster))[1:] == [OpusPacket(b"\xfc")]


ENDLESS_PACKET = OGG_HEADER + ogg_page(0, -1, b"\xff", bytes(255)) + 3 * ogg_page(1, -1, b"\xff" * 255, bytes(65_025))
VORBIS_TRACK = ebml(0xD7, b"\1") + ebml(0x83, b"\2") + ebml(0x86, b"A_VORBIS")
NO_OPUS_WEBM = ebml(0x1A45DFA3, b"") + ebml(0x1654AE6B, ebml(0xAE, VORBIS_TRACK)) + ebml(0x1F43B675, b"")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"OggX" + bytes(100), "OggX"),
        (OGG + b"garbage", "Ogg page should begin"),
        (OGG[:-20] + bytes(20), "checksum"),
        (OGG_HEADER[:40] + b"\xff" + OGG_HEADER[41:], "checksum"),
        (ogg_page(2, 0, b"\x07", b"\1vorbis") + ogg_page(0, 0, b"\1", b"x"), "without an Opus stream"),
        (ogg_page(2, 0, b"\x09", b"OpusHead\1"), "Opus header"),
        (ogg_page(2, 0, b"\x13", make_head(1).data[:9] + b"\xff" + make_head(1).data[10:]), "255 channels"),
        (ENDLESS_PACKET, "audio packet of"),
    ],
    ids=["magic", "mid", "body", "head", "vorbis", "short head", "channels", "endless packet"],
)  # fmt: skip
def test_broken_ogg_says_what_was_found(data: bytes, found: str) -> None:
    """`AudioError`, in one sentence that says what was found and what is wanted."""
    with pytest.raises(AudioError, match=f"found.*{found}.*; wanted"):
        OggDemuxer().receive(data)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x1a\x45\xdf\xa4" + bytes(100), "WebM should begin"),
        (LIVE_WEBM + bytes(8), "not a WebM element"),
        (NO_OPUS_WEBM, "A_VORBIS"),
        (ebml(0x1A45DFA3, b"") + ebml(0x1F43B675, b""), "no audio track"),
        (WEBM_HEADER + ebml(0x1F43B675, ebml(0xA3, b"", 1 << 40)), "claims 1099511627776 bytes"),
        (WEBM_HEADER + ebml(0xEC, b"", 1 << 50), "claims"),
        (WEBM_HEADER + ebml(0xEC, b"", (1 << 56) - 1), "unknown size"),
        (WEBM_HEADER + ebml(0xA3, b"\x81\0\0\x02\xfc"), "laced"),
        (WEBM_HEADER + ebml(0xA3, b"\x81\0"), "block of 2 bytes"),
        (WEBM_HEADER + ebml(0xA3, b"\x81\0\0\0" + bytes(1 << 18)), "audio packet of"),
        (WEBM_HEADER + ebml(0xA0, ebml(0xA1, b"", 99)), "beyond its parent"),
        (ebml(0x1A45DFA3, b"") + ebml(0xAE, TRACK[:-19]), "beyond its parent"),
        (ebml(0x1A45DFA3, b"") + ebml(0xAE, ebml(0x83, b"\2") + ebml(0x86, b"A_OPUS")), "Opus header"),
    ],
)  # fmt: skip
def test_broken_webm_says_what_was_found(data: bytes, found: str) -> None:
    """`AudioError`, in one sentence that says what was found and what is wanted."""
    with pytest.raises(AudioError, match=f"found.*{found}.*; wanted"):
        WebmDemuxer().receive(data)


@given(st.sampled_from([OGG, WEBM, LIVE_WEBM]), st.integers(0, 3000), st.binary(min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_damage_anywhere_is_an_audio_error_or_nothing(data: bytes, place: int, garbage: bytes) -> None:
    """No other exception escapes, and little is kept."""
    damaged = data[:place] + garbage + data[place + len(garbage) :]
    demuxer = OggDemuxer() if data is OGG else WebmDemuxer()
    with contextlib.suppress(AudioError):
        demuxer.receive(damaged)
    assert len(demuxer._buffer) <= len(damaged)


@given(st.binary(max_size=300))
def test_garbage_after_a_good_header_is_an_audio_error_or_nothing(garbage: bytes) -> None:
    """Random bytes where elements and pages should be."""
    for demuxer, header in ((OggDemuxer(), OGG_HEADER), (WebmDemuxer(), WEBM_HEADER)):
        with contextlib.suppress(AudioError):
            demuxer.receive(header + garbage)
