"""One engine of a model: its queue, its thread, the watch over its worker, and the worker's restart.

Nothing here blocks the event loop: every call of the engine that waits is made in the replica's thread. So a worker
that hangs holds up its own replica only. A few times a second the watch looks at the call that runs; if it takes too
long, the worker is killed. When a worker has died, the replica is down: its calls fail with `Lost`, no stream is placed
there, and its worker is restarted in the background until that succeeds.
"""

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary

from asr.errors import CallerError, InternalError, ModelError
from server.metrics import Metrics
from server.streams.load_meter import LoadMeter, realtime_share
from server.streams.precedence import Precedence
from server.workers.contract import StreamEngine, StreamSession
from server.workers.process import WorkerDied

T = TypeVar("T")

_log = logging.getLogger("steadyword.server")

WATCH_S = 0.25
"""How often the watch looks. It counts its turns, not the clock: while the whole machine or container stands still, the
worker has no time either."""
SLOW_S = 1.0
"""While a call runs this long, streams are rather placed on another lane: its worker may hang."""
IDLE_S = 2.0
"""A worker without work for this long is asked for a sign of life, so that no stream is placed on one that hangs."""
SLOWEST_FACTOR = 4.0
"""A step may take this many times the slowest step lately, for each stream in it, beyond `step_timeout_s`."""
SLOWEST_DECAY = 0.95
MAX_DOUBLINGS = 3
"""Of a step's time, after the deaths of workers in it."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Between two tries to restart a worker; it doubles with each."""
SHORT_LIFE_S, SHORT_LIVES = 10.0, 5
"""After so many workers in a row that lived so short, there is a pause before the next one too: something is broken."""
HOPELESS_STARTS, HOPELESS_S = 3, 300.0
"""After so many restarts in a row that failed, and so long without a worker, streams no longer wait for the replica. It
goes on trying. Our own client waits as long for its server."""
STOP_S = 1.0
"""A step that runs when the server stops may take this long; then its worker is killed."""


class StepError(InternalError):
    """A model call failed, and the client is not at fault."""


class Lost(Exception):
    """The worker died. `in_step`: during a step of this session; `alone`: of no other one."""

    def __init__(self, in_step: bool = False, alone: bool = False) -> None:
        super().__init__("the worker has ended")
        self.in_step, self.alone = in_step, alone


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the calls of an engine may take, in seconds; see `server.config.ServerSettings`."""

    step_timeout_s: float
    start_timeout_s: float


@dataclass(slots=True)
class _Waiting:
    session: StreamSession
    done: asyncio.Future[None]
    since_s: float
    strikes: int | None
    """How often its step was the only one when its worker died; None if no worker died in its step lately."""

    @property
    def must_be_alone(self) -> bool:
        return self.strikes is not None


@dataclass(slots=True)
class _Work:
    """A call in the replica's thread."""

    timeout_s: float
    began_s: float
    waited_s: float = 0.0
    """Counted in turns of the watch."""


