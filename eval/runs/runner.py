"""Runs utterances in the modes offline, replay and live, and collects a trace of each.

A recording that cannot be read is reported and left out; the run continues.
"""

import os
import time
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

Key = tuple[str, str, str, str, int]


def key_of(trace: Trace) -> Key:
    """Model, mode, data set, utterance, repeat: a run has each combination once."""
    return trace.model, trace.mode, trace.dataset, trace.utterance, trace.repeat


@dataclass
class TraceCollector:
    """The traces and problems of a run so far. Each trace is appended to ``file`` (if given) when it is complete.

    ``traces`` begins with those of an earlier, interrupted run. ``references`` has word times if the run aligns.
    """

    bar: Bar
    file: Path | None = None
    traces: list[Trace] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    references: References = field(default_factory=References)

    def __post_init__(self) -> None:
        self._done = {key_of(trace) for trace in self.traces}

    def lacks(self, utterance: Utterance, mode: str, model: str, repeat: int = 0) -> bool:
        """True unless an earlier run left this trace."""
        return (model, mode, utterance.dataset, utterance.id, repeat) not in self._done

    def add(self, trace: Trace) -> None:
        """Keeps the trace, writes it, and advances the progress bar."""
        self.traces.append(trace)
        if self.file:
            write_traces(self.file, [trace])
        self.bar.advance(trace.duration_s)
        if trace.error:
            self.bar.say(f"{trace.utterance} failed: {trace.error}")

    def leave_out(self, problem: Problem) -> None:
        """Keeps the problem and reports it."""
        self.problems.append(problem)
        self.bar.say(f"left out: {problem}")

    def check(self) -> None:
        """Raises `CallerError` if there is nothing to score."""
        if not self.traces:
            first = (
                f"could be read; the first: {self.problems[0]}" if self.problems else "is in a language of the model"
            )
            raise CallerError(f"none of the recordings {first}")
        if all(trace.error for trace in self.traces):
            raise CallerError(f"all {len(self.traces)} streams failed; the first error: {self.traces[0].error}")


def parse_modes(text: str) -> tuple[str, ...]:
    """Modes separated by commas, duplicates dropped. Raises `ConfigError`."""
    modes = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not modes or not set(modes) <= set(MODES):
        raise ConfigError(f"found modes {text!r}, wanted some of {', '.join(MODES)}")
    return modes


def run_in_process(
    utterances: Sequence[Utterance],
    modes: Sequence[str],
    engine: "Engine",
    settings: SessionSettings,
    collector: TraceCollector,
) -> None:
    """Runs each utterance in each of `modes` except live, one recording in memory at a time.

    Skips what `collector` already has.
    """
    run_in_turns([Turn(engine, utterances)], modes, settings, collector)


@dataclass(frozen=True, slots=True)
class Turn:
    """One model of several that take turns. ``peak_memory_bytes``: of this model alone; None: as measured."""

    engine: "Engine"
    utterances: Sequence[Utterance]
    peak_memory_bytes: int | None = None


def run_in_turns(
    turns: Sequence[Turn],
    modes: Sequence[str],
    settings: SessionSettings,
    collector: TraceCollector,
    repeat: int = 0,
) -> None:
    """Runs all models over their utterances, recording by recording, in each of `modes` except live.

    A slow minute of the machine then falls on all models alike. With each recording another model is first, as the
    first one finds the caches cold. Skips what `collector` already has.
    """
    runners = {mode: {OFFLINE: offline, REPLAY: replay}[mode] for mode in modes if mode != LIVE}
    taken = [set(turn.utterances) for turn in turns]

    def due(utterance: Utterance, first: int = 0) -> list[tuple[Turn, str]]:
        order = [(first + i) % len(turns) for i in range(len(turns))]
        mine = [turns[i] for i in order if utterance in taken[i]]
        pairs = ((turn, mode) for mode in runners for turn in mine)
        return [(turn, mode) for turn, mode in pairs if collector.lacks(utterance, mode, turn.engine.name, repeat)]

    everything = dict.fromkeys(utterance for turn in turns for utterance in turn.utterances)
    for place, recording in enumerate(read_recordings((u for u in everything if due(u)), collector)):
        for turn, mode in due(recording.utterance, place):
            began_s = time.time()
            try:
                trace = runners[mode](recording, turn.engine, settings)
            except CallerError as error:  # such as samples that are not finite; the next recording may be fine
                collector.leave_out(Problem(recording.utterance.clips[0].audio, 0, str(error)))
                continue
            peak = turn.peak_memory_bytes or peak_memory_bytes(os.getpid())
            collector.add(replace(trace, peak_memory_bytes=peak, repeat=repeat, began_s=began_s))


def run_live(
    recordings: Sequence[Recording],
    target: Target,
    pid: int | None,
    streams: int,
    collector: TraceCollector,
    streamer: Streamer | None = None,
    repeat: int = 0,
) -> None:
    """Streams all recordings to a server, `streams` at a time; `streamer` replaces the wire, for a peer's server.

    A trace's CPU time is what the server used since the previous trace was complete. So the sum is exact, but a single
    value only with one stream at a time.
    """
    before_s = None if pid is None else process_cpu_s(pid)

    def on_trace(trace: Trace) -> None:
        nonlocal before_s
        began_s = time.time() - trace.end_wall_s
        trace = replace(trace, streams=streams, repeat=repeat, began_s=began_s)
        if pid is not None and before_s is not None:
            now_s = process_cpu_s(pid)
            trace = replace(trace, cpu_s=now_s - before_s, peak_memory_bytes=peak_memory_bytes(pid))
            before_s = now_s
        collector.add(trace)

    run_load(target, recordings, streams, on_trace, streamer=streamer)


def read_recordings(utterances: Iterable[Utterance], collector: TraceCollector) -> Iterator[Recording]:
    """Reads one recording at a time, with word times if the run aligns; leaves out what cannot be decoded."""
    for utterance in utterances:
        try:
            recording = read(utterance)
        except AudioError as error:
            collector.leave_out(unreadable(utterance, error))
            continue
        yield collector.references.with_word_times(recording)
