"""Sessions that are ready -> batches -> `StreamEngine.step`. The only queue before a model, the only thread crossing.

A model has one or several replicas: each is an engine with a queue and a thread. While a batch is in the thread the
sessions that become ready gather in the queue. So batches grow with the load, and no session waits on purpose.

    scheduler.start()
    session = await scheduler.open(settings, options)
    await scheduler.step(session)           # while session.ready
    scheduler.close(session)
    await scheduler.stop()
"""

import asyncio
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

from asr.config import SessionSettings
from asr.errors import AsrError, InternalError
from server.metrics import Metrics
from server.streams.load_meter import LoadMeter, realtime_share
from server.streams.precedence import Precedence
from server.workers.contract import StreamEngine, StreamSession
from server.workers.messages import StreamOptions

T = TypeVar("T")


class StepError(InternalError):
    """A model call failed, and the client is not at fault."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    session: StreamSession
    done: asyncio.Future[None]
    since_s: float


class _Place:
    """A session's place in a replica. Compared by identity: it outlives the session by a moment."""

    def __init__(self, replica: "Replica") -> None:
        self.replica = replica


class Scheduler:
    """The replicas of one model. `start` and `stop` it on the event loop that awaits its steps."""

    def __init__(self, engines: Sequence[StreamEngine], max_batch: int, metrics: Metrics) -> None:
        self.engine = engines[0]
        """The first replica's: name, weights and languages are the same in all."""
        self._replicas = [Replica(engine, max_batch, metrics) for engine in engines]
        self._precedence = Precedence()
        for number, replica in enumerate(self._replicas):
            replica.precedence = self._precedence
            metrics.load.labels(self.engine.name, number).set_function(replica.busy)
            metrics.queue_age_s.labels(self.engine.name, number).set_function(replica.queue_age_s)
            metrics.show_interval_s.labels(self.engine.name, number).set_function(replica.show_interval_s)
        self._place_of: WeakKeyDictionary[StreamSession, _Place] = WeakKeyDictionary()

    def start(self) -> None:
        """Starts taking batches from the queues."""
        for replica in self._replicas:
            replica.start()

    async def stop(self) -> None:
        """Waits for the steps that run; cancels those that still wait."""
        for replica in self._replicas:
            await replica.stop()

    def fits(self, max_load: float) -> bool:
        """Whether one of the replicas has room for another stream."""
        return any(replica.load.fits(max_load) for replica in self._replicas)

    def calibrate(self, cost: float) -> None:
        """Sets the share of a replica's time that one stream is expected to take, measured at start."""
        for replica in self._replicas:
            replica.load.calibrate(cost)

    @property
    def loads(self) -> list[LoadMeter]:
        """The load meters of the replicas, in their order."""
        return [replica.load for replica in self._replicas]

    async def open(self, settings: SessionSettings, options: StreamOptions, *, live: bool = True) -> StreamSession:
        """`StreamEngine.open` in the replica with the most room. Raises what that raises, or `StepError`.

        `live` is False for an upload, see `server.streams.precedence`.
        """
        replica = min(self._replicas, key=lambda replica: (round(replica.load.demand, 2), replica.load.streams))
        place = _Place(replica)
        replica.load.open(place)  # before the engine has opened it, so that others who come meanwhile go elsewhere
        try:
            session: StreamSession = await replica.call(lambda: replica.engine.open(settings, options))
        except BaseException:
            replica.load.close(place)
            raise
        self._place_of[session] = place
        self._precedence.open(session, live=live)
        weakref.finalize(session, replica.load.close, place)
        return session

    def close(self, session: StreamSession) -> None:
        """Frees the session's place. A session that nothing refers to any more frees it by itself."""
        place = self._place_of[session]
        place.replica.load.close(place)
        self._precedence.close(session)

    async def step(self, session: StreamSession) -> None:
        """One step of this session, in a batch with others that wait. Until it returns, do not touch the session.

        Raises `StepError` when the step of this very session failed. A cancelled caller must not touch the session
        again: its step may be running, and a running step is never interrupted.
        """
        await self._place_of[session].replica.step(session)

    def show_interval_s(self, session: StreamSession) -> float:
        """See `LoadMeter.show_interval_s`."""
        return self._place_of[session].replica.load.show_interval_s

    def must_give_way(self, session: StreamSession, is_late: bool, apart_s: float) -> bool:
        """Whether this stream, late for long, is the one to close now so that the others can keep up.

        Between two such streams at least `apart_s` pass.
        """
        place = self._place_of[session]
        place.replica.load.mark_late(place, is_late)
        return is_late and place.replica.load.must_give_way(place, apart_s)


