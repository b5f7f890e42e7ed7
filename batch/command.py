"""`asr transcribe ... --output-dir`: from options to a run. What is heavy is imported once the options are checked."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr.config import DEFAULT_MODEL
from asr.errors import ConfigError
from batch.inputs import Found, Recording, address, check_outputs, find, without_clashes
from batch.journal import RESERVED

if TYPE_CHECKING:
    from batch.job import Hire, Order, Summary, Workplace

BYTES_A_WORKER = 1 << 20
"""Less than this is done sooner than one more process starts."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options as they were given."""

    asked: tuple[Path, ...]
    folder: Path
    formats: tuple[str, ...]
    model: str = DEFAULT_MODEL
    language: str | None = None
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    beam_size: int = 1
    fallback: bool = False
    recursive: bool = False
    include: tuple[str, ...] = ()
    word_times: bool = False
    workers: int | None = None
    engine: str = "local"
    ray_address: str | None = None


def transcribe_folders(wish: Wish) -> int:
    """Do what is left of it; the number of failures."""
    found = found_of(wish)
    from batch.job import run
    from batch.progress import display, say, summary_line

    order, key = order_of(wish)
    with display() as shown:
        summary = run(order, found, key, hire_of(wish, order, found.recordings), shown)
    say(summary_line(summary))
    return len(summary.failures)


def plan(wish: Wish) -> int:
    """Say what would be done and how long it would take; nothing is written."""
    found = found_of(wish)
    from batch.estimate import estimate

    order, key = order_of(wish)
    for line in estimate(order, found, key, wish.workers or default_workers(found.recordings)):
        print(line)
    return len(found.failures)


def watch(wish: Wish) -> int:
    """Do what arrives until Ctrl-C; the number of failures."""
    from batch.progress import say, summary_line
    from batch.watch import follow

    order, key = order_of(wish)
    workers = wish.workers or default_workers(None)
    summary: Summary = follow(lambda: _arrived(wish), order, key, lambda: place_of(wish, order, workers))
    say(summary_line(summary))
    return len(summary.failures)


def found_of(wish: Wish) -> Found:
    """The recordings, checked against each other. Raises `ConfigError`."""
    found = find(wish.asked, recursive=wish.recursive, include=wish.include, leave_out=wish.folder)
    check_outputs(found.recordings, wish.folder, wish.formats, RESERVED)
    if not (found.recordings or found.failures):
        named = ", ".join(map(str, wish.asked))
        raise ConfigError(f"no recording in {named}; wanted some there, or --recursive, or --include '*.ending'")
    return found


def _arrived(wish: Wish) -> Found:
    """What there is by now, perhaps nothing."""
    found = without_clashes(find(wish.asked, recursive=wish.recursive, include=wish.include, leave_out=wish.folder))
    check_outputs(found.recordings, wish.folder, wish.formats, RESERVED)
    return found


def order_of(wish: Wish) -> "tuple[Order, str]":
    """The order, and the hash of all that its texts depend on. Raises `ModelError`, `ConfigError`."""
    from asr.models.linear import best_precision
    from asr.models.registry import find_model
    from asr.transcripts.recording import offline_settings
    from batch.job import Order, task_key
    from batch.worker import Task

    settings = offline_settings(beam_size=wish.beam_size, fallback=wish.fallback)
    task = Task(wish.model, wish.language, wish.prompt, wish.hotwords, best_precision(), settings)
    order = Order(wish.folder, task, wish.formats, wish.word_times)
    return order, task_key(order, find_model(wish.model)[1].verified_sha256(), task.precision)


def hire_of(wish: Wish, order: "Order", recordings: Sequence[Recording]) -> "Hire":
    """Who will work, started when there is something to do."""
    workers = wish.workers or default_workers(recordings)
    return lambda: place_of(wish, order, workers)


def place_of(wish: Wish, order: "Order", workers: int) -> "AbstractContextManager[Workplace]":
    """Workers on this machine, or on a cluster."""
    if wish.engine == "ray":
        from batch.cluster import cluster

        return cluster(order.task, wish.ray_address, wish.workers)
    return _here(order, workers)


@contextmanager
def _here(order: "Order", workers: int) -> "Iterator[Workplace]":
    from batch.job import Workplace
    from batch.local import worker_pool
    from batch.loop import Loop

    with worker_pool(order.task, workers) as pool:
        yield Workplace(pool.hello, pool.size, lambda left, heard: Loop(pool, left, heard).run())


def default_workers(recordings: Sequence[Recording] | None) -> int:
    """As many as there are cores, fewer for little work."""
    from server.workers.pool import cores

    if recordings is None or any(address(recording.path) for recording in recordings):
        return cores()
    size = sum(_size(recording.path) for recording in recordings)
    return max(1, min(cores(), size // BYTES_A_WORKER))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
