"""Live FLAC, MP3 and fragmented MP4 through FFmpeg's parsers and decoders, fed with bytes split anywhere."""

import io
from collections.abc import Iterable, Iterator
from typing import Any

import av
import numpy as np

from asr.audio.containers.fragments import FragmentSplitter
from asr.audio.pcm import AudioForm, frame_form, frame_samples
from asr.errors import AudioError

_MAX_UNDECODED_BYTES = 1 << 18
"""Without a frame in this many bytes it is not audio. A frame has less than 64 KiB, and FLAC's parser waits for ten."""
_TAG_HEADER_BYTES = 10
_PIECE_BYTES = 4_096
"""Parsed together: the parsers' packets may depend on how the bytes are cut, and calls for a few bytes cost time."""


class BareReader:
    """FLAC or MP3: frames one after the other, found by FFmpeg's parser."""

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._context = _decoder(codec)
        self._buffer = b""
        self._skip_bytes = 0
        self._undecoded_bytes = 0
        self._began = self._decoded = False

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        """Pairs of a form and frames ``(n, channels)``."""
        self._buffer += data
        if not self._began and len(self._buffer) >= _TAG_HEADER_BYTES:
            self._began, self._skip_bytes = True, _tag_bytes(self._buffer)
        skipped = min(self._skip_bytes, len(self._buffer))
        self._buffer, self._skip_bytes = self._buffer[skipped:], self._skip_bytes - skipped
        whole = len(self._buffer) // _PIECE_BYTES * _PIECE_BYTES if self._began else 0
        for start in range(0, whole, _PIECE_BYTES):
            yield from self._decode(self._context.parse(self._buffer[start : start + _PIECE_BYTES]))
            self._check(_PIECE_BYTES)
        self._buffer = self._buffer[whole:]

    def end(self) -> Iterator[tuple[AudioForm, np.ndarray]]:
        """The last frames. Raises `AudioError` if there was none."""
        if not self._began and not self._buffer:
            return
        if self._buffer:
            yield from self._decode(self._context.parse(self._buffer))
        while packets := self._context.parse(b""):  # one at each call
            yield from self._decode(packets)
        yield from self._decode([None])
        if not self._decoded:
            raise AudioError(f"found a stream that ends before its first frame; wanted {self._codec} with audio")

    def _decode(self, packets: Iterable[Any]) -> Iterator[tuple[AudioForm, np.ndarray]]:
        for packet in packets:
            for form, samples in _decoded(self._context, packet):
                self._decoded, self._undecoded_bytes = True, 0
                yield form, samples

    def _check(self, more_bytes: int) -> None:
        self._undecoded_bytes += more_bytes
        if self._undecoded_bytes > _MAX_UNDECODED_BYTES:
            raise AudioError(f"found {self._undecoded_bytes} bytes without a frame; wanted {self._codec} with audio")


def _tag_bytes(head: bytes) -> int:
    """The size of the ID3v2 tag with which an MP3 may begin; pictures in it could look like frames."""
    if head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:10]:
        size = size << 7 | byte & 0x7F
    return _TAG_HEADER_BYTES + size


class FragmentReader:
    """Fragmented MP4 with any codec that FFmpeg knows. The decoder goes on from fragment to fragment."""

    def __init__(self) -> None:
        self._splitter = FragmentSplitter()
        self._context: Any = None
        self._began = False

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        """Pairs of a form and frames ``(n, channels)``."""
        self._began = self._began or bool(data)
        for piece in self._splitter.receive(data):
            yield from self._decode(piece)

    def end(self) -> Iterator[tuple[AudioForm, np.ndarray]]:
        if self._began and not self._splitter.reached_audio:
            raise AudioError("found a stream that ends within its header; wanted an MP4 with audio")
        if self._context is not None:
            yield from _decoded(self._context, None)

    def _decode(self, piece: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        try:
            with av.open(io.BytesIO(piece), "r", format="mov", metadata_errors="ignore") as container:
                track = container.streams.best("audio")
                if track is None:
                    raise AudioError("found an MP4 without an audio track; wanted one with audio")
                if self._context is None:
                    self._context = _decoder(track.codec_context.name)
                    self._context.extradata = track.codec_context.extradata
                packets = [packet for packet in container.demux(track) if packet.size]
                for packet in packets:
                    yield from _decoded(self._context, packet)
        except av.error.FFmpegError:
            raise AudioError("found a damaged MP4 fragment; wanted fragmented MP4 with audio") from None


def _decoder(codec: str) -> Any:
    """One thread: a server decodes many streams."""
    context = av.CodecContext.create(codec, "r")
    context.thread_count = 1
    return context


def _decoded(context: Any, packet: Any) -> Iterable[tuple[AudioForm, np.ndarray]]:
    """The frames of a packet; none of a damaged one."""
    try:
        frames = context.decode(packet)
    except av.error.FFmpegError:
        return []
    return [(frame_form(frame), frame_samples(frame)) for frame in frames]
