"""Live bytes of every encoding: the right samples however the bytes are cut, and clear words for what is no sound."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.containers.opus import make_head
from asr.audio.streams import ENCODINGS, StreamDecoder
from asr.errors import AudioError
from tests.asr.media import (
    LIVE_WEBM,
    OGG,
    OGG_HEADER,
    WEBM,
    cut,
    decode,
    encoded,
    fragmented,
    ogg_page,
    packets_by_ffmpeg,
    read,
    sine,
    sound_file,
)

NOISE = np.random.default_rng(0).uniform(-1, 1, 4_000)
RAW = {
    "linear16": (NOISE * 32767).astype("<i2").tobytes(),
    "linear32": NOISE.astype("<f4").tobytes(),
    "mulaw": np.random.default_rng(1).bytes(4_000),
    "alaw": np.random.default_rng(2).bytes(4_000),
}
CONTAINERS = {"ogg": OGG, "webm": WEBM, "live webm": LIVE_WEBM}


@pytest.mark.parametrize(("encoding", "level"), [("linear16", 1e-4), ("linear32", 1e-6)])
def test_a_sine_comes_through_with_its_level(encoding: str, level: float) -> None:
    """Full scale is 1, whatever the samples are; at 16 kHz nothing else changes."""
    tone = sine(0.1, 16_000)
    raw = (tone * 32768).round().astype("<i2") if encoding == "linear16" else tone.astype("<f4")
    np.testing.assert_allclose(decode([raw.tobytes()], encoding, 16_000), tone, atol=level)


@given(
    st.sampled_from(sorted(RAW)),
    st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    st.integers(1, 8),
    st.lists(st.integers(0, 16_000), max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_raw_samples_in_any_pieces_equal_all_at_once(
    encoding: str, rate_hz: int, channels: int, places: list[int]
) -> None:
    """Cut within samples and frames too: bytes of an incomplete frame wait for the rest."""
    frame_bytes = channels * {"linear16": 2, "linear32": 4}.get(encoding, 1)
    data = RAW[encoding][: 4_000 // frame_bytes * frame_bytes]
    whole = decode([data], encoding, rate_hz, channels)
    np.testing.assert_array_equal(decode(cut(data, places), encoding, rate_hz, channels), whole)
    assert len(whole) == -(-(len(data) // frame_bytes) * 16_000 // rate_hz)


@given(st.sampled_from(sorted(CONTAINERS)), st.lists(st.integers(0, 12_000), max_size=20))
@settings(max_examples=40, deadline=None)
def test_containers_in_any_pieces_equal_all_at_once(name: str, places: list[int]) -> None:
    """Also while "auto" still waits for the four bytes by which it detects the container."""
    data = CONTAINERS[name]
    whole = decode([data], "ogg-opus" if name == "ogg" else "webm-opus")
    np.testing.assert_array_equal(decode(cut(data, [1, 3, *places]), "auto"), whole)


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_containers_give_the_sound_that_was_coded(name: str) -> None:
    """The tone at its place and level, its length to the sample, and the samples of the file reader (FFmpeg's Opus)."""
    decoded = decode([CONTAINERS[name]], "auto")
    assert len(decoded) == pytest.approx(0.513 * 16_000, abs=1)
    tone = sine(0.513, 16_000)[: len(decoded)]
    np.testing.assert_allclose(decoded[800:-800], tone[800 : len(decoded) - 800], atol=0.05)
    by_ffmpeg = read(CONTAINERS[name])
    np.testing.assert_allclose(decoded, by_ffmpeg[: len(decoded)], atol=1e-3)


COMPRESSED = {
    "flac": encoded("flac", "flac", sine(3.0, 16_000), 16_000),
    "mp3": encoded("mp3", "libmp3lame", sine(3.0, 48_000), channels=2),
    "mp3 with a picture": b"ID3\4\0\0\0\0\x40\0"
    + b"\xff\xfb\x90\0" * 2048
    + encoded("mp3", "libmp3lame", sine(3.0, 48_000)),
    "mp4": fragmented(sine(3.0, 48_000)),
    "mp4 with places in the file": fragmented(sine(3.0, 48_000), flags="negative_cts_offsets"),
}


@given(st.sampled_from(sorted(COMPRESSED)), st.lists(st.integers(0, 40_000), max_size=20))
@settings(max_examples=20, deadline=None)
def test_compressed_streams_in_any_pieces_equal_all_at_once(name: str, places: list[int]) -> None:
    """FLAC, MP3 and fragmented MP4, which FFmpeg decodes."""
    data = COMPRESSED[name]
    np.testing.assert_array_equal(decode(cut(data, [1, 5, *places]), "auto"), decode([data], "auto"))


@pytest.mark.parametrize("name", sorted(COMPRESSED))
def test_compressed_streams_give_the_sound_that_was_coded(name: str) -> None:
    """All of the tone; an encoder's delay may come before it and the rest of a frame behind."""
    samples = decode([COMPRESSED[name]], "auto")
    assert 3.0 * 16_000 <= len(samples) <= 3.2 * 16_000
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    assert (loud[-1] - loud[0]) / 16_000 == pytest.approx(3.0, abs=0.03)
    assert np.sqrt(np.mean(samples[8_000:40_000] ** 2)) == pytest.approx(
        np.sqrt(np.mean(sine(1.0, 16_000) ** 2)), rel=0.05
    )


def test_compressed_streams_are_decoded_while_they_come() -> None:
    """Not at their end."""
    for name, late_s in (("mp3", 0.5), ("mp4", 1.1)):
        decoder = StreamDecoder("auto")
        data = COMPRESSED[name]
        assert len(decoder.decode(data[: len(data) // 2])) >= (1.5 - late_s) * 16_000


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xfb\x90\0" + bytes(400_000), id="one frame header"),
        pytest.param(b"fLaC\0\0\0\x22" + b"ab" * 200_000, id="no FLAC frame"),
        pytest.param(b"\0\0\0\x08ftyp" + b"\xff" * 100, id="no box"),
        pytest.param(encoded("mp4", "aac", sine(1.0, 48_000)), id="MP4 without fragments"),
        pytest.param(COMPRESSED["mp4"][:100], id="MP4 cut in its header"),
        pytest.param(COMPRESSED["flac"][:60], id="FLAC cut in its header"),
        pytest.param(b"ID3\4\0\0\0\0\x40\0tag", id="MP3 cut in its tag"),
    ],
)
def test_compressed_garbage_is_refused(data: bytes) -> None:
    """In one sentence, immediately or at the end."""
    with pytest.raises(AudioError, match=r"^found .*; wanted [^\n]*$"):
        decode([data], "auto")


@pytest.mark.parametrize("channels", [2, 6])
def test_containers_are_mixed_down(channels: int) -> None:
    """Stereo, and surround with its channel mapping (RFC 7845 section 5.1.1), with the same tone in all channels."""
    decoded = decode([encoded("ogg", "libopus", sine(0.5, 48_000), channels=channels)], "ogg-opus")
    assert len(decoded) == 8_000
    assert np.abs(decoded[1000:-1000]).max() == pytest.approx(
        0.4 if channels == 2 else 0.35, abs=0.08
    )  # 5.1: no tone in LFE


def test_channels_are_averaged() -> None:
    """Left alone at 0.5 is 0.25."""
    frames = np.zeros((100, 2), "<i2")
    frames[:, 0] = 16_384
    np.testing.assert_allclose(decode([frames.tobytes()], "linear16", 16_000, 2), 0.25)


def test_raw_opus_takes_one_packet_a_call() -> None:
    """For clients with an encoder of their own: the container's packets without the container."""
    packets = packets_by_ffmpeg(OGG)
    decoded = decode(packets, "opus")
    pre_skip = 312 // 3
    np.testing.assert_array_equal(decoded[pre_skip + 50 : 8000], decode([OGG], "ogg-opus")[50 : 8000 - pre_skip])


def test_a_wire_of_linear16_equals_a_wav_of_the_same_samples() -> None:
    """Live equals file: one resampler serves both."""
    samples = (NOISE * 32767).astype("<i2")
    for rate_hz in (8_000, 16_000, 44_100):
        live = decode([samples.tobytes()], "linear16", rate_hz)
        np.testing.assert_array_equal(live, read(sound_file(samples, rate_hz)))


def test_beyond_full_scale_is_cut_off() -> None:
    """1e30 is finite, but its power in the features would not be."""
    loud = np.array([1e30, -1e30, 1.5, 0.5], "<f4")
    assert decode([loud.tobytes()], "linear32", 16_000).tolist() == [1, -1, 1, 0.5]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_sound_are_refused(bad: float) -> None:
    """Before they reach a batch with samples of other streams."""
    samples = np.array([0.0, bad], "<f4").tobytes()
    with pytest.raises(AudioError, match="found samples that are NaN or infinite; wanted finite floats"):
        StreamDecoder("linear32", 16_000, 2).decode(samples)


@pytest.mark.parametrize(("encoding", "channels", "left"), [("linear16", 1, 1), ("linear32", 1, 3), ("alaw", 2, 1)])
def test_a_partial_sample_at_the_end_is_refused(encoding: str, channels: int, left: int) -> None:
    """Odd byte counts: carried over between messages, but an error at the end."""
    decoder = StreamDecoder(encoding, 16_000, channels)
    decoder.decode(bytes(8 + left))
    with pytest.raises(AudioError, match=f"found {left} bytes left over at the end; wanted"):
        decoder.flush()


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "channels", "found"),
    [
        ("mp3", 16_000, 1, "the encoding 'mp3'"),
        ("linear16", None, 1, "no sample rate"),
        ("linear16", 7_999, 1, "7999 Hz"),
        ("mulaw", 48_001, 1, "48001 Hz"),
        ("linear16", 16_000, 0, "0 channels"),
        ("linear16", 16_000, 9, "9 channels"),
        ("opus", None, 3, "3 channels"),
    ],
)
def test_impossible_parameters_are_refused(encoding: str, rate_hz: int | None, channels: int, found: str) -> None:
    """When the decoder is made, before any byte."""
    with pytest.raises(AudioError, match=f"found .*{found}; wanted"):
        StreamDecoder(encoding, rate_hz, channels)


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_is_as_its_entry_says(name: str) -> None:
    """Only an encoding without a header depends on the announced channels, up to its own limit."""
    most = ENCODINGS[name].max_channels
    StreamDecoder(name, 16_000, most)
    if ENCODINGS[name].has_header:
        StreamDecoder(name, None, most + 1)
    else:
        with pytest.raises(AudioError, match=f"found {most + 1} channels; wanted 1 to {most} for {name}"):
            StreamDecoder(name, 16_000, most + 1)


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("auto", b"fLaC" + bytes(40)),
        ("auto", b'{"type": "KeepAlive"}'),
        ("ogg-opus", LIVE_WEBM),
        ("webm-opus", OGG),
        ("ogg-opus", b"\0"),
        ("opus", b"\xff\xff\xff"),
        ("ogg-opus", OGG_HEADER + ogg_page(0, 960, b"\x03", b"\xff\xff\xff")),
    ],
)
def test_garbage_is_refused(encoding: str, data: bytes) -> None:
    """Where a container or a packet should be."""
    with pytest.raises(AudioError, match=r"found .*; wanted"):
        StreamDecoder(encoding).decode(data)