class Replica:
    """One engine and its worker. `start` and `stop` it on the event loop that awaits its steps."""

    def __init__(
        self,
        engine: StreamEngine,
        max_batch: int,
        metrics: Metrics,
        *,
        patience: Patience,
        number: int = 0,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`number` names it in metrics and the log. `on_change` is called when it goes down or comes up."""
        self.engine = engine
        self.load = LoadMeter()
        """Of all that sit here."""
        self.live_load = LoadMeter()
        """Of the live streams alone, before which uploads give way: what decides whether another one is admitted."""
        self.precedence = Precedence()
        self.is_up = True
        self.life = 0
        """The number of workers lost. A session belongs to one life."""
        self.failed_starts = 0
        """Restarts of the worker that failed since the last one that succeeded."""
        self._patience, self._number, self._on_change = patience, number, on_change
        self._stepped_s: WeakKeyDictionary[StreamSession, float] = WeakKeyDictionary()
        self._max_batch = max_batch
        self._metrics = metrics
        self._queue: deque[_Waiting] = deque()
        self._took_urgent = False
        self._arrived = asyncio.Event()
        self._labels = (engine.name, engine.release)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"step-{engine.name}")
        self._work: _Work | None = None
        self._calls: set[asyncio.Future[object]] = set()
        self._idle_s = 0.0
        self._slowest_s: float | None = None
        self._up_since_s, self._down_since_s, self._short_lives = -math.inf, math.inf, 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self) -> None:
        """Starts taking batches from the queue, and the watch."""
        self._spawn(self._run(), "batches")
        self._spawn(self._watch(), "watch")

    async def stop(self) -> None:
        """Cancels the steps that wait. Waits for the one that runs, or kills the worker after `STOP_S`."""
        self.abandon()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail_queue(None)
        if self._calls:
            await asyncio.wait(self._calls, timeout=STOP_S)
        if self._calls:
            self.engine.kill()
            await asyncio.wait(self._calls, timeout=STOP_S)
        self._thread.shutdown(wait=False)

    def abandon(self) -> None:
        """The server is about to stop: a worker that dies is not replaced."""
        self._stopping = True

    # -- what is measured --------------------------------------------------------------------------------------------

    def busy(self) -> float:
        """The share of its time that its streams take."""
        return self.load.busy

    def show_interval_s(self) -> float:
        """See `LoadMeter.show_interval_s`."""
        return self.load.show_interval_s

    def queue_age_s(self) -> float:
        """How long the call that runs, or the first in the queue, has taken so far; 0 when there is none."""
        now_s, work = time.perf_counter(), self._work
        began_s = [work.began_s] if work else []
        return now_s - min(began_s + [waiting.since_s for waiting in list(self._queue)[:1]], default=now_s)

    @property
    def is_slow(self) -> bool:
        """Whether a call has been running for so long that its worker may hang."""
        return self._work is not None and self._work.waited_s >= SLOW_S

    @property
    def is_hopeless(self) -> bool:
        """Whether its worker does not start, or will not be started any more."""
        if self.is_up or self._stopping:
            return not self.is_up
        return self.failed_starts >= HOPELESS_STARTS and time.monotonic() - self._down_since_s >= HOPELESS_S

    # -- calls of the engine -----------------------------------------------------------------------------------------

    async def call(self, function: Callable[[], T]) -> T:
        """Calls it in the engine's thread, between steps. Raises `Lost`; other faults become `StepError`."""
        if self._is_gone():
            raise Lost
        try:
            return await asyncio.shield(self._submit(self._timeout_s(1), self._if_alive(function)))
        except Lost:
            raise
        except WorkerDied as error:
            raise Lost(in_step=True, alone=True) from error
        except Exception as error:
            raise for_clients(error) from error

    def _if_alive(self, function: Callable[[], T]) -> Callable[[], T]:
        """The function, unless the worker died while it waited for the thread: then it is no cause of that."""

        def checked() -> T:
            if not self.engine.is_alive:
                raise Lost
            return function()

        return checked

    async def step(self, session: StreamSession, strikes: int | None = None) -> None:
        """Queues the session and returns after its step; see `Scheduler.step`.

        `strikes`: a worker died in this session's last step. So it is stepped alone. Raises `Lost`.
        """
        done = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(session, done, time.perf_counter(), strikes))
        self._arrived.set()
        await done

    def _submit(self, timeout_s: float, function: Callable[[], T]) -> asyncio.Future[T]:
        """The call in the thread, under the watch. It ends by itself, whether or not somebody awaits it."""

        def watched() -> T:
            self._work = _Work(timeout_s, time.perf_counter())
            try:
                return function()
            finally:
                self._work = None

        call = asyncio.get_running_loop().run_in_executor(self._thread, watched)
        self._calls.add(call)  # type: ignore[arg-type]
        call.add_done_callback(self._called)
        return call

    def _called(self, call: asyncio.Future[T]) -> None:
        self._calls.discard(call)  # type: ignore[arg-type]
        self._idle_s = 0.0
        if not call.cancelled() and isinstance(call.exception(), WorkerDied | Lost):
            self._lose()

    def _timeout_s(self, streams: int, strikes: int = 0) -> float:
        """How long a step may take; see docs/OPERATING.md.

        Without any step yet there is no measure: the first one may load libraries, as the start does. A stream in whose
        step the worker was killed has twice the time in the next try: a slow machine must not kill for ever.
        """
        if self._slowest_s is None:
            return self._patience.start_timeout_s
        slow_s = self._patience.step_timeout_s + SLOWEST_FACTOR * streams * self._slowest_s
        return slow_s * float(2 ** min(strikes, MAX_DOUBLINGS))

    # -- batches -----------------------------------------------------------------------------------------------------

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
        get on however many finals are asked for. Uploads go behind live streams. One in whose step a worker died is
        alone: if it is the cause, no other stream is struck again.
        """
        waiting = [waiting for waiting in self._queue if not waiting.done.done()]
        able = self.precedence.first(waiting)
        urgent = [] if self._took_urgent else [one for one in able if one.session.is_urgent]
        self._took_urgent = bool(urgent)
        batch = _compatible(urgent or able)[: self._max_batch]
        taken = set(map(id, batch))
        self._queue = deque(one for one in waiting if id(one) not in taken)
        if not self._queue:
            self._arrived.clear()
        return batch

    async def _advance(self, batch: Sequence[_Waiting]) -> None:
        """Steps the whole batch. If that fails, steps the sessions one by one, so that only the faulty one fails.

        A failed `StreamEngine.step` has changed no session; after the worker's death nothing is stepped.
        """
        error = await self._step(batch) if batch else None
        if error is not None and len(batch) > 1 and not isinstance(error, Lost):
            for waiting in batch:
                _settle(waiting, await self._step([waiting]), self._metrics, self._labels)
            return
        for waiting in batch:
            _settle(waiting, error, self._metrics, self._labels)

    async def _step(self, batch: Sequence[_Waiting]) -> BaseException | None:
        if self._is_gone():
            return Lost()
        began_s = time.perf_counter()
        waits_s = [began_s - waiting.since_s for waiting in batch]
        sessions = [waiting.session for waiting in batch]
        decoded_s = [session.decoded_s for session in sessions]
        timeout_s = self._timeout_s(len(batch), max(waiting.strikes or 0 for waiting in batch))
        call = self._submit(timeout_s, self._if_alive(lambda: self.engine.step(sessions)))
        [result] = await asyncio.gather(asyncio.shield(call), return_exceptions=True)
        advances_s = [session.decoded_s - before_s for session, before_s in zip(sessions, decoded_s, strict=True)]
        took_s = time.perf_counter() - began_s
        if isinstance(result, Lost):
            return result
        if isinstance(result, WorkerDied):
            return Lost(in_step=True, alone=len(batch) == 1)
        self._slowest_s = max(took_s / len(batch), SLOWEST_DECAY * (self._slowest_s or 0.0))
        if result is True:
            self.load.add_early(took_s)
        else:
            self._measure(sessions, took_s, waits_s, advances_s)
        return result if isinstance(result, BaseException) else None

    def _measure(
        self, sessions: Sequence[StreamSession], took_s: float, waits_s: Sequence[float], advances_s: list[float]
    ) -> None:
        """Counts a step that has just ended, and adds it to the load."""
        labels, now_s = self._labels, time.perf_counter()
        for wait_s in waits_s:
            self._metrics.queue_s.labels(*labels).observe(wait_s)
        self._metrics.batch_size.labels(*labels).observe(len(sessions))
        self._metrics.step_s.labels(*labels).observe(took_s)
        elapsed_s = [now_s - self._stepped_s.get(session, now_s - took_s) for session in sessions]
        self.load.add(took_s * realtime_share(advances_s, elapsed_s), max(waits_s))
        if live := [number for number, session in enumerate(sessions) if self.precedence.is_live(session)]:
            share = realtime_share([advances_s[n] for n in live], [elapsed_s[n] for n in live])
            self.live_load.add(took_s * share * len(live) / len(sessions), max(waits_s[n] for n in live))
        self._stepped_s.update(dict.fromkeys(sessions, now_s))

    # -- the watch ---------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if (work := self._work) is not None:
                work.waited_s += WATCH_S
                if work.waited_s >= work.timeout_s:
                    self._kill_hung(work)
            elif self.is_up and not self._calls:
                self._watch_idle()

    def _kill_hung(self, work: _Work) -> None:
        if self.is_up:
            _log.error("%s hangs: no answer for %.0f s; it is killed", self._name, work.timeout_s)
            self._metrics.worker_hangs.labels(*self._labels, self._number).inc()
        else:
            _log.error("%s does not start within %.0f s; it is killed", self._name, work.timeout_s)
        work.timeout_s = math.inf
        self.engine.kill()

    def _watch_idle(self) -> None:
        """Looks whether a worker without work is alive, now and then by an empty step."""
        if self._is_gone():
            return
        self._idle_s += WATCH_S
        if self._idle_s >= IDLE_S:
            self._submit(self._timeout_s(1), lambda: self.engine.step([]))

    # -- a worker that is lost ---------------------------------------------------------------------------------------

    def _is_gone(self) -> bool:
        """Whether the worker is known to be dead or has just died: then nobody's step is to blame."""
        if self.is_up and not self.engine.is_alive:
            self._lose()
        return not self.is_up

    def _lose(self) -> None:
        """The worker has died. The sessions' callers are told, and it is restarted."""
        if not self.is_up:
            return
        self.is_up = False
        self.life += 1
        self._fail_queue(Lost())
        if not self._stopping:
            _log.error("%s has ended; its streams move, and it is restarted", self._name)
            self._spawn(self._revive(), "restart")
        self._on_change()

    def _fail_queue(self, error: Exception | None) -> None:
        """All that wait get the error; with None they are cancelled."""
        while self._queue:
            done = self._queue.popleft().done
            if error is None or done.done():
                done.cancel()
            else:
                done.set_exception(error)

    async def _revive(self) -> None:
        """Restarts the worker until that succeeds."""
        began_s = self._down_since_s = time.monotonic()
        self._short_lives = self._short_lives + 1 if began_s - self._up_since_s < SHORT_LIFE_S else 0
        await asyncio.sleep(_pause_s(self._short_lives - SHORT_LIVES))
        while not await self._restarted():
            self.failed_starts += 1
            self._metrics.failed_starts.labels(*self._labels, self._number).inc()
            self._on_change()
            await asyncio.sleep(_pause_s(self.failed_starts))
        self.failed_starts, self.is_up, self._up_since_s = 0, True, time.monotonic()
        self._metrics.worker_restarts.labels(*self._labels, self._number).inc()
        _log.warning("%s is back after %.1f s", self._name, self._up_since_s - began_s)
        self._on_change()

    async def _restarted(self) -> bool:
        try:
            await asyncio.shield(self._submit(self._patience.start_timeout_s, self.engine.restart))
        except Exception as error:  # noqa: BLE001 - tried again, whatever it is
            _log.error("%s does not start: %s", self._name, error)
            return False
        return True

    @property
    def _name(self) -> str:
        return f"worker {self._number} of {self.engine.release or self.engine.name}"

    def _spawn(self, work: "asyncio._CoroutineLike[None]", name: str) -> None:
        task = asyncio.create_task(work, name=f"{name} of {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _pause_s(failures: int) -> float:
    """Before the next try after so many failures in a row."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * float(2 ** min(failures - 1, 16))) if failures > 0 else 0.0


def _compatible(waiting: list[_Waiting]) -> list[_Waiting]:
    """Those that may share a step with the first; only the first if it must be alone."""
    if waiting and waiting[0].must_be_alone:
        return waiting[:1]
    return [one for one in waiting if not one.must_be_alone]


def _settle(waiting: _Waiting, error: BaseException | None, metrics: Metrics, labels: tuple[str, str]) -> None:
    is_lost = isinstance(error, Lost)
    if error is not None and not is_lost:
        metrics.failed_steps.labels(*labels).inc()
    if waiting.done.done():  # its caller has gone
        return
    if error is None:
        waiting.done.set_result(None)
    else:
        waiting.done.set_exception(error if is_lost else for_clients(error))


def for_clients(error: BaseException) -> Exception:
    """What the client did wrong, in its words. Anything else goes to the log only: it may hold paths."""
    if isinstance(error, CallerError) and not isinstance(error, ModelError):
        return error
    if isinstance(error, StepError):
        return error
    _log.error("recognition failed: %s", type(error).__name__, exc_info=error)
    ours = StepError("recognition failed inside the server; open a new stream")
    ours.__cause__ = error
    return ours
