"""Sessions that are ready -> batches -> `Engine.step`. The only queue, the only thread crossing.

A model has one engine or several, each with a lane of its own: a queue and a thread. While one batch is in the thread
those who come next gather; so batches grow with the load, and nobody waits on purpose.
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
from server.streams.load_meter import Load, at_speech_pace
from server.workers.contract import StreamEngine, StreamSession
from server.workers.messages import StreamOptions

T = TypeVar("T")


class StepError(InternalError):
    """A step failed for a reason that is not the client's."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    session: StreamSession
    done: asyncio.Future[None]
    since_s: float


class _Place:
    """A session's, in its lane. Compared by identity."""

    def __init__(self, lane: "Lane") -> None:
        self.lane = lane


class Scheduler:
    """The engines of one model. `start` and `stop` it on the event loop that awaits its steps."""

    def __init__(self, engines: Sequence[StreamEngine], max_batch: int, metrics: Metrics) -> None:
        self.engine = engines[0]
        """The first, to ask for what they have in common."""
        self._lanes = [Lane(engine, max_batch, metrics) for engine in engines]
        for number, lane in enumerate(self._lanes):
            metrics.load.labels(self.engine.name, number).set_function(lane.busy)
            metrics.queue_age_s.labels(self.engine.name, number).set_function(lane.queue_age_s)
        self._place_of: WeakKeyDictionary[StreamSession, _Place] = WeakKeyDictionary()

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    async def stop(self) -> None:
        """Lets the running steps end; those still waiting are cancelled."""
        for lane in self._lanes:
            await lane.stop()

    def fits(self, max_load: float) -> bool:
        """Whether another stream would find room in one of the lanes."""
        return any(lane.load.fits(max_load) for lane in self._lanes)

    def calibrate(self, cost: float) -> None:
        """What one stream takes of a lane's time, measured at start."""
        for lane in self._lanes:
            lane.load.calibrate(cost)

    @property
    def loads(self) -> list[Load]:
        """Of each lane."""
        return [lane.load for lane in self._lanes]

    async def open(self, settings: SessionSettings, options: StreamOptions) -> StreamSession:
        """As `Engine.open`, in the lane that has the most room."""
        lane = min(self._lanes, key=lambda lane: (round(lane.load.demand, 2), lane.load.streams))
        place = _Place(lane)
        lane.load.open(place)  # before it is open: those who come meanwhile go elsewhere
        try:
            session: StreamSession = await lane.call(lambda: lane.engine.open(settings, options))
        except BaseException:
            lane.load.close(place)
            raise
        self._place_of[session] = place
        weakref.finalize(session, lane.load.close, place)
        return session

    def close(self, session: StreamSession) -> None:
        """The stream is over: its place in the lane is free. (So it is when nobody holds the session any more.)"""
        place = self._place_of[session]
        place.lane.load.close(place)

    async def step(self, session: StreamSession) -> None:
        """One step of this session, with whoever else waits. Until it returns the session is the worker's.

        Raises `StepError` when the step of this very session failed. A cancelled caller must not touch the session any
        more: the step may be under way, and is never stopped half way.
        """
        await self._place_of[session].lane.step(session)

    def gives_up(self, session: StreamSession, is_late: bool, apart_s: float) -> bool:
        """Whether a stream that has long been late is the one to end now, so that the others can keep up."""
        place = self._place_of[session]
        place.lane.load.late(place, is_late)
        return is_late and place.lane.load.gives_up(place, apart_s)


class Lane:
    """One engine, its queue and its thread."""

    def __init__(self, engine: StreamEngine, max_batch: int, metrics: Metrics) -> None:
        self.engine = engine
        self.load = Load()
        self._stepped_s: WeakKeyDictionary[StreamSession, float] = WeakKeyDictionary()
        self._max_batch = max_batch
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._arrived = asyncio.Event()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"step-{engine.name}")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"lane of {self.engine.name}")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        while self._queue:
            self._queue.popleft().done.cancel()
        await asyncio.to_thread(self._worker.shutdown)

    def busy(self) -> float:
        """The share of its time that its streams take."""
        return self.load.busy

    def queue_age_s(self) -> float:
        """How long the one that has waited longest has; 0 when nobody waits."""
        return time.perf_counter() - self._queue[0].since_s if self._queue else 0.0

    async def call(self, function: Callable[[], T]) -> T:
        """In the engine's thread, between its steps. What it raises that is not for callers comes as `StepError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, function)
        except Exception as error:
            raise _as_ours(error) from error

    async def step(self, session: StreamSession) -> None:
        done = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(session, done, time.perf_counter()))
        self._arrived.set()
        await done

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            batch = self._take()
            try:
                await self._advance(batch)
            finally:
                for waiting in batch:  # nobody waits for a scheduler that was stopped
                    waiting.done.cancel()

    def _take(self) -> list[_Waiting]:
        """The longest waiting, without those whose callers have gone."""
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self._max_batch:
            waiting = self._queue.popleft()
            if not waiting.done.done():
                batch.append(waiting)
        if not self._queue:
            self._arrived.clear()
        return batch

    async def _advance(self, batch: Sequence[_Waiting]) -> None:
        """All at once; when that fails, one by one, so that only the culprit fails (`Engine.step` is all or none)."""
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
        call = asyncio.get_running_loop().run_in_executor(self._worker, self.engine.step, sessions)
        [result] = await asyncio.gather(call, return_exceptions=True)
        advances_s = [session.decoded_s - before_s for session, before_s in zip(sessions, decoded_s, strict=True)]
        self._note(sessions, time.perf_counter() - began_s, waits_s, advances_s)
        return result if isinstance(result, BaseException) else None

    def _note(
        self, sessions: Sequence[StreamSession], took_s: float, waits_s: Sequence[float], advances_s: list[float]
    ) -> None:
        """What a step that has just ended says of the load."""
        name, now_s = self.engine.name, time.perf_counter()
        for wait_s in waits_s:
            self._metrics.queue_s.labels(name).observe(wait_s)
        self._metrics.batch_size.labels(name).observe(len(sessions))
        self._metrics.step_s.labels(name).observe(took_s)
        elapsed_s = [now_s - self._stepped_s.get(session, now_s - took_s) for session in sessions]
        self.load.add(took_s * at_speech_pace(advances_s, elapsed_s), max(waits_s))
        self._stepped_s.update(dict.fromkeys(sessions, now_s))


def _settle(waiting: _Waiting, error: BaseException | None, metrics: Metrics, model: str) -> None:
    if error is not None:
        metrics.failed_steps.labels(model).inc()
    if waiting.done.done():  # its caller has gone
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(_as_ours(error))


def _as_ours(error: BaseException) -> Exception:
    """What the model raises is no sentence for a client; the cause is kept for the log."""
    if isinstance(error, AsrError):
        return error
    ours = StepError("recognition failed inside the server; open a new stream")
    ours.__cause__ = error
    return ours
