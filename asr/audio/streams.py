"""A live stream's bytes, cut anywhere -> mono float32 at 16 kHz."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import av
import numpy as np

from asr.audio.containers import OggDemuxer, OpusHead, OpusPacket, WavDemuxer, WebmDemuxer, ogg, wav, webm
from asr.audio.containers.opus import OPUS_RATE_HZ, make_head
from asr.audio.pcm import MAX_CHANNELS, SAMPLE_FORMS, PcmReader, any_to_float, mix_down
from asr.audio.resample import StreamResampler, gathered
from asr.errors import AudioError

ENCODINGS = (*SAMPLE_FORMS, "opus", "ogg-opus", "webm-opus", "auto")
"""What `StreamDecoder` takes; "auto" is one of the two containers or WAV, told apart by the first bytes."""
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000

_MAX_CALL_S = 600
"""A two-byte Opus packet may stand for 120 ms, so a small message could otherwise ask for hours of memory."""


class StreamDecoder:
    """Wire bytes -> samples. Any split of the bytes gives the same samples; only for "opus" each call is one packet.

    ``decode`` every message, then ``flush`` once. After an `AudioError` the decoder is of no more use.
    ``sample_rate_hz`` and ``channels`` describe raw samples (and ``channels`` raw "opus"); containers say theirs.
    """

    def __init__(self, encoding: str, sample_rate_hz: int | None = None, channels: int = 1) -> None:
        self._reader = _reader_for(encoding, sample_rate_hz, channels)
        self._resampler: StreamResampler | None = None

    def decode(self, data: bytes) -> np.ndarray:
        """The samples ``(n,)`` that these bytes complete; `AudioError` for bytes that are not what was announced."""
        pieces = gathered(self._reader.read(bytes(data)))
        return _joined([self._resampled(rate_hz, mono) for rate_hz, mono in pieces])

    def flush(self) -> np.ndarray:
        """The last samples ``(n,)``; `AudioError` when the bytes end within a sample or a container's header."""
        self._reader.end()
        return self._resampler.flush() if self._resampler else _joined([])

    def _resampled(self, rate_hz: int, mono: np.ndarray) -> np.ndarray:
        """At 16 kHz. No reader changes its rate on the way."""
        self._resampler = self._resampler or StreamResampler(rate_hz)
        return self._resampler.process(mono)


class _Reader(Protocol):
    def read(self, data: bytes) -> Iterator[tuple[int, np.ndarray]]:
        """Pairs of the stream's rate and mono samples at it."""

    def end(self) -> None:
        """`AudioError` when the bytes cannot end here."""


def _reader_for(encoding: str, rate_hz: int | None, channels: int) -> _Reader:
    """The reader; `AudioError` for parameters that make no sense."""
    if encoding in _CONTAINER_READERS:
        return _CONTAINER_READERS[encoding]()
    if encoding not in ENCODINGS:
        raise AudioError(f"found the encoding {encoding!r}; wanted one of {', '.join(ENCODINGS)}")
    most = 2 if encoding == "opus" else MAX_CHANNELS
    if not 1 <= channels <= most:
        raise AudioError(f"found {channels} channels; wanted 1 to {most} for {encoding}")
    if encoding == "opus":
        return _PacketReader(channels)
    return _SampleReader(PcmReader(SAMPLE_FORMS[encoding], channels), _checked_rate(rate_hz, encoding))


def _checked_rate(rate_hz: int | None, form: str) -> int:
    if rate_hz is None or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        found = "no sample rate" if rate_hz is None else f"a sample rate of {rate_hz} Hz"
        raise AudioError(f"found {found}; wanted {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz for {form}")
    return rate_hz


class _SampleReader:
    """Raw samples."""

    def __init__(self, pcm: PcmReader, rate_hz: int) -> None:
        self._pcm = pcm
        self._rate_hz = rate_hz

    def read(self, data: bytes) -> Iterator[tuple[int, np.ndarray]]:
        yield self._rate_hz, self._pcm.read(data)

    def end(self) -> None:
        self._pcm.end()


