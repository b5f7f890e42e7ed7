"""One run of a job: finds what is not done yet, has it transcribed, writes it, and sums it up."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from asr.errors import AudioError
from asr.model_files.cache import sha256_of
from batch.backend import StartBackend
from batch.destination import AnyJournal, AnyOutputs, journal_for_run, outputs_in
from batch.inputs import Failure, Inputs, Recording, size_bytes
from batch.job import BatchJob
from batch.journal import Entry, Speed
from batch.messages import FileVersion
from batch.reader import file_version
from batch.results import Progress, ResultWriter, write_failures
from batch.urls import name_of


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of a run. ``kept`` recordings were done by earlier runs; ``audio_s`` is that of the ``done`` ones."""

    done: int
    kept: int
    failures: tuple[Failure, ...]
    audio_s: float
    wall_s: float

    @property
    def speed(self) -> float | None:
        """Times real time; None where nothing was done."""
        return self.audio_s / self.wall_s if self.audio_s and self.wall_s else None

    def __add__(self, other: "Summary") -> "Summary":
        failures = {failure.path: failure for failure in (*self.failures, *other.failures)}
        return Summary(
            self.done + other.done,
            max(self.kept, other.kept),
            tuple(failures.values()),
            self.audio_s + other.audio_s,
            self.wall_s + other.wall_s,
        )


def run(
    job: BatchJob, inputs: Inputs, start: StartBackend, progress: Progress, earlier: Sequence[Failure] = ()
) -> Summary:
    """Transcribes what is not done. `earlier` failures, of rounds before, stay on the list of failures.

    Raises `CallerError` when the disk is full, and what keeps the backend from starting. What was done before that is
    in the journal.
    """
    with journal_for_run(job.output_dir) as journal:
        outputs = outputs_in(job.output_dir)
        outputs.clear()
        todo = remaining(job, inputs, journal, outputs)
        kept = len(inputs.recordings) - len(todo)
        progress.begin(todo, kept)
        writer = ResultWriter(job, journal, outputs, progress)
        for failure in inputs.failures:
            writer.fail(failure)
        try:
            wall_s = _transcribe(job, todo, start, writer, journal, progress) if todo else 0.0
            writer.check_kept()
        finally:
            write_failures(outputs, (*earlier, *writer.failures))
            outputs.clear()
        return Summary(writer.done, kept, tuple(writer.failures), writer.audio_s, wall_s)


def _transcribe(
    job: BatchJob,
    todo: Sequence[Recording],
    start: StartBackend,
    writer: ResultWriter,
    journal: AnyJournal,
    progress: Progress,
) -> float:
    """Returns the seconds that it took, without the start of the workers."""
    with start() as backend:
        start_s = time.monotonic()
        for outcome in backend.transcribe(todo, progress.recognised):
            writer.write(outcome, backend.hello)
        wall_s = time.monotonic() - start_s
    if writer.audio_s:
        journal.record_speed(Speed(job.key, backend.workers, round(writer.audio_s, 3), round(wall_s, 3)))
    return wall_s


def remaining(job: BatchJob, inputs: Inputs, journal: AnyJournal, outputs: AnyOutputs) -> tuple[Recording, ...]:
    """The recordings that are new, changed or failed, the largest first: the longest work should begin early."""
    key = job.key
    todo = [r for r in inputs.recordings if not _is_done(r, journal.entries.get(r.stem), outputs, key, job.formats)]
    return tuple(sorted(todo, key=lambda recording: (-size_bytes(recording), str(recording.path))))


def _is_done(recording: Recording, entry: Entry | None, outputs: AnyOutputs, key: str, formats: Sequence[str]) -> bool:
    if entry is None or entry.task != key or entry.input != name_of(recording.path):
        return False
    try:
        version = file_version(recording.path)
        is_same = version == FileVersion(entry.size_bytes, entry.mtime_ns) or (
            version.size_bytes == entry.size_bytes and sha256_of([recording.path]) == entry.sha256
        )
    except (AudioError, OSError):
        return False
    return is_same and outputs.hold(recording.stem, entry.outputs, formats)
