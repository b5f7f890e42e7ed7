"""Recordings and streams for tests, made by FFmpeg (through PyAV), by libsndfile, or byte by byte."""

import io
import itertools
import struct
from typing import Any

import av
import numpy as np
import soundfile

from asr.audio.containers.ogg import page_crc
from asr.audio.containers.opus import make_head
from asr.audio.files import read_blocks
from asr.audio.streams import StreamDecoder

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def sine(seconds: float, rate_hz: int, hz: float = 440.0, level: float = 0.4) -> np.ndarray:
    """A tone, mono float32 ``(seconds * rate_hz,)``."""
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def encoded(
    form: str, codec: str, mono: np.ndarray, rate_hz: int = 48_000, channels: int = 1, live: bool = False
) -> bytes:
    """`mono` ``(n,)``, the same on all channels, in a container written by FFmpeg. `live`: without seeking back."""
    buffer = io.BytesIO()
    target: Any = _WriteOnly(buffer) if live else buffer
    with av.open(target, "w", format=form, options={"live": "1"} if live else {}) as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout=LAYOUTS[channels])
        for start in range(0, len(mono), 960):
            part = np.repeat(mono[start : start + 960], channels).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=LAYOUTS[channels])
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def fragmented(mono: np.ndarray, rate_hz: int = 48_000, flags: str = "default_base_moof") -> bytes:
    """`mono` ``(n,)`` as AAC in MP4 with a fragment for each half second, as a browser's recorder writes it."""
    buffer = io.BytesIO()
    options = {"movflags": f"frag_keyframe+empty_moov+{flags}", "frag_duration": "500000"}
    with av.open(buffer, "w", format="mp4", options=options) as container:
        stream: Any = container.add_stream("aac", rate=rate_hz, layout="mono")
        for start in range(0, len(mono), 960):
            frame = av.AudioFrame.from_ndarray(mono[start : start + 960].reshape(1, -1), format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def encoded_channels(form: str, codec: str, frames: np.ndarray, rate_hz: int, bit_rate: int = 128_000) -> bytes:
    """Frames ``(n, channels)``, each channel its own sound, in a container written by FFmpeg."""
    buffer, layout = io.BytesIO(), LAYOUTS[frames.shape[1]]
    with av.open(buffer, "w", format=form) as container:
        stream: Any = container.add_stream(codec, rate=rate_hz, layout=layout)
        stream.bit_rate = bit_rate
        for start in range(0, len(frames), 960):
            part = np.ascontiguousarray(frames[start : start + 960], np.float32).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(part, format="flt", layout=layout)
            frame.sample_rate, frame.pts = rate_hz, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


class _WriteOnly:
    """A file that can neither seek nor be read, like a socket."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self.write = buffer.write


def video_only() -> bytes:
    """An MP4 of one black second."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream: Any = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 32, 32
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def sound_file(samples: np.ndarray, rate_hz: int, form: str = "WAV", subtype: str | None = None) -> bytes:
    """Samples ``(n,)`` or ``(n, channels)`` in a file written by libsndfile."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format=form, subtype=subtype)
    return buffer.getvalue()


def read(data: bytes, block_s: float = 10.0) -> np.ndarray:
    """All blocks of `read_blocks`, joined: ``(n,)`` at 16 kHz."""
    return np.concatenate(list(read_blocks(io.BytesIO(data), block_s)))


def decode(pieces: list[bytes], encoding: str, rate_hz: int | None = None, channels: int = 1) -> np.ndarray:
    """All samples ``(n,)`` at 16 kHz that a `StreamDecoder` gives for the pieces, `flush` included."""
    decoder = StreamDecoder(encoding, rate_hz, channels)
    return np.concatenate([*(decoder.decode(piece) for piece in pieces), decoder.flush()])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data cut at these places. Places beyond its end give empty pieces."""
    bounds = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def ogg_page(flags: int, granule: int, lacing: bytes, body: bytes, serial: int = 1) -> bytes:
    """One page with a correct checksum (`test_ogg_webm` checks the checksum against FFmpeg's pages)."""
    page = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, 0, 0, len(lacing)) + lacing + body
    return page[:22] + struct.pack("<I", page_crc(page)) + page[26:]


def ebml(identifier: int, payload: bytes, size: int | None = None) -> bytes:
    """One element with an eight-byte size; `size` replaces the true one."""
    name = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return name + ((1 << 56) | (len(payload) if size is None else size)).to_bytes(8, "big") + payload


def packets_by_ffmpeg(data: bytes) -> list[bytes]:
    """The packets of the first audio track, as FFmpeg's demuxer finds them."""
    with av.open(io.BytesIO(data)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


OGG = encoded("ogg", "libopus", sine(0.513, 48_000))
WEBM = encoded("webm", "libopus", sine(0.513, 48_000), channels=2)
LIVE_WEBM = encoded("webm", "libopus", sine(0.513, 48_000), live=True)
OGG_HEADER = ogg_page(2, 0, b"\x13", make_head(1).data) + ogg_page(0, 0, b"\x10", b"OpusTags" + bytes(8))
