"""A live stream's bytes, split anywhere -> mono float32 at 16 kHz.

To add an encoding: write its reader here (`_Reader`; a new container gets its demuxer in `containers/`), and add one
entry to `ENCODINGS`. The wires, the server's checks and the tests take names and properties from there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from asr.audio.compressed import BareReader, FragmentReader
from asr.audio.containers import OggDemuxer, OpusHead, OpusPacket, WavDemuxer, WebmDemuxer, ogg, wav, webm
from asr.audio.containers.fragments import is_mp4
from asr.audio.containers.opus import make_head
from asr.audio.downmix import OneChannel, StreamDownmix
from asr.audio.opus_decoder import OpusDecoder
from asr.audio.pcm import MAX_CHANNELS, SAMPLE_FORMATS, AudioForm, PcmReader, gathered
from asr.audio.resample import StreamResampler
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError

MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000

_MAX_CALL_S = 600
"""Of `StreamDecoder.decode`: a two-byte Opus packet may stand for 120 ms, and 14 bytes of FLAC for eight seconds, so a
small message could otherwise ask for hours of memory. `pieces` needs no such bound."""


class StreamDecoder:
    """Wire bytes -> samples. Any split of the bytes gives the same samples, but `Encoding.is_packets` ones.

    Call `decode` for every message, then `flush` once. After an `AudioError` the decoder cannot be used any more.
    `sample_rate_hz` and `channels` describe encodings without a header; containers have their own. With `channel`,
    counted from 0, the samples are those of this one channel, and a container must have `channels` of them, too.
    Raises `AudioError` for an unknown encoding, and for parameters that the encoding does not allow.
    """

    def __init__(
        self, encoding: str, sample_rate_hz: int | None = None, channels: int = 1, *, channel: int | None = None
    ) -> None:
        self._reader = _reader_for(encoding, sample_rate_hz, channels)
        self._mixer = StreamDownmix() if channel is None else OneChannel(channel, channels)
        self._resampler: StreamResampler | None = None
        self._rate_hz = 0

    def decode(self, data: bytes) -> np.ndarray:
        """The samples ``(n,)`` that these bytes complete.

        Raises `AudioError` if the bytes are not in this encoding, and for more than ten minutes.
        """
        return _joined(self.pieces(data))

    def pieces(self, data: bytes) -> Iterator[np.ndarray]:
        """As `decode`, in pieces of about half a second, each decoded when it is asked for. Ask for all of them."""
        for form, frames in gathered(self._reader.read(bytes(data))):
            _checked_rate(form.rate_hz, "a stream")  # before the channels are mixed, in blocks of 20 ms
            for rate_hz, mono in self._mixer.process(form, frames):
                yield self._resampled(rate_hz, mono)

    def flush(self) -> np.ndarray:
        """The last samples ``(n,)``. Raises `AudioError` if the stream ended inside a sample or a header."""
        return _joined(self.last_pieces())

    def last_pieces(self) -> Iterator[np.ndarray]:
        """The last samples in pieces of about half a second, each made when it is asked for; errors as of `flush`."""
        for form, frames in self._reader.end():
            for rate_hz, mono in self._mixer.process(form, frames):
                yield self._resampled(rate_hz, mono)
        for rate_hz, mono in self._mixer.flush():
            yield self._resampled(rate_hz, mono)
        if self._resampler:
            yield self._resampler.flush()

    @property
    def notices(self) -> tuple[str, ...]:
        """What the client should know about the audio so far: a sentence where channels cancel each other."""
        return (self._mixer.notice,) if self._mixer.notice else ()

    def _resampled(self, rate_hz: int, mono: np.ndarray) -> np.ndarray:
        """The samples ``(n,)`` at 16 kHz, ``(m,)``. Raises `AudioError` for a rate that changes."""
        if self._resampler is None:
            self._resampler, self._rate_hz = StreamResampler(_checked_rate(rate_hz, "a stream")), rate_hz
        if rate_hz != self._rate_hz:
            raise AudioError(f"found a stream that goes on with {rate_hz} Hz; wanted {self._rate_hz} Hz as before")
        return self._resampler.process(mono)


class _Reader(Protocol):
    """Decodes one stream. Made by `Encoding.open`."""

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        """Pairs of the form of the audio and frames ``(n, channels)``. The rate never changes."""

    def end(self) -> Iterable[tuple[AudioForm, np.ndarray]]:
        """The last frames, of a decoder that holds some back. Raises `AudioError` if the stream cannot end here."""


class _SampleReader:
    """Raw samples in one of `SAMPLE_FORMATS`, or those in WAV."""

    def __init__(self, pcm: PcmReader, form: AudioForm) -> None:
        self._pcm = pcm
        self._form = form

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        yield self._form, self._pcm.read(data)

    def end(self) -> Iterable[tuple[AudioForm, np.ndarray]]:
        self._pcm.end()
        return ()


def _raw(sample_format: str) -> Callable[[int | None, int], _Reader]:
    return lambda rate_hz, channels: _SampleReader(
        PcmReader(SAMPLE_FORMATS[sample_format], channels), AudioForm(_checked_rate(rate_hz, sample_format))
    )


def _checked_rate(rate_hz: int | None, encoding: str) -> int:
    if rate_hz is None or not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        found = "no sample rate" if rate_hz is None else f"a sample rate of {rate_hz} Hz"
        raise AudioError(f"found {found}; wanted {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz for {encoding}")
    return rate_hz


class _PacketReader:
    """Opus without a container: each call of `read` is one packet."""

    def __init__(self, channels: int) -> None:
        self._decoder = OpusDecoder(make_head(channels))

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        if data:
            yield self._decoder.decode(OpusPacket(data))

    def end(self) -> Iterable[tuple[AudioForm, np.ndarray]]:
        """Nothing to check: `read` has decoded or refused each packet."""
        return ()


class _OpusReader:
    """Decodes Opus packets of an Ogg or WebM stream, which may begin again with other channels."""

    def __init__(self, demuxer: OggDemuxer | WebmDemuxer) -> None:
        self._demuxer = demuxer
        self._decoder: OpusDecoder | None = None
        self._began = False

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        self._began = self._began or bool(data)
        for unit in self._demuxer.receive(data):
            if isinstance(unit, OpusHead):
                self._decoder = OpusDecoder(unit)
            elif self._decoder:
                yield self._decoder.decode(unit)

    def end(self) -> Iterable[tuple[AudioForm, np.ndarray]]:
        _check_header_ended(self._decoder is not None or not self._began)
        return ()


class _WavReader:
    """WAV. Like the other containers it may end anywhere after its header."""

    def __init__(self) -> None:
        self._demuxer = WavDemuxer()
        self._samples: _SampleReader | None = None

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        samples, wav_format = self._demuxer.receive(data), self._demuxer.format
        if self._samples is None and wav_format is not None:
            pcm = PcmReader(wav_format.sample, wav_format.channels)
            _checked_rate(wav_format.rate_hz, "WAV")
            self._samples = _SampleReader(pcm, wav_format.form)
        if self._samples:
            yield from self._samples.read(samples)

    def end(self) -> Iterable[tuple[AudioForm, np.ndarray]]:
        _check_header_ended(self._demuxer.reached_data)
        return ()


class _Sniffer:
    """Chooses a container's reader by the first eight bytes of the stream."""

    def __init__(self) -> None:
        self._head = b""
        self._reader: _Reader | None = None

    def read(self, data: bytes) -> Iterator[tuple[AudioForm, np.ndarray]]:
        if self._reader is None:
            self._head, data = b"", self._head + data
            if len(data) < _HEAD_BYTES:
                self._head = data
                return
            self._reader = _container_reader(data[:_HEAD_BYTES])
        yield from self._reader.read(data)

    def end(self) -> Iterable[tuple[AudioForm, np.ndarray]]:
        _check_header_ended(not self._head)
        return self._reader.end() if self._reader else ()


