"""Running: utterances through the modes, one trace after the other. Broken recordings are reported, never fatal."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.config import SessionSettings
from asr.errors import AudioError, CallerError, ConfigError
from eval.data.dataset import read
from eval.data.types import Problem, Recording, Utterance, unreadable
from eval.progress import Bar
from eval.runs.align_references import References
from eval.runs.live import Streamer, Target, run_load
from eval.runs.process_usage import peak_memory_bytes, process_cpu_s
from eval.runs.replay import offline, replay
from eval.trace import LIVE, MODES, OFFLINE, REPLAY, Trace, write_traces

if TYPE_CHECKING:
    from asr.engine import Engine

Key = tuple[str, str, str, str]


def key_of(trace: Trace) -> Key:
    """What a run has once: model, mode, data set, utterance."""
    return trace.model, trace.mode, trace.dataset, trace.utterance


@dataclass
class TraceCollector:
    """What a run has found so far; each trace is in ``file``, where there is one, as soon as it is known.

    ``traces`` begins with those that an earlier, unfinished run left. ``references``: the words' times, where they were
    looked for.
    """

    bar: Bar
    file: Path | None = None
    traces: list[Trace] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    references: References = field(default_factory=References)

    def __post_init__(self) -> None:
        self._done = {key_of(trace) for trace in self.traces}

    def lacks(self, utterance: Utterance, mode: str, model: str) -> bool:
        return (model, mode, utterance.dataset, utterance.id) not in self._done

    def add(self, trace: Trace) -> None:
        self.traces.append(trace)
        if self.file:
            write_traces(self.file, [trace])
        self.bar.advance(trace.duration_s)
        if trace.error:
            self.bar.say(f"{trace.utterance} broke: {trace.error}")

    def leave_out(self, problem: Problem) -> None:
        self.problems.append(problem)
        self.bar.say(f"left out: {problem}")

    def check(self) -> None:
        """Raises `CallerError` when there is nothing to score."""
        if not self.traces:
            raise CallerError(f"none of the recordings could be read; the first: {self.problems[0]}")
        if all(trace.error for trace in self.traces):
            raise CallerError(f"all {len(self.traces)} streams failed; the first said: {self.traces[0].error}")


def parse_modes(text: str) -> tuple[str, ...]:
    """Modes from a comma list, each once. Raises `ConfigError`."""
    modes = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not modes or not set(modes) <= set(MODES):
        raise ConfigError(f"found modes {text!r}, wanted some of {', '.join(MODES)}")
    return modes


def run_in_process(
    utterances: Iterable[Utterance],
    modes: Sequence[str],
    engine: "Engine",
    settings: SessionSettings,
    collector: TraceCollector,
) -> None:
    """Each utterance in each of `modes` that needs no server, in that order; one recording in memory at a time.

    What `collector` has already is not run again.
    """
    runners = {mode: {OFFLINE: offline, REPLAY: replay}[mode] for mode in modes if mode != LIVE}

    def due(utterance: Utterance) -> list[str]:
        return [mode for mode in runners if collector.lacks(utterance, mode, engine.name)]

    for recording in read_recordings((u for u in utterances if due(u)), collector):
        for mode in due(recording.utterance):
            try:
                trace = runners[mode](recording, engine, settings)
            except CallerError as error:  # samples that are no sound, say: the next recording may be one
                collector.leave_out(Problem(recording.utterance.clips[0].audio, 0, str(error)))
                continue
            collector.add(replace(trace, peak_memory_bytes=peak_memory_bytes(os.getpid())))


def run_live(
    recordings: Sequence[Recording],
    target: Target,
    pid: int | None,
    streams: int,
    collector: TraceCollector,
    streamer: Streamer | None = None,
) -> None:
    """All recordings over the wire, `streams` at a time; a `streamer` of its own for a peer's.

    A trace's CPU time is the server's since the trace before it was complete: sums are right with any number of
    streams, single ones only with one.
    """
    spent_s = None if pid is None else process_cpu_s(pid)

    def done(trace: Trace) -> None:
        nonlocal spent_s
        trace = replace(trace, streams=streams)
        if pid is not None and spent_s is not None:
            now_s = process_cpu_s(pid)
            trace = replace(trace, cpu_s=now_s - spent_s, peak_memory_bytes=peak_memory_bytes(pid))
            spent_s = now_s
        collector.add(trace)

    run_load(target, recordings, streams, done, streamer=streamer)


def read_recordings(utterances: Iterable[Utterance], collector: TraceCollector) -> Iterator[Recording]:
    """The recordings that can be read; the others are left out."""
    for utterance in utterances:
        try:
            recording = read(utterance)
        except AudioError as error:
            collector.leave_out(unreadable(utterance, error))
            continue
        yield collector.references.placed(recording)
