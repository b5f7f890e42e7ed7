"""A run's workers on a Ray cluster: an actor for each core, and shards of recordings for whichever actor is free.

Actors and not Ray Data: a map stage of a data set fails as a whole when a task has failed too often, and it passes its
results on in blocks. Here each recording succeeds or fails alone and is in the journal immediately. An actor that dies,
alone or with its node, loses only its shard, which others take. This process writes the results and has the journal.
"""

import contextlib
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from asr.errors import AsrError, CallerError, ConfigError, InternalError
from asr.installing import install_extra
from asr.ray_connection import connected
from batch.backend import Backend, Done, Failed, OnAudio, Outcome
from batch.dispatch import MAX_TRIES, Dispatcher
from batch.inputs import Recording, size_bytes
from batch.messages import Hello, Task
from batch.worker import load_worker
from server.workers.pool import InlinePool

NO_ACTOR_S = 180.0
"""The run ends when no actor has been alive for this long."""


@dataclass(frozen=True, slots=True)
class ShardLimits:
    """The size of a shard: what the death of a node costs, while batches need windows of several recordings."""

    files: int = 16
    size_bytes: int = 16 << 20


@dataclass(frozen=True, slots=True)
class Shard:
    """Recordings for one actor, and the number of actors that died with them."""

    recordings: tuple[Recording, ...]
    tries: int = 0


class _Transcriber:
    """The actor: one worker, one shard at a time. Our own errors travel as values."""

    def __init__(self, task: Task) -> None:
        self._worker = load_worker(task)

    def hello(self) -> Hello:
        return self._worker.hello

    def transcribe(self, recordings: Sequence[Recording]) -> list[Outcome]:
        return list(Dispatcher(InlinePool(self._worker), recordings, lambda _seconds: None).run())


@contextmanager
def ray_backend(
    task: Task, address: str | None, workers: int | None, limits: ShardLimits | None = None
) -> Iterator[Backend]:
    """On the cluster at `address`, or on one of this machine; `workers` None takes all its cores.

    Raises `ConfigError` if Ray is not installed or the cluster cannot be reached, and what loading the model raised.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError(f"ray is not installed; {install_extra('ray')}") from None
    with connected(ray, address):
        actors = _Actors(ray, task, workers or _cores(ray), limits or ShardLimits())
        yield Backend(actors.await_hello(), actors.size, actors.transcribe)


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class _Actors:
    """The actors: starting, idle, or working on a shard. A dictionary's key is the Ray reference that is awaited."""

    def __init__(self, ray: Any, task: Task, size: int, limits: ShardLimits) -> None:
        self._ray, self._task, self.size, self._limits = ray, task, size, limits
        self._make = ray.remote(num_cpus=1, max_restarts=0)(_Transcriber)
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        self._working: dict[Any, tuple[Any, Shard]] = {}
        for _ in range(size):
            self._start()

    def _start(self) -> None:
        actor = self._make.remote(self._task)
        self._starting[actor.hello.remote()] = actor

    def await_hello(self) -> Hello:
        """Waits for the first actor. Raises what kept it from starting."""
        reference, actor = next(iter(self._starting.items()))
        try:
            hello: Hello = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise _cause(error) from None
        del self._starting[reference]
        self._idle.append(actor)
        return hello

    def transcribe(self, recordings: Sequence[Recording], on_audio: OnAudio) -> Iterator[Outcome]:
        """The outcome of each recording, as shards are done. Raises `CallerError` when no node is left."""
        queue = deque(shards(recordings, self._limits))
        alive_s = time.monotonic()
        while queue or self._working:
            while queue and self._idle:
                self._assign(self._idle.pop(), queue.popleft())
            ready, _ = self._ray.wait([*self._working, *self._starting], num_returns=1, timeout=5.0)
            if self._working or self._idle:
                alive_s = time.monotonic()
            elif time.monotonic() - alive_s > NO_ACTOR_S:
                raise CallerError("the cluster has no node left to work on; add one and run the same command again")
            for reference in ready:
                for outcome in self._receive(reference, queue):
                    if isinstance(outcome, Done):
                        on_audio(outcome.end.duration_s)
                    yield outcome

    def _assign(self, actor: Any, shard: Shard) -> None:
        self._working[actor.transcribe.remote(shard.recordings)] = (actor, shard)

    def _receive(self, reference: Any, queue: deque[Shard]) -> list[Outcome]:
        if reference in self._starting:
            self._receive_hello(reference)
            return []
        actor, shard = self._working.pop(reference)
        try:
            outcomes: list[Outcome] = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            self._idle.append(actor)
            return [Failed(recording, _cause(error)) for recording in shard.recordings]
        except self._ray.exceptions.RayError:
            self._start()
            return _retry(shard, queue)
        self._idle.append(actor)
        return outcomes

    def _receive_hello(self, reference: Any) -> None:
        """An actor is ready, or could not start: then another one is started."""
        actor = self._starting.pop(reference)
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.get(reference)
            self._idle.append(actor)
            return
        self._start()


def _retry(shard: Shard, queue: deque[Shard]) -> list[Outcome]:
    """The actor died: queues the shard again, after the second time in single recordings.

    So a recording that kills its worker fails alone.
    """
    if shard.tries < MAX_TRIES:
        queue.append(Shard(shard.recordings, shard.tries + 1))
    elif len(shard.recordings) > 1:
        queue.extend(Shard((recording,), 1) for recording in shard.recordings)
    else:
        (recording,) = shard.recordings
        message = f"{recording.path} ended {MAX_TRIES + 1} workers; wanted a recording that does not"
        return [Failed(recording, InternalError(message))]
    return []


def shards(recordings: Sequence[Recording], limits: ShardLimits) -> Iterator[Shard]:
    """All recordings in their order. A recording that is larger than a shard may be has one for itself."""
    shard: list[Recording] = []
    total_bytes = 0
    for recording in recordings:
        own_bytes = size_bytes(recording)
        if shard and (len(shard) >= limits.files or total_bytes + own_bytes > limits.size_bytes):
            yield Shard(tuple(shard))
            shard, total_bytes = [], 0
        shard.append(recording)
        total_bytes += own_bytes
    if shard:
        yield Shard(tuple(shard))


def _cause(error: Any) -> AsrError:
    """The error that the actor raised: our own as it is, any other as an `InternalError` with its name."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, AsrError):
        return cause
    return InternalError(f"a worker failed with {type(cause).__name__}: {cause}")
