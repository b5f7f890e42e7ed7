"""One recording of any length -> a transcript, with the same Session and Engine as a live stream.

Nobody waits for the words of a recording, so its windows need not depend on each other's texts: voice activity alone
decides where they are, and many are recognised in one batch. `windows_of` asks a session for all windows and answers
each with a placeholder, one empty piece as long as the window. The session's finals then say where each window is and
where utterances end. `filled` puts the recognised words into those finals, at the times that the session would have
given them (a test compares the two).

Recordings are transcribed in four places, all with the settings of `offline_settings`:

    transcribe, here      one recording after another in this process, in batches of its own windows
    batch.dispatch        many recordings and worker processes, in batches across recordings, with the parts below
    server.http.service   uploads among live streams: one session each, a step at a time, since a batch of a whole
                          recording would delay every live word behind it
    eval.runs.replay      one session, a step at a time, because a trace needs the time of every step
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO, TextIOBase
from os import PathLike
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from asr.audio.files import read_blocks
from asr.audio.tracks import OnNotice, ignored
from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.engine import Engine
from asr.errors import AudioError, ConfigError
from asr.events import Event, Final
from asr.models.base import Finality, Hypothesis, Piece, Window
from asr.streaming.commit import beginning_a_word, in_stream_time
from asr.streaming.session import Session
from asr.streaming.unread import first_gap, without_doubtful
from asr.streaming.utterance import words_of
from asr.transcripts.doubts import doubts
from asr.transcripts.formats import Transcript, main_language, segments_from_finals


class Named(Protocol):
    """What a transcript records about its model; every engine has it."""

    @property
    def name(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...


FALLBACK_TEMPERATURES = (0.2, 0.4, 0.6, 0.8, 1.0)
"""The published ones (openai/whisper, ``transcribe.py``)."""

BATCH_WINDOWS = 24
"""Windows in one batch. The decoder's memory grows with their total length."""
FIRST_BATCH_WINDOWS = 4
"""Windows in the first batch; each next one has twice as many. So the first words of a long recording come soon."""

_LOUDEST = 64.0
"""Floats beyond it are whole numbers of 16 or 24 bits: recordings that were not limited go to 4 or so."""

Source = Path | str | bytes | BinaryIO | np.ndarray
"""A path, a file's bytes, an open binary file, or mono samples ``(n,)`` at 16 kHz: floats from -1 to 1, or int16."""


def transcribe(
    source: Source,
    engine: Engine,
    *,
    language: str | None = None,
    prompt: str = "",
    hotwords: Sequence[str] = (),
    settings: SessionSettings | None = None,
    on_progress: Callable[[float], None] | None = None,
    on_notice: OnNotice = ignored,
) -> Transcript:
    """The transcript of a recording. `on_progress` is called with the seconds of audio done so far.

    `on_notice` is called with what the user should know about the file, such as which audio track was read.

    Raises `AudioError` for a source that cannot be decoded, and `ConfigError` for a language that the model does not
    know or an option that it does not support.
    """
    session = engine.open(
        settings or offline_settings(), language=language, prompt=prompt, hotwords=hotwords, partials=False
    )
    finals = list(finals_of(source, engine, session, on_progress, on_notice))
    transcript = transcript_of(finals, engine, session.received_s)
    for doubt in doubts(finals, engine):
        on_notice(doubt)
    return transcript


def finals_of(
    source: Source,
    engine: Engine,
    session: Session,
    on_progress: Callable[[float], None] | None = None,
    on_notice: OnNotice = ignored,
) -> Iterator[Final]:
    """The finals of a recording, as its batches of windows are recognised. The session is new, and belongs to this."""
    gap_s = session.settings.stream.gap_s
    filling = Filling()
    windows: list[Window] = []
    count = FIRST_BATCH_WINDOWS
    for block in blocks(source, on_notice):
        session.receive_audio(block)
        windows += windows_of(session, engine)
        while len(windows) >= count:
            yield from filling.filled(session.take_events(), recognised(windows[:count], engine, gap_s))
            del windows[:count]
            count = min(2 * count, BATCH_WINDOWS)
        if on_progress:
            on_progress(session.received_s - sum(map(seconds_of, windows)))
    session.receive_end()
    windows += windows_of(session, engine)
    yield from filling.filled(session.take_events(), recognised(windows, engine, gap_s) if windows else ())


