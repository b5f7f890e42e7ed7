"""Small files and streams that ask for much memory or time: refused with a sentence, before any of it is spent."""

import io
import struct

import av
import numpy as np
import pytest
import soundfile

from asr.audio.files import MAX_FILE_CHANNELS, read_blocks
from asr.audio.streams import StreamDecoder
from asr.errors import AudioError
from tests.asr.media import ebml


def recorded(container: str, codec: str, options: dict[str, str] | None = None) -> bytes:
    """A second of silence, by FFmpeg."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=16_000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), format="fltp", layout="mono")
        frame.rate, frame.pts = 16_000, 0
        output.mux([*stream.encode(frame), *stream.encode(None)])
    return buffer.getvalue()


def read(data: bytes) -> int:
    return sum(map(len, read_blocks(io.BytesIO(data))))


def changed(data: bytes, box: bytes, offset: int, *values: int) -> bytes:
    """The MP4 with other numbers in a box, `offset` bytes after its name."""
    return (at := data.index(box) + offset) and data[:at] + struct.pack(f">{len(values)}I", *values) + data[
        at + 4 * len(values) :
    ]


M4A = recorded("mp4", "aac")
FRAGMENTED = recorded("mp4", "aac", {"movflags": "frag_keyframe+empty_moov+default_base_moof"})


@pytest.mark.parametrize("begin", [b"", struct.pack(">I4s", 8, b"free")])
@pytest.mark.parametrize("samples", [2_000_000, 2**31, 2**32 - 1])
def test_an_mp4_that_claims_more_samples_than_bytes_is_refused(samples: int, begin: bytes) -> None:
    """FFmpeg takes 36 bytes for each before it reads one: 10 million in a file of 1 KB were 350 MB."""
    assert read(begin + M4A) > 15_000
    claim = begin + changed(M4A, b"stsz", 8, 1, samples)
    with pytest.raises(AudioError, match=f"claim {samples} samples"):
        read(claim)
    with pytest.raises(AudioError, match="samples"):
        read(changed(FRAGMENTED, b"trun", 4, 0, samples))


def test_a_fragment_of_a_stream_is_bounded() -> None:
    """Its samples and its tables; the header is parsed again with each fragment."""
    StreamDecoder("auto").decode(FRAGMENTED)
    with pytest.raises(AudioError, match="claims 4000000000 samples; wanted at most"):
        StreamDecoder("auto").decode(changed(FRAGMENTED, b"trun", 4, 0, 4_000_000_000))
    with pytest.raises(AudioError, match="a box b'moov' of 1000000 bytes"):
        StreamDecoder("auto").decode(changed(FRAGMENTED, b"moov", -4, 1_000_000))


def test_the_elements_of_a_webm_track_are_bounded() -> None:
    """Two million empty ones in 4 MiB took seconds of the event loop."""
    header = ebml(0x1A45DFA3, b"")
    track = ebml(0xAE, ebml(0xEC, b"") * 300)
    with pytest.raises(AudioError, match="more than 256 others"):
        StreamDecoder("webm-opus").decode(header + ebml(0x1654AE6B, track))


@pytest.mark.parametrize("channels", [MAX_FILE_CHANNELS + 1, 1_024])
def test_channels_of_a_file_are_bounded(channels: int) -> None:
    """The watch over channels that cancel each other takes their number squared."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((800, channels), np.int16), 16_000, format="WAV")
    with pytest.raises(AudioError, match=f"to have {channels} channels; wanted at most 64"):
        read(buffer.getvalue())


@pytest.mark.parametrize("rate_hz", [1, 7_999, 192_001, 600_000])
def test_rates_are_checked_before_channels_are_mixed(rate_hz: int) -> None:
    """Mixing counts in blocks of 20 ms: one sample at 1 Hz, and gigabytes at 4 GHz."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros((20_000, 2), np.int16), 16_000, format="WAV")
    data = bytearray(buffer.getvalue())
    struct.pack_into("<I", data, 24, rate_hz)
    with pytest.raises(AudioError, match=f"{rate_hz} Hz"):
        read(bytes(data))
    with pytest.raises(AudioError, match=f"{rate_hz} Hz"):
        StreamDecoder("auto").decode(bytes(data))
