"""`--dry-run`: what a run would do, and how long it would take by the speed of the last run or of a short trial."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from asr.transcripts.recording import transcribe
from batch.destination import journal_to_read, outputs_in
from batch.inputs import Inputs, Recording
from batch.job import BatchJob
from batch.journal import Speed
from batch.lengths import lengths_s
from batch.messages import Task
from batch.progress import clock, counted, duration, failure_line, printable
from batch.run import remaining
from batch.worker import BatchWorker

TRIAL_S = 30.0
MAX_LINES = 20
"""Recordings that are listed by name."""


def estimate(job: BatchJob, inputs: Inputs, workers: int) -> Iterator[str]:
    """What a run would do and how long it would take, as lines to print: `--dry-run`."""
    journal = journal_to_read(job.output_dir)
    todo = remaining(job, inputs, journal, outputs_in(job.output_dir))
    count = len(inputs.recordings)
    yield f"{counted(count, 'recording')} found, {count - len(todo)} done before, {len(todo)} to do"
    yield from (failure_line(failure) for failure in inputs.failures)
    for recording in sorted(todo, key=lambda recording: str(recording.path))[:MAX_LINES]:
        yield f"  {printable(str(recording.path))} -> {printable(recording.stem)}.{{{','.join(job.formats)}}}"
    if len(todo) > MAX_LINES:
        yield f"  and {len(todo) - MAX_LINES} more"
    if todo:
        audio_s = sum(lengths_s(todo).values())
        speed, source = _speed(journal.speeds, job, todo, workers)
        took = "unknown time: none of it can be read" if not speed else f"about {clock(audio_s / speed)}"
        yield f"{duration(audio_s)} of audio, {took} with {counted(workers, 'worker')} ({source})"


def _speed(speeds: Sequence[Speed], job: BatchJob, todo: Sequence[Recording], workers: int) -> tuple[float, str]:
    """Times real time with all workers, and its source in words; 0 if it is unknown."""
    for speed in reversed(speeds):
        if speed.task == job.key and speed.wall_s > 0:
            return speed.audio_s / speed.wall_s * workers / speed.workers, "by the last run's speed"
    return _trial_speed(job.task, todo) * workers, f"by a trial on {TRIAL_S:.0f} s"


def _trial_speed(task: Task, todo: Sequence[Recording]) -> float:
    """The speed of one worker on the beginning of the largest recordings; 0 if none of them can be read."""
    engine = BatchWorker(task).engine
    audio_s = busy_s = 0.0
    for recording in islice(todo, 10):
        try:
            samples = next(read_blocks(recording.path, TRIAL_S))
        except (AudioError, StopIteration):
            continue
        start_s = time.perf_counter()
        transcribe(
            samples,
            engine,
            language=task.language,
            prompt=task.prompt,
            hotwords=task.hotwords,
            settings=task.settings,
        )
        busy_s += time.perf_counter() - start_s
        audio_s += len(samples) / SAMPLE_RATE_HZ
        if audio_s >= TRIAL_S:
            break
    return audio_s / busy_s if busy_s else 0.0