class _PacketReader:
    """Raw Opus: each call is one packet."""

    def __init__(self, channels: int) -> None:
        self._decoder = OpusDecoder(make_head(channels))

    def read(self, data: bytes) -> Iterator[tuple[int, np.ndarray]]:
        if data:
            yield OPUS_RATE_HZ, self._decoder.decode(OpusPacket(data))

    def end(self) -> None:
        """A packet is whole or refused at once."""


class _OpusReader:
    """Ogg/Opus or WebM/Opus."""

    def __init__(self, demuxer: OggDemuxer | WebmDemuxer) -> None:
        self._demuxer = demuxer
        self._decoder: OpusDecoder | None = None
        self._began = False

    def read(self, data: bytes) -> Iterator[tuple[int, np.ndarray]]:
        self._began = self._began or bool(data)
        samples = 0
        for unit in self._demuxer.receive(data):
            if isinstance(unit, OpusHead):
                self._decoder = OpusDecoder(unit)
            elif self._decoder:
                yield OPUS_RATE_HZ, (mono := self._decoder.decode(unit))
                samples += len(mono)
                _check_length(samples)

    def end(self) -> None:
        _check_began(self._decoder is not None or not self._began)


class _WavReader:
    """WAV. Like the other containers it may be cut anywhere behind its header: what came is heard."""

    def __init__(self) -> None:
        self._demuxer = WavDemuxer()
        self._samples: _SampleReader | None = None

    def read(self, data: bytes) -> Iterator[tuple[int, np.ndarray]]:
        samples, form = self._demuxer.receive(data), self._demuxer.form
        if self._samples is None and form is not None:
            pcm = PcmReader(form.sample, form.channels)
            self._samples = _SampleReader(pcm, _checked_rate(form.rate_hz, "WAV"))
        if self._samples:
            yield from self._samples.read(samples)

    def end(self) -> None:
        _check_began(self._demuxer.reached_data)


class _Sniffer:
    """Waits for four bytes, then is the reader that they belong to."""

    def __init__(self) -> None:
        self._head = b""
        self._reader: _Reader | None = None

    def read(self, data: bytes) -> Iterator[tuple[int, np.ndarray]]:
        if self._reader is None:
            self._head, data = b"", self._head + data
            if len(data) < 4:
                self._head = data
                return
            self._reader = _reader_of(data[:4])
        yield from self._reader.read(data)

    def end(self) -> None:
        _check_began(not self._head)
        if self._reader:
            self._reader.end()


def _reader_of(magic: bytes) -> _Reader:
    if magic not in _READERS:
        wanted = "wanted Ogg/Opus, WebM/Opus or WAV, or a named encoding"
        raise AudioError(f"found a stream that begins with {magic!r}; {wanted}")
    return _READERS[magic]()


_READERS: Mapping[bytes, Callable[[], _Reader]] = {
    ogg.MAGIC: lambda: _OpusReader(OggDemuxer()),
    webm.MAGIC: lambda: _OpusReader(WebmDemuxer()),
    wav.MAGIC: _WavReader,
}
"""By a stream's first four bytes."""
_CONTAINER_READERS: Mapping[str, Callable[[], _Reader]] = {
    "ogg-opus": _READERS[ogg.MAGIC],
    "webm-opus": _READERS[webm.MAGIC],
    "auto": _Sniffer,
}
"""By encoding."""


def _check_began(began: bool) -> None:
    if not began:
        raise AudioError("found a stream that ends within its header; wanted a container with audio")


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
        mono = _joined([mix_down(channels_of(frame)) for frame in frames])
        return mono[: max(0, len(mono) - packet.trim_samples)]


def channels_of(frame: "av.AudioFrame") -> np.ndarray:
    """A decoded frame of any sample format, packed or planar, -> ``(n, channels)``."""
    channels = frame.layout.nb_channels
    if channels == 1 and frame.format.name in ("flt", "fltp"):  # speech mostly; half of the time
        return np.frombuffer(memoryview(frame.planes[0]), np.float32, frame.samples)[:, None]
    samples = any_to_float(frame.to_ndarray())  # (channels, n) planar, (1, n * channels) packed
    return samples.T if frame.format.is_planar else samples.reshape(-1, channels)


def _check_length(samples: int) -> None:
    if samples > _MAX_CALL_S * OPUS_RATE_HZ:
        raise AudioError(f"found more than {_MAX_CALL_S} s of audio in one message; wanted it in smaller pieces")


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
