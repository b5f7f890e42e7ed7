"""Recordings in files of any format -> mono float32 at 16 kHz, block by block.

libsndfile reads uncompressed files, FFmpeg (through PyAV) all compressed ones. libsndfile can decode some of those too,
but it stops after the first link of a chained Ogg and at the first damaged FLAC frame, does not open a truncated Ogg,
and takes 2.6 times as long for Opus.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
import soundfile

from asr.audio.pcm import frame_samples, mix_down
from asr.audio.resample import StreamResampler, gathered
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError

MIN_FILE_RATE_HZ, MAX_FILE_RATE_HZ = 8_000, 192_000

_WANTED = "wanted a recording such as WAV, FLAC, OGG, MP3, Opus, M4A, MP4 or WebM"
_UNCOMPRESSED = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"caff")
"""First bytes of WAV (three kinds), W64, AIFF, AU and CAF."""
_READ_VALUES = 1 << 17
"""Values (samples times channels) in one read."""
_FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,loas,matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,ogg,"
    "oma,rm,tak,tta,voc,w64,wav,wv"
)
"""Audio and video containers only: FFmpeg also reads playlists, which name other files to open."""


def read_blocks(source: Path | BinaryIO, block_s: float = 10.0) -> Iterator[np.ndarray]:
    """Any recording -> mono float32 blocks ``(n,)`` at 16 kHz. Each lasts `block_s`, the last one may be shorter.

    `source` is a path, or an open binary file, which is read from its beginning and left open. Blocks are decoded when
    the caller asks for them. A damaged or truncated recording gives the samples that can be decoded.

    Raises `AudioError`, at the first block or later: no file, no audio in it, no samples, a sample rate that is not
    supported, or NaN or infinite samples.
    """
    with _opened(source) as (file, name):
        yield from _blocks(_resampled(_decoded(file, name), name), round(block_s * SAMPLE_RATE_HZ))


def duration_s(source: Path | BinaryIO) -> float | None:
    """Length from the header, without decoding; None if the header has none, as in browsers' recordings.

    Raises `AudioError` if there is no recording.
    """
    with _opened(source) as (file, name):
        sound = _open_uncompressed(file)
        if sound is not None:
            with sound:
                return float(sound.frames / sound.samplerate)
        with _open_coded(file, name) as container:
            return _header_duration_s(container, name)


@dataclass(frozen=True, slots=True)
class Header:
    """What a recording's header says. `container` and `codec` are FFmpeg's or libsndfile's names, in lower case."""

    container: str
    codec: str
    rate_hz: int
    channels: int


def header(source: Path | BinaryIO) -> Header:
    """Container, codec, rate and channels, without decoding. Raises `AudioError` if there is no recording."""
    with _opened(source) as (file, name):
        sound = _open_uncompressed(file)
        if sound is not None:
            with sound:
                return Header(sound.format.lower(), sound.subtype.lower(), sound.samplerate, sound.channels)
        with _open_coded(file, name) as container:
            context = _audio_stream(container, name).codec_context
            return Header(container.format.name, context.name, context.sample_rate, context.channels)


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[tuple[BinaryIO, str]]:
    """The source as an open file, and its name in errors. Raises `AudioError`."""
    if not isinstance(source, Path):
        yield _checked(source, "the recording"), "the recording"
        return
    try:
        file = source.open("rb")
    except FileNotFoundError:
        raise AudioError(f"found no file at {source}; {_WANTED}") from None
    except IsADirectoryError:
        raise AudioError(f"found a folder at {source}; {_WANTED}") from None
    except OSError as error:
        raise AudioError(f"found {source} unreadable ({error.strerror}); {_WANTED}") from None
    with file:
        yield _checked(file, str(source)), str(source)


def _checked(file: BinaryIO, name: str) -> BinaryIO:
    if file.seekable():
        if file.seek(0, 2) == 0:
            raise AudioError(f"found {name} empty; {_WANTED}")
        file.seek(0)
    return file


