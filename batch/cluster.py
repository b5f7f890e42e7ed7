"""The same work on a Ray cluster: one transcribing actor for each core, shares of recordings to whoever is free.

Actors and not Ray Data: a dataset's map stage fails as a whole when a task has failed too often, and hands its results
on in blocks; here each recording is to succeed or fail by itself and to be noted at once. An actor that dies, with its
node or alone, loses only its share, which others take; results are written by this process, which holds the journal.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from asr.errors import AsrError, CallerError, ConfigError, InternalError
from batch.inputs import Recording
from batch.job import Workplace
from batch.loop import TRIES, Done, Failed, Loop, Outcome
from batch.worker import Hello, Task, load_worker
from server.workers.pool import InlinePool

SHARE_FILES = 16
SHARE_BYTES = 16 << 20
"""A share is no more than this: it is what a dying node costs, and batches want company."""
PATIENCE_S = 180.0
"""So long no actor may be alive before the run gives up."""


@dataclass(frozen=True, slots=True)
class _Share:
    recordings: tuple[Recording, ...]
    tries: int = 0


class _Transcriber:
    """The actor: one worker, one share at a time. Errors that are ours travel as values."""

    def __init__(self, task: Task) -> None:
        self._worker = load_worker(task)

    def hello(self) -> Hello:
        return self._worker.hello

    def work(self, recordings: Sequence[Recording]) -> list[Outcome]:
        return list(Loop(InlinePool(self._worker), recordings, lambda _seconds: None).run())


@contextmanager
def cluster(task: Task, address: str | None, workers: int | None) -> Iterator[Workplace]:
    """The workplace on the cluster at `address`, or on one of this machine. Raises `ConfigError` without Ray."""
    try:
        import ray
    except ImportError:
        raise ConfigError("ray is not installed; run: pip install 'steadyword[ray]'") from None
    joined = ray.is_initialized()
    if not joined:
        _join(ray, address)
    try:
        crew = _Actors(ray, task, workers or _cores(ray))
        yield Workplace(crew.greeted(), crew.size, crew.run)
    finally:
        if not joined:
            ray.shutdown()


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


def _join(ray: Any, address: str | None) -> None:
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"no Ray cluster at {address} ({told}); wanted the address of one that runs") from None


class _Actors:
    """Actors, alive or starting, and who has which share."""

    def __init__(self, ray: Any, task: Task, size: int) -> None:
        self._ray, self._task, self.size = ray, task, size
        self._make = ray.remote(num_cpus=1, max_restarts=0)(_Transcriber)
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._working: dict[Any, tuple[Any, _Share]] = {}
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        actor = self._make.remote(self._task)
        self._starting[actor.hello.remote()] = actor

    def greeted(self) -> Hello:
        """The first actor's; raises what kept it from starting."""
        reference, actor = next(iter(self._starting.items()))
        try:
            hello: Hello = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        del self._starting[reference]
        self._idle.append(actor)
        return hello

    def run(self, recordings: Sequence[Recording], heard: Callable[[float], None]) -> Iterator[Outcome]:
        """Each recording's outcome, as shares are done."""
        queue = deque(shares(recordings))
        alive_s = time.monotonic()
        while queue or self._working:
            while queue and self._idle:
                self._give(self._idle.pop(), queue.popleft())
            waited_for = [*self._working, *self._starting]
            ready, _ = self._ray.wait(waited_for, num_returns=1, timeout=5.0)
            if self._working or self._idle:
                alive_s = time.monotonic()
            elif time.monotonic() - alive_s > PATIENCE_S:
                raise CallerError("the cluster has no node left to work on; add one and run the same command again")
            for reference in ready:
                for outcome in self._take(reference, queue):
                    if isinstance(outcome, Done):
                        heard(outcome.heard.duration_s)
                    yield outcome

    def _give(self, actor: Any, share: _Share) -> None:
        self._working[actor.work.remote(share.recordings)] = (actor, share)

    def _take(self, reference: Any, queue: deque[_Share]) -> list[Outcome]:
        if reference in self._starting:
            actor = self._starting.pop(reference)
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.get(reference)
                self._idle.append(actor)
                return []
            self._start()
            return []
        actor, share = self._working.pop(reference)
        try:
            outcomes: list[Outcome] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            self._idle.append(actor)
            return [Failed(recording, _cause(error)) for recording in share.recordings]
        except self._ray.exceptions.RayError:
            self._start()
            return self._again(share, queue)
        self._idle.append(actor)
        return outcomes

    def _again(self, share: _Share, queue: deque[_Share]) -> list[Outcome]:
        """The actor died. One by one after the second time, so that a recording that kills them fails alone."""
        if share.tries < TRIES:
            queue.append(_Share(share.recordings, share.tries + 1))
        elif len(share.recordings) > 1:
            queue.extend(_Share((recording,), 1) for recording in share.recordings)
        else:
            (recording,) = share.recordings
            message = f"{recording.path} was in hand when {TRIES + 1} workers died; wanted one that does not end them"
            return [Failed(recording, InternalError(message))]
        return []


def shares(recordings: Sequence[Recording]) -> Iterator[_Share]:
    """In order, as many together as a share may be."""
    share: list[Recording] = []
    size = 0
    for recording in recordings:
        own = _size(recording)
        if share and (len(share) >= SHARE_FILES or size + own > SHARE_BYTES):
            yield _Share(tuple(share))
            share, size = [], 0
        share.append(recording)
        size += own
    if share:
        yield _Share(tuple(share))


def _size(recording: Recording) -> int:
    try:
        return recording.path.stat().st_size
    except OSError:
        return 0


def _cause(error: Any) -> AsrError:
    """Our own error as it was raised there; others named."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, AsrError):
        return cause
    return InternalError(f"a worker failed with {type(cause).__name__}: {cause}")
