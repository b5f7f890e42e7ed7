"""What a run would do, and how long it would take: by the speed of the last run, or by a short trial here."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from asr.audio.files import duration_s, read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from asr.transcripts.recording import transcribe
from batch.inputs import Found, Recording
from batch.job import Order, left_to_do, outputs_of, read_notes
from batch.journal import Speed
from batch.progress import clock, printable, told
from batch.worker import BatchWorker, Task

TRIAL_S = 30.0
SHOWN = 20


def estimate(order: Order, found: Found, key: str, workers: int) -> Iterator[str]:
    """Lines for people."""
    journal = read_notes(order.folder)
    left = left_to_do(found, journal, outputs_of(order.folder), key, order.formats)
    count = len(found.recordings)
    yield f"{count} recordings found, {count - len(left)} done before, {len(left)} to do"
    yield from (told(failure) for failure in found.failures)
    for recording in sorted(left, key=lambda r: str(r.path))[:SHOWN]:
        yield f"  {printable(str(recording.path))} -> {printable(recording.stem)}.{{{','.join(order.formats)}}}"
    if len(left) > SHOWN:
        yield f"  and {len(left) - SHOWN} more"
    if left:
        audio_s = _audio_s(left)
        speed, source = _speed(journal.speeds, key, order.task, left, workers)
        took = "unknown time: none of it can be read" if not speed else f"about {clock(audio_s / speed)}"
        yield f"{audio_s / 3600:.2f} h of audio, {took} with {workers} workers ({source})"


def _audio_s(left: Sequence[Recording]) -> float:
    """By the headers; where they do not tell, by size, as the others."""
    told_s = {recording.path: _told(recording.path) for recording in left}
    known = [(path.stat().st_size, seconds) for path, seconds in told_s.items() if seconds is not None]
    per_byte = sum(seconds for _, seconds in known) / max(1, sum(size for size, _ in known))
    return sum(_size(path) * per_byte if seconds is None else seconds for path, seconds in told_s.items())


def _told(path: Path) -> float | None:
    try:
        return duration_s(path)
    except AudioError:
        return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _speed(speeds: Sequence[Speed], key: str, task: Task, left: Sequence[Recording], workers: int) -> tuple[float, str]:
    """Times real time, and where that is known from."""
    for ran in reversed(speeds):
        if ran.task == key and ran.wall_s > 0:
            return ran.audio_s / ran.wall_s * workers / ran.workers, "by the last run's speed"
    return _trial(task, left) * workers, f"by a trial on {TRIAL_S:.0f} s"


def _trial(task: Task, left: Sequence[Recording]) -> float:
    """One worker's speed on the beginning of the largest recordings; 0 where none can be read."""
    worker = BatchWorker(task)
    heard_s = took_s = 0.0
    for recording in islice(left, 10):
        try:
            samples = next(read_blocks(recording.path, TRIAL_S))
        except (AudioError, StopIteration):
            continue
        began = time.perf_counter()
        transcribe(
            samples,
            worker.engine,
            language=task.language,
            prompt=task.prompt,
            hotwords=task.hotwords,
            settings=task.settings,
        )
        took_s += time.perf_counter() - began
        heard_s += len(samples) / SAMPLE_RATE_HZ
        if heard_s >= TRIAL_S:
            break
    return heard_s / took_s if took_s else 0.0