def _decoded(file: BinaryIO, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Pairs of a rate in hertz and mono samples ``(n,)`` at that rate."""
    sound = _open_uncompressed(file)
    if sound:
        return _read_uncompressed(sound)
    return ((rate_hz, mix_down(frames)) for rate_hz, frames in gathered(_read_coded(file, name)))


def _open_uncompressed(file: BinaryIO) -> soundfile.SoundFile | None:
    """The file opened by libsndfile if it is uncompressed; else None, with the file at its beginning."""
    if not file.seekable():
        return None
    magic = file.read(4)
    file.seek(0)
    if magic not in _UNCOMPRESSED:
        return None
    try:
        sound = soundfile.SoundFile(file)
    except (
        soundfile.LibsndfileError,
        TypeError,
    ):  # AAC in a CAF, or a name that ends in .raw
        file.seek(0)
        return None
    if sound.frames:
        return sound
    sound.close()  # the writer never updated the header; FFmpeg ignores its length and reads to the end
    file.seek(0)
    return None


def _read_uncompressed(sound: soundfile.SoundFile) -> Iterator[tuple[int, np.ndarray]]:
    count = max(1, _READ_VALUES // sound.channels)
    with sound:
        while len(frames := _next_frames(sound, count)):
            yield sound.samplerate, mix_down(frames)


def _next_frames(sound: soundfile.SoundFile, count: int) -> np.ndarray:
    """Up to `count` frames ``(n, channels)``; none at the end, or where damage begins."""
    try:
        frames: np.ndarray = sound.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return np.zeros((0, sound.channels), np.float32)
    return frames


def _open_coded(file: BinaryIO, name: str) -> "av.container.InputContainer":
    try:
        return av.open(file, "r", options={"format_whitelist": _FFMPEG_FORMATS}, metadata_errors="ignore")
    except av.error.FFmpegError:
        raise AudioError(f"found {name} to be no recording, or one cut before its first sample; {_WANTED}") from None


def _read_coded(file: BinaryIO, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """Pairs of a rate in hertz and frames ``(n, channels)`` at that rate, a few milliseconds each."""
    with _open_coded(file, name) as container:
        for frame in _frames(container, _audio_stream(container, name)):
            yield frame.sample_rate, frame_samples(frame)


def _frames(
    container: "av.container.InputContainer", stream: "av.audio.stream.AudioStream"
) -> Iterator["av.AudioFrame"]:
    """The frames of all packets that can be decoded. Damaged packets are skipped; a truncated file just ends."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            continue
        yield from frames


def _audio_stream(container: "av.container.InputContainer", name: str) -> "av.audio.stream.AudioStream":
    if not container.streams.audio:
        raise AudioError(f"found {name} without an audio track; {_WANTED}")
    return container.streams.audio[0]


def _header_duration_s(container: "av.container.InputContainer", name: str) -> float | None:
    stream = _audio_stream(container, name)
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / av.time_base


def _resampled(pieces: Iterator[tuple[int, np.ndarray]], name: str) -> Iterator[np.ndarray]:
    """The pieces at 16 kHz, with a new resampler for each rate: AAC and chained Ogg may change it in the middle."""
    resampler, current_hz, received = StreamResampler(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ, 0
    for rate_hz, mono in pieces:
        if rate_hz != current_hz:
            _check_rate(rate_hz, name)
            yield resampler.flush()
            resampler, current_hz = StreamResampler(rate_hz), rate_hz
        received += len(mono)
        yield resampler.process(mono)
    if not received:
        raise AudioError(f"found {name} without any samples; {_WANTED}")
    yield resampler.flush()


def _check_rate(rate_hz: int, name: str) -> None:
    if not MIN_FILE_RATE_HZ <= rate_hz <= MAX_FILE_RATE_HZ:
        wanted = f"wanted {MIN_FILE_RATE_HZ} to {MAX_FILE_RATE_HZ} Hz"
        raise AudioError(f"found {name} to have a sample rate of {rate_hz} Hz; {wanted}")


def _blocks(pieces: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """The same samples in blocks of `size`, and a shorter last one."""
    kept: list[np.ndarray] = []
    count = 0
    for piece in pieces:
        kept.append(piece)
        count += len(piece)
        if count >= size:
            joined = np.concatenate(kept)
            whole = count // size * size
            yield from np.split(joined[:whole], whole // size)
            kept, count = [joined[whole:]], count - whole
    if count:
        yield np.concatenate(kept)
