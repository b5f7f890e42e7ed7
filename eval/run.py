"""Running: utterances through the modes, one trace after the other. Broken recordings are reported, never fatal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.config import SessionSettings
from asr.errors import AudioError, CallerError, ConfigError
from eval.dataset import Problem, Recording, Utterance, read
from eval.load import Target, run_load
from eval.progress import Bar
from eval.replay import LIVE, OFFLINE, REPLAY, offline, replay
from eval.throughput import process_cpu_s
from eval.trace import Trace, write_traces

if TYPE_CHECKING:
    from asr.engine import Engine

MODES = (OFFLINE, REPLAY, LIVE)


@dataclass(slots=True)
class Findings:
    """What a run has found so far; each trace is in ``file``, where there is one, as soon as it is known."""

    bar: Bar
    file: Path | None = None
    traces: list[Trace] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def keep(self, trace: Trace) -> None:
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
    findings: Findings,
) -> None:
    """Each utterance in each of `modes` that needs no server, in that order; one recording in memory at a time."""
    runners = [{OFFLINE: offline, REPLAY: replay}[mode] for mode in modes if mode != LIVE]
    for recording in readable(utterances, findings):
        for runner in runners:
            findings.keep(runner(recording, engine, settings))


def run_live(
    recordings: Sequence[Recording], target: Target, pid: int | None, streams: int, findings: Findings
) -> None:
    """All recordings over the wire, `streams` at a time.

    A trace's CPU time is the server's since the trace before it was complete: sums are right with any number of
    streams, single ones only with one.
    """
    spent_s = None if pid is None else process_cpu_s(pid)

    def done(trace: Trace) -> None:
        nonlocal spent_s
        if pid is not None and spent_s is not None:
            now_s = process_cpu_s(pid)
            trace, spent_s = replace(trace, cpu_s=now_s - spent_s), now_s
        findings.keep(trace)

    run_load(target, recordings, streams, done)


def readable(utterances: Iterable[Utterance], findings: Findings) -> Iterator[Recording]:
    """The recordings that can be read; the others are left out."""
    for utterance in utterances:
        try:
            recording = read(utterance)
        except AudioError as error:
            findings.leave_out(Problem(utterance.clips[0].audio, 0, str(error)))
            continue
        yield recording