def _container_reader(head: bytes) -> _Reader:
    if is_mp4(head):
        return FragmentReader()
    magic = head[:4]
    if magic in _CONTAINERS:
        return _CONTAINERS[magic]()
    if head in (b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22"):  # the first block is the stream's description
        return BareReader("flac")
    if magic[:3] == b"ID3" or (magic[0] == 0xFF and magic[1] & 0xE6 == 0xE2):  # a tag, or a frame of layer III
        return BareReader("mp3")
    wanted = "wanted Ogg/Opus, WebM/Opus, WAV, FLAC, MP3 or fragmented MP4, or a named encoding"
    raise AudioError(f"found a stream that begins with {magic!r}; {wanted}")


_HEAD_BYTES = 8

_CONTAINERS: Mapping[bytes, Callable[[], _Reader]] = {
    ogg.MAGIC: lambda: _OpusReader(OggDemuxer()),
    webm.MAGIC: lambda: _OpusReader(WebmDemuxer()),
    wav.MAGIC: _WavReader,
}
"""By the first four bytes of a stream."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way in which a stream's bytes may be encoded.

    Attributes:
        open: makes a reader from sample rate in hertz (None: unknown) and channels. Raises `AudioError` for a rate.
        has_header: the stream itself names its rate and channels; without a header the client must.
        is_packets: each message is one packet, so messages must be neither split nor joined.
        max_channels: without a header, the most channels a client may announce.
    """

    open: Callable[[int | None, int], _Reader]
    has_header: bool = False
    is_packets: bool = False
    max_channels: int = MAX_CHANNELS

    @property
    def is_cuttable(self) -> bool:
        """Whether a stream may begin at any sample of another one."""
        return not (self.has_header or self.is_packets)


AUTO = "auto"
"""The encoding whose container is detected; a client asks for it by naming none."""

ENCODINGS: Mapping[str, Encoding] = {
    **{name: Encoding(_raw(name)) for name in SAMPLE_FORMATS},
    "opus": Encoding(lambda _, channels: _PacketReader(channels), is_packets=True, max_channels=2),
    "ogg-opus": Encoding(lambda *_: _OpusReader(OggDemuxer()), has_header=True),
    "webm-opus": Encoding(lambda *_: _OpusReader(WebmDemuxer()), has_header=True),
    AUTO: Encoding(lambda *_: _Sniffer(), has_header=True),
}
"""Every encoding, by its name on the wires."""


def _reader_for(name: str, rate_hz: int | None, channels: int) -> _Reader:
    """The encoding's reader. Raises `AudioError` for an unknown name, and for a rate or channels out of range."""
    if name not in ENCODINGS:
        raise AudioError(f"found the encoding {name!r}; wanted one of {', '.join(ENCODINGS)}")
    encoding = ENCODINGS[name]
    if not encoding.has_header and not 1 <= channels <= encoding.max_channels:
        raise AudioError(f"found {channels} channels; wanted 1 to {encoding.max_channels} for {name}")
    return encoding.open(rate_hz, channels)


def _check_header_ended(ended: bool) -> None:
    if not ended:
        raise AudioError("found a stream that ends within its header; wanted a container with audio")


def _joined(pieces: Iterator[np.ndarray]) -> np.ndarray:
    """Raises `AudioError` beyond `_MAX_CALL_S`."""
    parts, samples = [np.zeros(0, np.float32)], 0
    for part in pieces:
        parts.append(part)
        samples += len(part)
        if samples > _MAX_CALL_S * SAMPLE_RATE_HZ:
            raise AudioError(f"found more than {_MAX_CALL_S} s of audio in one message; wanted it in smaller pieces")
    return np.concatenate(parts)
