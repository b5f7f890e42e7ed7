"""Recordings in files of any format -> mono float32 at 16 kHz, block by block.

libsndfile reads uncompressed files, FFmpeg (through PyAV) all compressed ones. libsndfile can decode some of those too,
but it stops after the first link of a chained Ogg and at the first damaged FLAC frame, does not open a truncated Ogg,
and takes 2.6 times as long for Opus.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from asr.audio.downmix import OneChannel, StreamDownmix, mixed_down
from asr.audio.pcm import AudioForm, channel_names, gathered
from asr.audio.resample import StreamResampler
from asr.audio.tracks import WANTED, OnNotice, best_track, header_duration_s, ignored, open_container, read_tracks
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError

MIN_FILE_RATE_HZ, MAX_FILE_RATE_HZ = 8_000, 192_000
MAX_FILE_CHANNELS = 64
"""A mixing desk's. Time and memory for watching channels that cancel each other grow with the square of their number:
1,024 channels would take 0.3 GB for each 20 ms."""

_UNCOMPRESSED = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"caff")
"""First bytes of WAV (three kinds), W64, AIFF, AU and CAF."""
_READ_VALUES = 1 << 17
"""Values (samples times channels) in one read."""


def read_blocks(
    source: Path | BinaryIO, block_s: float = 10.0, on_notice: OnNotice = ignored, *, channel: int | None = None
) -> Generator[np.ndarray, None, None]:
    """Any recording -> mono float32 blocks ``(n,)`` at 16 kHz. Each lasts `block_s`, the last one may be shorter.

    `source` is a path, or an open binary file, which is read from its beginning and left open. Blocks are decoded when
    the caller asks for them. A damaged or truncated recording gives the samples that can be decoded. Samples lie at the
    times that the container gives them, counted from its beginning; what is missing there is silence. `on_notice` is
    called with a sentence on which of several audio tracks was read, and on channels that cancel each other. With
    `channel`, counted from 0, the samples are those of one channel instead of the mix.

    Raises `AudioError`, at the first block or later: no file, no audio in it, no samples, a sample rate that is not
    supported, or NaN or infinite samples.
    """
    with _opened(source) as (file, name):
        mixer = StreamDownmix() if channel is None else OneChannel(channel)
        mono = mixed_down(_checked_forms(_decoded(file, name, on_notice), name), mixer)
        yield from _blocks(_resampled(mono, name), round(block_s * SAMPLE_RATE_HZ))
        if mixer.notice:
            on_notice(mixer.notice)


def duration_s(source: Path | BinaryIO) -> float | None:
    """Length from the header, without decoding; None if the header has none, as in browsers' recordings.

    Raises `AudioError` if there is no recording.
    """
    with _opened(source) as (file, name):
        sound = _open_uncompressed(file)
        if sound is not None:
            with sound:
                return float(sound.frames / sound.samplerate)
        with open_container(file, name) as container:
            return header_duration_s(container, name)


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
        with open_container(file, name) as container:
            context = best_track(container, name).codec_context
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
        raise AudioError(f"found no file at {source}; {WANTED}") from None
    except IsADirectoryError:
        raise AudioError(f"found a folder at {source}; {WANTED}") from None
    except OSError as error:
        raise AudioError(f"found {source} unreadable ({error.strerror}); {WANTED}") from None
    with file:
        yield _checked(file, str(source)), str(source)


def _checked(file: BinaryIO, name: str) -> BinaryIO:
    if file.seekable():
        if file.seek(0, 2) == 0:
            raise AudioError(f"found {name} empty; {WANTED}")
        file.seek(0)
    return file


def _decoded(file: BinaryIO, name: str, on_notice: OnNotice) -> Iterator[tuple[AudioForm, np.ndarray]]:
    """Pairs of a form and frames ``(n, channels)``."""
    sound = _open_uncompressed(file)
    if sound:
        return _read_uncompressed(sound, AudioForm(sound.samplerate, _channel_names(file, sound)))
    return gathered(read_tracks(file, name, on_notice))


def _channel_names(file: BinaryIO, sound: soundfile.SoundFile) -> tuple[str, ...]:
    """Those of surround sound, which libsndfile does not give; the file's position stays."""
    if sound.channels < 3:
        return ()
    place = file.tell()
    file.seek(0)
    try:
        with open_container(file, "") as container:
            return channel_names(best_track(container, "").codec_context.layout)
    except AudioError:
        return ()
    finally:
        file.seek(place)


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


def _read_uncompressed(sound: soundfile.SoundFile, form: AudioForm) -> Iterator[tuple[AudioForm, np.ndarray]]:
    count = max(1, _READ_VALUES // sound.channels)
    with sound:
        while len(frames := _next_frames(sound, count)):
            yield form, frames


def _next_frames(sound: soundfile.SoundFile, count: int) -> np.ndarray:
    """Up to `count` frames ``(n, channels)``; none at the end, or where damage begins."""
    try:
        frames: np.ndarray = sound.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        return np.zeros((0, sound.channels), np.float32)
    return frames


def _resampled(pieces: Iterable[tuple[int, np.ndarray]], name: str) -> Iterator[np.ndarray]:
    """The pieces at 16 kHz, with a new resampler for each rate: AAC and chained Ogg may change it in the middle."""
    resampler, current_hz, received = StreamResampler(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ, 0
    for rate_hz, mono in pieces:
        if rate_hz != current_hz:
            yield resampler.flush()
            resampler, current_hz = StreamResampler(rate_hz), rate_hz
        received += len(mono)
        yield resampler.process(mono)
    if not received:
        raise AudioError(f"found {name} without any samples; {WANTED}")
    yield resampler.flush()


def _checked_forms(pieces: Iterable[tuple[AudioForm, np.ndarray]], name: str) -> Iterator[tuple[AudioForm, np.ndarray]]:
    """The same pieces. Raises `AudioError` for a rate or channels out of range, before any time is spent on them."""
    for form, frames in pieces:
        if not MIN_FILE_RATE_HZ <= form.rate_hz <= MAX_FILE_RATE_HZ:
            wanted = f"wanted {MIN_FILE_RATE_HZ} to {MAX_FILE_RATE_HZ} Hz"
            raise AudioError(f"found {name} to have a sample rate of {form.rate_hz} Hz; {wanted}")
        if frames.shape[1] > MAX_FILE_CHANNELS:
            raise AudioError(f"found {name} to have {frames.shape[1]} channels; wanted at most {MAX_FILE_CHANNELS}")
        yield form, frames


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
