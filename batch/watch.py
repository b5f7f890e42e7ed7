"""`--watch`: transcribes files that arrive, once they are complete; journal and guarantees are those of every run."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from asr.audio.files import read_blocks
from asr.errors import AudioError
from batch.backend import Backend, StartBackend
from batch.destination import journal_to_read, outputs_in
from batch.inputs import Failure, Inputs, Recording
from batch.job import BatchJob
from batch.messages import FileVersion
from batch.progress import display, failure_line, print_line
from batch.reader import file_version
from batch.run import Summary, remaining, run

POLL_S = 0.5
SETTLE_S = 2.0
"""A file that has not changed for this time, and can be read, is complete."""
GIVE_UP_S = 10.0
"""A file that has not changed for this time, and cannot be read, is broken."""


def watch(find: Callable[[], Inputs], job: BatchJob, start: StartBackend) -> Summary:
    """Searches and transcribes until Ctrl-C. Returns the sum of all rounds; raises as `run`."""
    total = Summary(0, 0, (), 0.0, 0.0)
    try:
        with start() as backend:
            print_line("asr: watching; Ctrl-C ends it")
            arrivals = Arrivals()
            while True:
                inputs = find()
                total = _with_failures(total, inputs.failures)
                todo = remaining(job, inputs, journal_to_read(job.output_dir), outputs_in(job.output_dir))
                if complete := arrivals.complete(todo):
                    total = total + _round(job, Inputs(complete), backend, total)
                time.sleep(POLL_S)
    except KeyboardInterrupt:
        return total


def _round(job: BatchJob, inputs: Inputs, backend: Backend, total: Summary) -> Summary:
    paths = {recording.path for recording in inputs.recordings}
    earlier = [failure for failure in total.failures if failure.path not in paths]
    with display() as progress:
        summary = run(job, inputs, lambda: nullcontext(backend), progress, earlier)
    failed = {failure.path for failure in summary.failures}
    for recording in inputs.recordings:
        if recording.path not in failed:
            print_line(f"asr: {failure_line(Failure(recording.path, 'done'))}")
    return summary


def _with_failures(total: Summary, failures: Sequence[Failure]) -> Summary:
    """The sum with the failures of a search; prints each path's first one."""
    paths = {failure.path for failure in total.failures}
    new = [failure for failure in failures if failure.path not in paths]
    for failure in new:
        print_line(f"asr: {failure_line(failure)}")
    return replace(total, failures=(*total.failures, *new))


class Arrivals:
    """Decides when a file is complete. A file that was taken is taken again when it changes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[FileVersion, float]] = {}
        """By path: the last version, and when it was first seen."""
        self._taken: dict[str, FileVersion] = {}

    def complete(self, todo: tuple[Recording, ...]) -> tuple[Recording, ...]:
        """Of the recordings to do those that are complete, or broken: a run reports these as failures."""
        return tuple(recording for recording in todo if self._take(recording))

    def _take(self, recording: Recording) -> bool:
        name, now_s = str(recording.path), self._clock()
        try:
            version = file_version(recording.path)
        except AudioError:
            return False  # removed since the search
        last_version, since_s = self._seen.get(name, (None, now_s))
        if version != last_version:
            self._seen[name] = (version, now_s)
            return False
        if self._taken.get(name) == version or now_s - since_s < SETTLE_S:
            return False
        if not _is_readable(recording) and now_s - since_s < GIVE_UP_S:
            return False
        self._taken[name] = version
        return True


def _is_readable(recording: Recording) -> bool:
    try:
        return next(read_blocks(recording.path), None) is not None
    except AudioError:
        return False
