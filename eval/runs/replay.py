"""Streams an utterance to a session in this process and records a trace. Simulates waiting instead of sleeping.

`replay` has two clocks: audio time, and the wall time of a worker that serves this one stream at real-time pace. A
chunk arrives when its last sample is spoken. Work on it starts when the worker is free and takes as long as measured:
``wall_s = max(arrival, worker free) + measured``. The session always receives the chunks in order, so the text does not
depend on the machine's speed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.events import Event
from asr.normalisation.normalise import base_language
from eval.data.speech_bounds import speech_bounds
from eval.data.types import Recording, Utterance
from eval.runs.process_usage import own_cpu_s
from eval.trace import OFFLINE, REPLAY, Entry, Trace
from server.client.protocol import CHUNK_S

if TYPE_CHECKING:  # both import torch, which reading old traces does not need
    from asr.engine import Engine
    from asr.streaming.session import Session

Timer = Callable[[], float]


def offline(
    recording: Recording,
    engine: "Engine",
    settings: SessionSettings | None = None,
    *,
    timer: Timer = time.perf_counter,
) -> Trace:
    """One-shot: all audio in one call at wall time 0, no partials, the settings of `asr transcribe`."""
    from asr.transcripts.recording import offline_settings

    session = _open(recording, engine, offline_settings(settings), partials=False)
    worker = _Worker(engine, session, timer)
    worker.serve(lambda: session.receive_audio(recording.samples), arrival_s=0.0)
    worker.serve(session.receive_end, arrival_s=0.0)
    return worker.trace(recording, OFFLINE, 0.0)


def replay(
    recording: Recording,
    engine: "Engine",
    settings: SessionSettings | None = None,
    *,
    chunk_s: float = CHUNK_S,
    timer: Timer = time.perf_counter,
) -> Trace:
    """Like a live stream: chunk by chunk, stepping after each chunk until the session is not ready."""
    session = _open(recording, engine, settings, partials=True)
    worker = _Worker(engine, session, timer)
    for chunk, arrival_s in chunks(recording.samples, chunk_s):
        worker.serve(partial(session.receive_audio, chunk), arrival_s)
    worker.serve(session.receive_end, recording.duration_s)
    return worker.trace(recording, REPLAY, recording.duration_s)


def chunks(
    samples: np.ndarray, chunk_s: float = CHUNK_S, cut_s: float | None = None
) -> Iterator[tuple[np.ndarray, float]]:
    """Samples ``(n,)`` -> chunks ``(chunk,)``, each with the time in seconds at which its last sample is spoken.

    With `cut_s` the chunk around that time is cut in two there.
    """
    edges = {*range(0, len(samples), round(chunk_s * SAMPLE_RATE_HZ)), len(samples)}
    if cut_s is not None:
        edges.add(min(round(cut_s * SAMPLE_RATE_HZ), len(samples)))
    for start, end in pairwise(sorted(edges)):
        yield samples[start:end], end / SAMPLE_RATE_HZ


def trace_of(recording: Recording, mode: str, model: str, entries: Sequence[Entry], end_wall_s: float) -> Trace:
    """A trace of this recording. The caller adds cost, weights hash and error."""
    utterance = recording.utterance
    speech = speech_bounds(recording.samples)
    return Trace(
        dataset=utterance.dataset,
        utterance=utterance.id,
        mode=mode,
        model=model,
        language=utterance.language,
        reference=utterance.text,
        duration_s=recording.duration_s,
        end_wall_s=end_wall_s,
        entries=tuple(entries),
        speaker=utterance.speaker,
        reference_words=recording.words,
        reference_segments=recording.segments if len(recording.segments) > 1 else (),
        aligner=recording.aligner,
        attributes=utterance.attributes,
        audio=_whole_file(utterance),
        speech_start_s=None if speech is None else speech.start_s,
        speech_end_s=None if speech is None else speech.end_s,
    )


def _whole_file(utterance: Utterance) -> str:
    """The audio file's path if the utterance is exactly that file; else ""."""
    clips = utterance.clips
    whole = len(clips) == 1 and clips[0].offset_s is None and utterance.overlay is None
    return str(clips[0].audio.resolve()) if whole else ""


@dataclass(slots=True)
class _Worker:
    """One worker that serves one session on a simulated wall clock."""

    engine: "Engine"
    session: "Session"
    timer: Timer
    entries: list[Entry] = field(default_factory=list)
    free_s: float = 0.0
    busy_s: float = 0.0
    cpu_s: float = 0.0

    def serve(self, receive: Callable[[], None], arrival_s: float) -> None:
        """Passes input to the session and runs the steps that are then due."""
        self._work(receive, arrival_s)
        while self.session.ready:
            self._work(self._step, arrival_s)

    def trace(self, recording: Recording, mode: str, end_wall_s: float) -> Trace:
        """The trace of the recorded events, with the cost."""
        trace = trace_of(recording, mode, self.engine.name, self.entries, end_wall_s)
        return replace(trace, cpu_s=self.cpu_s, busy_s=self.busy_s, weights_sha256=self.engine.weights_sha256)

    def _step(self) -> None:
        self.engine.step([self.session])

    def _work(self, do: Callable[[], None], arrival_s: float) -> None:
        """Runs `do`, advances the clock by the measured time, and records the session's new events at its end."""
        cpu_s, began = own_cpu_s(), self.timer()
        do()
        events: list[Event] = self.session.take_events()
        took_s = self.timer() - began
        self.cpu_s += own_cpu_s() - cpu_s
        self.busy_s += took_s
        self.free_s = max(arrival_s, self.free_s) + took_s
        self.entries += [Entry(event, self.session.received_s, self.free_s) for event in events]


def _open(recording: Recording, engine: "Engine", settings: SessionSettings | None, partials: bool) -> "Session":
    language = base_language(recording.utterance.language) or None
    return engine.open(settings or SessionSettings(), language=language, partials=partials)
