"""WAV on a live stream: every sample format, headers as live writers write them, cut anywhere."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.containers import WavDemuxer
from asr.audio.streams import StreamDecoder
from asr.errors import AudioError
from tests.asr.media import cut, decode, encoded, read, sine, sound_file

TONE = sine(0.25, 44_100)
SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
UNKNOWN = [0, 0x7FFFF000, 0xFFFFFFFF]


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """Padded to even length; the size may lie."""
    return name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def wav_format(tag: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16) -> bytes:
    frame_bytes = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits))


RIFF = b"RIFF\xff\xff\xff\xffWAVE"
SAMPLES = (sine(0.1, 16_000) * 32767).astype("<i2").tobytes()
SIZED = RIFF + wav_format() + chunk(b"data", SAMPLES)


def decoded(data: bytes) -> list[float]:
    samples: list[float] = decode([data], "auto").tolist()
    return samples


LINEAR16 = decode([SAMPLES], "linear16", 16_000).tolist()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_every_sample_format_gives_the_samples_of_the_file_reader(subtype: str, form: str, channels: int) -> None:
    """libsndfile writes and reads them; WAVEX has the format's tag in its sub-format."""
    data = sound_file(np.stack([TONE, TONE / 2][:channels], axis=1), 44_100, form, subtype)
    np.testing.assert_allclose(decode([data], "auto"), read(data), atol=1e-6)


@given(st.sampled_from(SUBTYPES), st.integers(1, 3), st.lists(st.integers(0, 9_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_cut_gives_the_same_samples(subtype: str, channels: int, places: list[int]) -> None:
    """Within the header, a chunk's name, a sample: fed in pieces equals fed at once, to the bit."""
    data = sound_file(np.repeat(TONE[:999, None], channels, axis=1), 22_050, "WAV", subtype)
    np.testing.assert_array_equal(decode(cut(data, [1, 3, *places]), "auto"), decode([data], "auto"))


def test_single_bytes_give_the_same_samples() -> None:
    """The hardest cut, with a chunk of odd length before the sound and one behind it."""
    data = RIFF + chunk(b"LIST", b"odd") + wav_format() + chunk(b"data", SAMPLES) + chunk(b"id3 ", b"x" * 9)
    assert decode(cut(data, list(range(len(data)))), "auto").tolist() == LINEAR16


@pytest.mark.parametrize("size", UNKNOWN)
def test_a_live_writers_size_means_until_the_end(size: int) -> None:
    """Who cannot seek back writes one of these: the sound is whatever follows."""
    assert decoded(RIFF + wav_format() + chunk(b"data", SAMPLES, size)) == LINEAR16


def test_ffmpegs_live_wav_is_read() -> None:
    """0xFFFFFFFF, with a LIST chunk before the sound. The fixture must show that."""
    data = encoded("wav", "pcm_s16le", sine(0.25, 48_000), live=True)
    assert b"LIST" in data
    assert b"data\xff\xff\xff\xff" in data
    np.testing.assert_allclose(decode([data], "auto"), sine(0.25, 16_000), atol=0.05)


def test_a_data_chunk_with_a_size_ends_there() -> None:
    """Tags, and the zeros that fill some files up, are no sound; neither is part of a frame."""
    assert decoded(SIZED + chunk(b"LIST", b"artist") + bytes(50)) == LINEAR16
    assert decoded(RIFF + wav_format() + chunk(b"data", SAMPLES + b"\x7f") + chunk(b"LIST", b"")) == LINEAR16


def test_recordings_may_be_chained() -> None:
    """As with Ogg and WebM: files one behind the other on one socket are all decoded if their formats are the same."""
    assert decoded(SIZED + SIZED) == LINEAR16 * 2
    with pytest.raises(AudioError, match="changes its format; wanted"):
        StreamDecoder("auto").decode(SIZED + RIFF + wav_format(rate_hz=8_000) + chunk(b"data", SAMPLES))


def test_a_wav_cut_short_gives_what_came() -> None:
    """Also in the middle of a sample. Within its header there is no audio yet: an error."""
    assert decoded(SIZED[:-3]) == LINEAR16[:-2]
    for end in (3, 11, 19, 43):
        with pytest.raises(AudioError, match="ends within its header; wanted"):
            decoded(SIZED[:end])


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"RIFF\x24\0\0\0AVI " + bytes(99), "RIFF of the kind b'AVI '"),
        (RIFF + b"\xff\xd8\xff\xe0\0\0\0\0", "where a WAV chunk should begin"),
        (RIFF + chunk(b"data", SAMPLES), "without a format before it"),
        (RIFF + chunk(b"fmt ", bytes(14)), "a WAV format of 14 bytes"),
        (RIFF + chunk(b"fmt ", b"", 5000), "a WAV format of 5000 bytes"),
        (RIFF + wav_format(tag=0x55), "format 0x55 with 16 bits"),
        (RIFF + wav_format(bits=20), "format 0x1 with 20 bits"),
        (RIFF + wav_format(channels=0), "0 channels"),
        (RIFF + wav_format(channels=9), "9 channels"),
        (RIFF + wav_format(rate_hz=96_000), "a sample rate of 96000 Hz"),
        (RIFF + wav_format()[:-4] + b"\4\0\x10\0", "frames of 4 bytes"),
        (RIFF + chunk(b"JUNK", b"", 0xFFFFFFF0), "claims 4294967280 bytes"),
        (RIFF + chunk(b"JUNK", bytes(1 << 20)) * 17, "at most 16777216 bytes beside the audio"),
        (SIZED + b"\x01\x02\x03\x04\x05\x06\x07\x08", "where a WAV chunk should begin"),
        (RIFF + wav_format(tag=3, bits=32) + chunk(b"data", struct.pack("<f", np.nan)), "NaN or infinite"),
        (RIFF + wav_format(tag=3, bits=64) + chunk(b"data", struct.pack("<d", 1e300)), "NaN or infinite"),
    ],
)
def test_a_broken_wav_says_what_was_found(data: bytes, found: str) -> None:
    """`AudioError`, in one sentence that says what was found and what is wanted."""
    with pytest.raises(AudioError, match=f"found.*{found}") as refused:
        StreamDecoder("auto").decode(data)
    assert "; wanted" in str(refused.value)


@given(st.integers(0, 60), st.binary(min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_damage_anywhere_is_an_audio_error_or_nothing(place: int, garbage: bytes) -> None:
    """No other exception escapes."""
    damaged = SIZED[:place] + garbage + SIZED[place + len(garbage) :]
    decoder = StreamDecoder("auto")
    with contextlib.suppress(AudioError):
        decoder.decode(damaged)
        decoder.flush()


def test_nothing_is_kept_of_what_is_passed_over() -> None:
    """A cover picture of megabytes before the sound, in messages of 16 KiB."""
    demuxer = WavDemuxer()
    demuxer.receive(RIFF + wav_format() + chunk(b"id3 ", b"", 8 << 20))
    for _ in range(512):
        assert demuxer.receive(bytes(1 << 14)) == b""
        assert len(demuxer._buffer) == 0
    assert demuxer.receive(chunk(b"data", SAMPLES)) == SAMPLES