def windows_of(session: Session, engine: Engine) -> Iterator[Window]:
    """The windows that a session can form from the audio it has, each answered with a placeholder (see above)."""
    while session.ready:
        while session.pending_frames:
            engine.detect_speech([session])
        window = session.next_window()
        if window is None:
            return
        yield window
        whole = Piece("", (), 0.0, seconds_of(window), 0.0)
        session.receive_hypothesis(Hypothesis((whole,), window.language or ""))


@dataclass(frozen=True, slots=True)
class Part:
    """The hypothesis of a part of a window that begins ``start_s`` after it."""

    start_s: float
    hypothesis: Hypothesis


def recognised(windows: Sequence[Window], engine: Engine, gap_s: float) -> list[tuple[Part, ...]]:
    """The hypotheses of the windows, without the decoder's memory, which nobody continues: 15 MB per window.

    Where the language changes, or speech is left out (more than `gap_s`, see `StreamSettings`), the rest of a window is
    decoded as one of its own.
    """
    parts: list[list[Part]] = [[] for _ in windows]
    least_s = gap_s if engine.recogniser.finality is Finality.AGREEMENT else math.inf
    todo = [_Todo(i, window) for i, window in enumerate(windows)]
    while todo:
        hypotheses = engine.recogniser.recognise([item.window for item in todo])
        rests: list[_Todo] = []
        for item, hypothesis in zip(todo, hypotheses, strict=True):
            part, rest = item.read(hypothesis, least_s)
            parts[item.index] += part
            rests += rest
        todo = rests
    return [tuple(sorted(own, key=lambda part: part.start_s)) for own in parts]


@dataclass(frozen=True, slots=True)
class _Todo:
    """A window to be decoded, or a part of it that begins at ``start_s``. A gap that it begins in ends at ``gap_s``."""

    index: int
    window: Window
    start_s: float = 0.0
    gap_s: float = 0.0

    def read(self, hypothesis: Hypothesis, least_s: float) -> "tuple[list[Part], list[_Todo]]":
        """The words that are believed, and what is to be decoded then, as a session decides it."""
        pieces = without_doubtful(hypothesis.pieces, self.gap_s)
        end_s = seconds_of(self.window) if hypothesis.read_s is None else hypothesis.read_s
        gap = first_gap(pieces, (0.0, end_s), self.window.pauses, least_s, after_s=self.gap_s)
        if gap and not gap.at_s:
            alone = _Todo(self.index, self.window.first(gap.until_s), self.start_s, gap.until_s)
            return [], [alone, self._rest(gap.until_s)]
        if gap:
            pieces = pieces[: gap.words]
        part = Part(self.start_s, replace(hypothesis, pieces=pieces, memory=None))
        if gap:
            return [part], [self._rest(gap.at_s, gap.until_s - gap.at_s)]
        return [part], [self._rest(end_s)] if hypothesis.read_s is not None else []

    def _rest(self, at_s: float, gap_s: float = 0.0) -> "_Todo":
        return _Todo(self.index, self.window.rest(at_s), self.start_s + at_s, gap_s)


def filled(events: Iterable[Event], recognised: Sequence[tuple[Part, ...]]) -> list[Final]:
    """The session's finals with the words of their windows, in order; one for each part. Finals without a window stay
    empty."""
    return list(Filling().filled(events, recognised))


class Filling:
    """Fills the finals of one session, some windows at a time."""

    def __init__(self) -> None:
        self._finals: deque[Final] = deque()
        self._floor_s, self._text = 0.0, ""

    def filled(self, events: Iterable[Event], recognised: Iterable[tuple[Part, ...]]) -> Iterator[Final]:
        """The finals up to the first whose window is not recognised yet. It waits, with those after it."""
        self._finals += (event for event in events if isinstance(event, Final))
        answers = iter(recognised)
        while self._finals:
            parts = next(answers, None) if self._finals[0].words else ()
            if parts is None:
                return
            final = self._finals.popleft()
            if not final.words:
                yield final
            for part in parts:
                yield self._with_words(final, part, is_last=part is parts[-1])

    def _with_words(self, final: Final, part: Part, is_last: bool) -> Final:
        pieces = in_stream_time(part.hypothesis.pieces, final.words[0].start_s + part.start_s, self._floor_s)
        pieces = beginning_a_word(pieces, self._text)
        if pieces:
            self._floor_s, self._text = pieces[-1].end_s, pieces[-1].text
        ends = final.ends_utterance and is_last
        return replace(final, words=words_of(pieces), language=part.hypothesis.language, ends_utterance=ends)


