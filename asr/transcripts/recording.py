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

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from asr.audio.files import read_blocks
from asr.audio.tracks import OnNotice, ignored
from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.engine import Engine
from asr.events import Event, Final
from asr.models.base import Hypothesis, Piece, Window
from asr.streaming.commit import in_stream_time
from asr.streaming.session import Session
from asr.streaming.utterance import words_of
from asr.transcripts.formats import Transcript, segments_from_finals


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

Source = Path | str | BinaryIO | np.ndarray
"""A path, an open binary file, or mono float32 samples ``(n,)`` at 16 kHz."""


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
    windows: list[Window] = []
    hypotheses: list[Hypothesis] = []
    for block in blocks(source, on_notice):
        session.receive_audio(block)
        windows += windows_of(session, engine)
        while len(windows) >= BATCH_WINDOWS:
            hypotheses += recognised(windows[:BATCH_WINDOWS], engine)
            del windows[:BATCH_WINDOWS]
        if on_progress:
            on_progress(session.received_s - sum(map(seconds_of, windows)))
    session.receive_end()
    windows += windows_of(session, engine)
    hypotheses += recognised(windows, engine) if windows else []
    return transcript_of(filled(session.take_events(), hypotheses), engine, session.received_s)


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


def recognised(windows: Sequence[Window], engine: Engine) -> list[Hypothesis]:
    """The hypotheses of the windows, without the decoder's memory, which nobody continues: 15 MB per window."""
    return [replace(hypothesis, memory=None) for hypothesis in engine.recogniser.recognise(windows)]


def filled(events: Iterable[Event], hypotheses: Sequence[Hypothesis]) -> list[Event]:
    """The session's finals with the words of their windows, in order. Finals without a window stay empty."""
    answers = iter(hypotheses)
    finals: list[Event] = []
    floor_s = 0.0
    for final in events:
        if not isinstance(final, Final):
            continue
        if not final.words:
            finals.append(final)
            continue
        hypothesis = next(answers)
        pieces = in_stream_time(hypothesis.pieces, final.words[0].start_s, floor_s)
        floor_s = pieces[-1].end_s if pieces else floor_s
        finals.append(replace(final, words=words_of(pieces), language=hypothesis.language))
    return finals


def seconds_of(window: Window) -> float:
    """The length of the window's audio."""
    return len(window.samples) / SAMPLE_RATE_HZ


def offline_settings(
    settings: SessionSettings | None = None, *, beam_size: int | None = None, fallback: bool = False
) -> SessionSettings:
    """Settings for recordings, from those of a stream.

    Utterances end after a longer silence, since nobody waits for the words, and windows are shorter, since they do not
    grow. `fallback`: decode again at `FALLBACK_TEMPERATURES` where the model is unsure.
    """
    base = settings or SessionSettings()
    decode = replace(
        base.decode,
        beam_size=beam_size or base.decode.beam_size,
        fallback_temperatures=FALLBACK_TEMPERATURES if fallback else base.decode.fallback_temperatures,
    )
    stream = replace(base.stream, window_max_s=min(base.stream.window_max_s, base.stream.file_window_s))
    return replace(base, vad=replace(base.vad, endpoint_ms=base.vad.file_endpoint_ms), stream=stream, decode=decode)


def transcript_of(events: Iterable[Event], engine: Named, duration_s: float) -> Transcript:
    """The transcript of a session's events. Its language is that of most words."""
    finals = [event for event in events if isinstance(event, Final)]
    segments = segments_from_finals(finals)
    words: dict[str, int] = {}
    for final in finals:
        words[final.language] = words.get(final.language, 0) + len(final.words)
    return Transcript(
        text="".join(final.text for final in finals).strip(),
        language=max(words, key=lambda code: words[code]) if words else "",
        duration_s=duration_s,
        segments=segments,
        model=engine.name,
        weights_sha256=engine.weights_sha256,
    )


def blocks(source: Source, on_notice: OnNotice = ignored) -> Iterator[np.ndarray]:
    """The samples of a source in blocks ``(n,)`` of at most 10 s. Raises `AudioError`."""
    if not isinstance(source, np.ndarray):
        yield from read_blocks(Path(source) if isinstance(source, str) else source, on_notice=on_notice)
        return
    for start in range(0, len(source), 10 * SAMPLE_RATE_HZ):
        yield source[start : start + 10 * SAMPLE_RATE_HZ]
