"""A live stream's bytes, cut anywhere -> mono float32 at 16 kHz."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import av
import numpy as np

from asr.containers import OggDemuxer, OpusHead, OpusPacket, Unit, WebmDemuxer, ogg, webm
from asr.containers.opus import OPUS_RATE_HZ, make_head
from asr.errors import AudioError
from asr.pcm import MAX_CHANNELS, SAMPLE_FORMS, PcmReader, any_to_float, mix_down
from asr.resample import StreamResampler, gathered

ENCODINGS = (*SAMPLE_FORMS, "opus", "ogg-opus", "webm-opus", "auto")
"""What `StreamDecoder` takes; "auto" is one of the two containers, told apart by its first bytes."""
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000

_MAX_CALL_S = 600
"""A two-byte Opus packet may stand for 120 ms, so a small message could otherwise ask for hours of memory."""


class StreamDecoder:
    """Wire bytes -> samples. Any split of the bytes gives the same samples; only for "opus" each call is one packet.

    ``decode`` every message, then ``flush`` once. After an `AudioError` the decoder is of no more use.
    ``sample_rate_hz`` and ``channels`` describe raw samples (and ``channels`` raw "opus"); containers say theirs.
    """

    def __init__(self, encoding: str, sample_rate_hz: int | None = None, channels: int = 1) -> None:
        self._reader, self._rate_hz = _reader_for(encoding, sample_rate_hz, channels)
        self._resampler = StreamResampler(self._rate_hz)
        self.delay_s = self._resampler.delay_s
        """Sound held back until more arrives."""

    def decode(self, data: bytes) -> np.ndarray:
        """The samples ``(n,)`` that these bytes complete; `AudioError` for bytes that are not what was announced."""
        pieces = gathered((self._rate_hz, mono) for mono in self._reader.read(bytes(data)))
        return _joined([self._resampler.process(mono) for _, mono in pieces])

    def flush(self) -> np.ndarray:
        """The last samples ``(n,)``; `AudioError` when the bytes end within a sample or a container's header."""
        self._reader.end()
        return self._resampler.flush()


class _Reader(Protocol):
    def read(self, data: bytes) -> Iterator[np.ndarray]:
        """Mono pieces at the reader's rate."""

    def end(self) -> None:
        """`AudioError` when the bytes cannot end here."""


def _reader_for(encoding: str, rate_hz: int | None, channels: int) -> tuple[_Reader, int]:
    """The reader and the rate of what it gives; `AudioError` for parameters that make no sense."""
    if encoding not in ENCODINGS:
        raise AudioError(f"found the encoding {encoding!r}; wanted one of {', '.join(ENCODINGS)}")
    if encoding not in SAMPLE_FORMS and encoding != "opus":
        return _ContainerReader(encoding), OPUS_RATE_HZ
    most = 2 if encoding == "opus" else MAX_CHANNELS
    if not 1 <= channels <= most:
        raise AudioError(f"found {channels} channels; wanted 1 to {most} for {encoding}")
    if encoding == "opus":
        return _PacketReader(channels), OPUS_RATE_HZ
    if rate_hz is None or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        found = "no sample rate" if rate_hz is None else f"a sample rate of {rate_hz} Hz"
        raise AudioError(f"found {found}; wanted {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz for {encoding}")
    return _SampleReader(PcmReader(SAMPLE_FORMS[encoding], channels)), rate_hz


class _SampleReader:
    """Raw samples."""

    def __init__(self, pcm: PcmReader) -> None:
        self._pcm = pcm

    def read(self, data: bytes) -> Iterator[np.ndarray]:
        yield self._pcm.read(data)

    def end(self) -> None:
        self._pcm.end()


class _PacketReader:
    """Raw Opus: each call is one packet."""

    def __init__(self, channels: int) -> None:
        self._decoder = OpusDecoder(make_head(channels))

    def read(self, data: bytes) -> Iterator[np.ndarray]:
        if data:
            yield self._decoder.decode(OpusPacket(data))

    def end(self) -> None:
        """A packet is whole or refused at once."""


class _ContainerReader:
    """Ogg/Opus or WebM/Opus."""

    def __init__(self, encoding: str) -> None:
        self._demuxer: _Sniffer | OggDemuxer | WebmDemuxer = _DEMUXERS[encoding]()
        self._decoder: OpusDecoder | None = None
        self._began = False

    def read(self, data: bytes) -> Iterator[np.ndarray]:
        self._began = self._began or bool(data)
        samples = 0
        for unit in self._demuxer.receive(data):
            if isinstance(unit, OpusHead):
                self._decoder = OpusDecoder(unit)
            elif self._decoder:
                yield (mono := self._decoder.decode(unit))
                samples += len(mono)
                _check_length(samples)

    def end(self) -> None:
        if self._began and self._decoder is None:
            raise AudioError("found a stream that ends within its header; wanted Ogg/Opus or WebM/Opus with audio")


class _Sniffer:
    """Waits for four bytes, then is the demuxer that they belong to."""

    def __init__(self) -> None:
        self._head = b""
        self._demuxer: OggDemuxer | WebmDemuxer | None = None

    def receive(self, data: bytes) -> list[Unit]:
        if self._demuxer is None:
            self._head, data = b"", self._head + data
            if len(data) < 4:
                self._head = data
                return []
            self._demuxer = _demuxer_for(data[:4])
        return self._demuxer.receive(data)


def _demuxer_for(magic: bytes) -> OggDemuxer | WebmDemuxer:
    if magic == ogg.MAGIC:
        return OggDemuxer()
    if magic == webm.MAGIC:
        return WebmDemuxer()
    raise AudioError(f"found a stream that begins with {magic!r}; wanted Ogg/Opus or WebM/Opus, or a named encoding")


_DEMUXERS: Mapping[str, type[_Sniffer | OggDemuxer | WebmDemuxer]] = {
    "ogg-opus": OggDemuxer,
    "webm-opus": WebmDemuxer,
    "auto": _Sniffer,
}


class OpusDecoder:
    """Packets of one stream -> mono at 48 kHz, through libopus (by way of PyAV), the format's reference decoder.

    FFmpeg's own decoder resamples within packets and gives other lengths for some of them.
    """

    def __init__(self, head: OpusHead) -> None:
        self._context = av.CodecContext.create("libopus", "r")
        self._context.extradata = head.data  # pre-skip, gain and channel mapping are applied by the decoder
        self._context.options = {"request_sample_fmt": "flt"}

    def decode(self, packet: OpusPacket) -> np.ndarray:
        """Mono ``(n,)``; `AudioError` for a packet that is no Opus."""
        try:
            frames = self._context.decode(av.Packet(packet.data))
        except av.error.FFmpegError as error:
            raise AudioError(f"found a packet of {len(packet.data)} bytes that is no Opus; wanted Opus") from error
        mono = _joined([mono_of(frame) for frame in frames])
        return mono[: max(0, len(mono) - packet.trim_samples)]


def mono_of(frame: "av.AudioFrame") -> np.ndarray:
    """A decoded frame of any sample format, packed or planar, -> mono ``(n,)``; `AudioError` for NaN or infinity."""
    channels = frame.layout.nb_channels
    samples = any_to_float(frame.to_ndarray())  # (channels, n) planar, (1, n * channels) packed
    return mix_down(samples.T if frame.format.is_planar else samples.reshape(-1, channels))


def _check_length(samples: int) -> None:
    if samples > _MAX_CALL_S * OPUS_RATE_HZ:
        raise AudioError(f"found more than {_MAX_CALL_S} s of audio in one message; wanted it in smaller pieces")


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