class Replica:
    """One engine, its queue and its thread."""

    def __init__(self, engine: StreamEngine, max_batch: int, metrics: Metrics) -> None:
        self.engine = engine
        self.load = LoadMeter()
        self.precedence = Precedence()
        self._stepped_s: WeakKeyDictionary[StreamSession, float] = WeakKeyDictionary()
        self._max_batch = max_batch
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._took_urgent = False
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"step-{engine.name}")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts taking batches from the queue."""
        self._task = asyncio.create_task(self._run(), name=f"replica of {self.engine.name}")

    async def stop(self) -> None:
        """Waits for the step that runs; cancels those that still wait."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._queue:
            self._queue.popleft().done.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    def busy(self) -> float:
        """The share of its time that its streams take."""
        return self.load.busy

    def show_interval_s(self) -> float:
        """See `LoadMeter.show_interval_s`."""
        return self.load.show_interval_s

    def queue_age_s(self) -> float:
        """How long the first in the queue has waited; 0 when the queue is empty."""
        return time.perf_counter() - self._queue[0].since_s if self._queue else 0.0

    async def call(self, function: Callable[[], T]) -> T:
        """Calls it in the engine's thread, between steps. Errors that are not `AsrError` become `StepError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except Exception as error:
            raise _for_clients(error) from error

    async def step(self, session: StreamSession) -> None:
        """Queues the session and returns after its step; see `Scheduler.step`."""
        done = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(session, done, time.perf_counter()))
        self._arrived.set()
        await done

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(0)  # live streams that were just stepped and have more to do come before uploads
            batch = self._take()
            try:
                await self._advance(batch)
            finally:
                for waiting in batch:  # when cancelled: nobody may wait for a scheduler that was stopped
                    waiting.done.cancel()

    def _take(self) -> list[_Waiting]:
        """The sessions that have waited longest, without those whose callers have gone.

        Urgent ones go first, in a batch without others: it is short. Every second batch takes all, so that the others
        get on however many finals are asked for. Uploads go behind live streams.
        """
        waiting = [waiting for waiting in self._queue if not waiting.done.done()]
        able = self.precedence.first(waiting)
        urgent = [] if self._took_urgent else [one for one in able if one.session.is_urgent]
        self._took_urgent = bool(urgent)
        batch = (urgent or able)[: self._max_batch]
        taken = set(map(id, batch))
        self._queue = deque(one for one in waiting if id(one) not in taken)
        if not self._queue:
            self._arrived.clear()
        return batch

    async def _advance(self, batch: Sequence[_Waiting]) -> None:
        """Steps the whole batch. If that fails, steps the sessions one by one, so that only the faulty one fails.

        A failed `StreamEngine.step` has changed no session.
        """
        error = await self._step(batch) if batch else None
        if error is not None and len(batch) > 1:
            for waiting in batch:
                _settle(waiting, await self._step([waiting]), self._metrics, self.engine.name)
            return
        for waiting in batch:
            _settle(waiting, error, self._metrics, self.engine.name)

    async def _step(self, batch: Sequence[_Waiting]) -> BaseException | None:
        began_s = time.perf_counter()
        waits_s = [began_s - waiting.since_s for waiting in batch]
        sessions = [waiting.session for waiting in batch]
        decoded_s = [session.decoded_s for session in sessions]
        call = asyncio.get_running_loop().run_in_executor(self._thread, self.engine.step, sessions)
        [result] = await asyncio.gather(call, return_exceptions=True)
        advances_s = [session.decoded_s - before_s for session, before_s in zip(sessions, decoded_s, strict=True)]
        took_s = time.perf_counter() - began_s
        if result is True:
            self.load.add_early(took_s)
        else:
            self._measure(sessions, took_s, waits_s, advances_s)
        return result if isinstance(result, BaseException) else None

    def _measure(
        self, sessions: Sequence[StreamSession], took_s: float, waits_s: Sequence[float], advances_s: list[float]
    ) -> None:
        """Counts a step that has just ended, and adds it to the load."""
        name, now_s = self.engine.name, time.perf_counter()
        for wait_s in waits_s:
            self._metrics.queue_s.labels(name).observe(wait_s)
        self._metrics.batch_size.labels(name).observe(len(sessions))
        self._metrics.step_s.labels(name).observe(took_s)
        elapsed_s = [now_s - self._stepped_s.get(session, now_s - took_s) for session in sessions]
        self.load.add(took_s * realtime_share(advances_s, elapsed_s), max(waits_s))
        self._stepped_s.update(dict.fromkeys(sessions, now_s))


def _settle(waiting: _Waiting, error: BaseException | None, metrics: Metrics, model: str) -> None:
    if error is not None:
        metrics.failed_steps.labels(model).inc()
    if waiting.done.done():  # its caller has gone
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(_for_clients(error))


def _for_clients(error: BaseException) -> Exception:
    """Our own errors as they are. A library's text is not for clients: it stays as the cause, for the log."""
    if isinstance(error, AsrError):
        return error
    ours = StepError("recognition failed inside the server; open a new stream")
    ours.__cause__ = error
    return ours