@pytest.mark.parametrize("data", [b"Og", OGG[:30], OGG[:10], LIVE_WEBM[:100]])
@pytest.mark.parametrize("encoding", ["auto"])
def test_a_container_that_ends_within_its_header_is_refused(encoding: str, data: bytes) -> None:
    """It has no audio that could be decoded."""
    decoder = StreamDecoder(encoding)
    assert len(decoder.decode(data)) == 0
    with pytest.raises(AudioError, match="ends within its header; wanted"):
        decoder.flush()


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_a_container_cut_later_gives_what_came(name: str) -> None:
    """A socket that vanishes in mid-word: the sound before it is a prefix of the whole."""
    data, whole = CONTAINERS[name], decode([CONTAINERS[name]], "auto")
    decoder = StreamDecoder("auto")
    part = np.concatenate([decoder.decode(data[: len(data) // 2]), decoder.decode(b"")])
    decoder.flush()
    assert name == "ogg" or len(part) > 1_000  # FFmpeg puts a second of Ogg on one page
    np.testing.assert_array_equal(part, whole[: len(part)])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_stream_without_a_byte_is_empty(encoding: str) -> None:
    """A client that connects and sends nothing is no error."""
    assert decode([b""], encoding, 48_000).dtype == np.float32
    assert len(decode([], encoding, 48_000)) == 0


def test_a_small_message_cannot_ask_for_hours_of_memory() -> None:
    """Two bytes of Opus may stand for 120 ms: 100 KB would be an hour."""
    page = ogg_page(0, -1, b"\x02" * 255, b"\x1b\x02" * 255)
    with pytest.raises(AudioError, match="found more than 600 s of audio in one message"):
        StreamDecoder("ogg-opus").decode(OGG_HEADER + page * 20)


def test_the_gain_and_pre_skip_of_the_header_are_applied() -> None:
    """RFC 7845 section 5.1: output gain in 1/256 dB, and samples to drop from the beginning."""
    packets = packets_by_ffmpeg(OGG)
    head = bytearray(make_head(1).data)
    struct.pack_into("<H", head, 10, 4_800)
    struct.pack_into("<h", head, 16, -1541)  # -6.02 dB: half
    pages = [ogg_page(0, -1, b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]), packet) for packet in packets]
    decoded = decode([ogg_page(2, 0, b"\x13", bytes(head)), OGG_HEADER[47:], *pages], "ogg-opus")
    plain = decode(packets, "opus")
    np.testing.assert_allclose(decoded[100:7000], plain[1_700:8_600] / 2, atol=2e-3)
