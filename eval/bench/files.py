"""Recordings as files, one after the other: ours and a peer in turns on the same weights."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.events import Final, Word
from asr.normalisation.normalise import base_language
from eval.bench.peers.transcribers import FASTER_WHISPER, Transcriber, faster_whisper
from eval.bench.tables import OURS
from eval.data.types import Recording
from eval.runs.process_usage import own_cpu_s
from eval.runs.replay import trace_of
from eval.runs.runner import TraceCollector
from eval.trace import OFFLINE, Entry, Trace

if TYPE_CHECKING:
    from asr.engine import Engine


@contextmanager
def transcribers(
    engine: "Engine", model: str, against: str | None, threads: int | None
) -> Iterator[dict[str, Transcriber]]:
    """The systems to measure by name, ours first."""
    from asr.transcripts.recording import transcribe

    def ours(file: Path, language: str, _seconds: float) -> str:
        text: str = transcribe(file, engine, language=language or None).text
        return text

    if against is None:
        yield {OURS: ours}
        return
    with faster_whisper(model, threads) as peer:
        yield {OURS: ours, FASTER_WHISPER: peer}


def alternate(recordings: Iterator[Recording], systems: Mapping[str, Transcriber], collector: TraceCollector) -> None:
    """Runs each recording through each system, in reverse order every other time.

    A machine that slows down or warms up then treats the systems alike. The first recording goes through each system
    once before, unmeasured.
    """
    names = list(systems)
    for index, recording in enumerate(recordings):
        if index == 0:
            for name in names:
                measured(name, systems[name], recording)
        for name in names if index % 2 == 0 else reversed(names):
            collector.add(measured(name, systems[name], recording))


def measured(name: str, transcribe: Transcriber, recording: Recording) -> Trace:
    """One file from disk to text, as a trace with the system as its model."""
    utterance = recording.utterance
    cpu_s, began = own_cpu_s(), time.perf_counter()
    text = transcribe(utterance.clips[0].audio, base_language(utterance.language), recording.duration_s)
    busy_s, cpu_s = time.perf_counter() - began, own_cpu_s() - cpu_s
    return text_trace(name, recording, text, busy_s=busy_s, cpu_s=cpu_s)


def text_trace(name: str, recording: Recording, text: str, *, busy_s: float, cpu_s: float) -> Trace:
    """A trace whose only final is the whole text; without text it has no words."""
    duration_s = recording.duration_s
    words = (Word(text, 0.0, duration_s, 0.0),) if text else ()
    final = Final(words, 0.0, duration_s, recording.utterance.language, ends_utterance=True)
    trace = trace_of(recording, OFFLINE, name, [Entry(final, duration_s, busy_s)], 0.0)
    return replace(trace, cpu_s=cpu_s, busy_s=busy_s)