def seconds_of(window: Window) -> float:
    """The length of the window's audio."""
    return len(window.samples) / SAMPLE_RATE_HZ


def offline_settings(
    settings: SessionSettings | None = None, *, beam_size: int | None = None, fallback: bool = False
) -> SessionSettings:
    """Settings for recordings, from those of a stream.

    Utterances end after a longer silence, since nobody waits for the words, and windows are shorter, since they do not
    grow. `fallback`: decode again at `FALLBACK_TEMPERATURES` where the model is unsure. Raises `ConfigError` for a
    beam size below 1.
    """
    if beam_size is not None and beam_size < 1:
        raise ConfigError(f"beam_size: found {beam_size}, wanted 1 or more")
    base = settings or SessionSettings()
    decode = replace(
        base.decode,
        beam_size=beam_size or base.decode.beam_size,
        fallback_temperatures=FALLBACK_TEMPERATURES if fallback else base.decode.fallback_temperatures,
    )
    stream = replace(base.stream, window_max_s=min(base.stream.window_max_s, base.stream.file_window_s))
    return replace(base, vad=replace(base.vad, endpoint_ms=base.vad.file_endpoint_ms), stream=stream, decode=decode)


def translating(settings: SessionSettings) -> SessionSettings:
    """The settings, to write in English what is said in any language.

    No gaps are looked for: where words change places, their times say little about what the model left out.
    """
    stream = replace(settings.stream, gap_s=math.inf)
    return replace(settings, stream=stream, decode=replace(settings.decode, translate=True))


def transcript_of(events: Iterable[Event], engine: Named, duration_s: float) -> Transcript:
    """The transcript of a session's events."""
    finals = [event for event in events if isinstance(event, Final)]
    segments = segments_from_finals(finals)
    return Transcript(
        text="".join(final.text for final in finals).strip(),
        language=main_language(finals),
        duration_s=duration_s,
        segments=segments,
        model=engine.name,
        weights_sha256=engine.weights_sha256,
    )


def blocks(source: Source, on_notice: OnNotice = ignored) -> Iterator[np.ndarray]:
    """The samples of a source in blocks ``(n,)`` of at most 10 s. Raises `AudioError`."""
    if not isinstance(source, np.ndarray):
        yield from read_blocks(_recording(source), on_notice=on_notice)
        return
    samples = mono_floats(source)
    for start in range(0, len(samples), 10 * SAMPLE_RATE_HZ):
        yield samples[start : start + 10 * SAMPLE_RATE_HZ]


def _recording(source: Path | str | bytes | BinaryIO) -> Path | BinaryIO:
    if isinstance(source, str) and "://" in source:
        raise AudioError(f"found the URL {source}, wanted a file on this machine")
    if isinstance(source, str | PathLike):
        return Path(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return BytesIO(source)
    if hasattr(source, "read") and hasattr(source, "seekable") and not isinstance(source, TextIOBase):
        return source
    found = "a file opened as text" if isinstance(source, TextIOBase) else type(source).__name__
    raise AudioError(
        f"found {found}, wanted a path, a file's bytes, a file opened with 'rb', or an array of samples (n,)"
    )


def mono_floats(samples: np.ndarray) -> np.ndarray:
    """Floats of any width from -1 to 1, or int16, ``(n,)`` -> float32 ``(n,)``. Raises `AudioError` for all else."""
    if samples.ndim != 1:
        raise AudioError(f"found an array of shape {samples.shape}, wanted mono samples (n,), the mean of all channels")
    if samples.dtype == np.int16:
        return samples.astype("<f4") / 32_768
    if samples.dtype.kind != "f":
        raise AudioError(f"found samples of type {samples.dtype}, wanted floats from -1 to 1, or int16")
    if samples.size and (largest := float(np.abs(samples).max())) > _LOUDEST:
        raise AudioError(f"found samples up to {largest:.4g}, wanted floats from -1 to 1, or int16")
    return samples.astype("<f4", copy=False)
