"""Sessions that are ready -> batches -> `StreamEngine.step`. The only queue before a model, the only thread crossing.

A model has one or several replicas: each is an engine with a queue and a thread (`server.streams.replica`). While a
batch is in the thread the sessions that become ready gather in the queue. So batches grow with the load, and no session
waits on purpose.

    scheduler.start()
    session = await scheduler.open(settings, options)
    await scheduler.step(session)           # while session.ready
    scheduler.close(session)
    await scheduler.stop()

A session whose worker died moves with its next step to the replica with the most room, and its caller notices nothing
but the time that this takes.
"""

import asyncio
import logging
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from asr.config import SessionSettings
from asr.errors import ModelError
from server.metrics import Metrics
from server.streams.admission import RETRY_AFTER_S, Unavailable
from server.streams.load_meter import LoadMeter
from server.streams.precedence import Precedence
from server.streams.replica import Lost, Patience, Replica, StepError
from server.workers.contract import StreamEngine, StreamSession
from server.workers.messages import StreamOptions

_log = logging.getLogger("steadyword.server")

MAX_STRIKES = 6
"""A session that was stepped alone when its worker died, so often in a row and each time at the same place of its
audio, is the cause: it ends. Fewer might be chance where workers are killed one after the other."""
STRIKE_PAUSE_S = 1.0
"""After each such death the session waits so much longer before its next step. So the others get on first, and where
workers are killed by chance, it is rarely the same session again that is in the step."""
MAX_OPENINGS = 3
"""Workers that may die or be late while one session is opened."""
LATE_S = 2.0
"""Opening takes milliseconds. After this time the session is opened in another lane, if that has time."""


class _Place:
    """A session's place in a replica. Compared by identity: it outlives the session by a moment."""

    def __init__(self, replica: Replica, live: bool) -> None:
        self.replica, self._live = replica, live
        self.life: int | None = replica.life
        """The life of the replica in which the session was opened; None while it moves."""
        self.strikes: int | None = None
        """How often its step was the only one when its worker died; None after progress without a death."""
        self.pause_s = 0.0
        """Before the next step."""
        self._lost_at_s = 0.0
        self._open()

    @property
    def is_lost(self) -> bool:
        return self.life != self.replica.life or not self.replica.is_up

    def move(self, replica: Replica) -> None:
        self.close()
        self.replica, self.life = replica, None
        self._open()

    def _open(self) -> None:
        self.replica.load.open(self)
        if self._live:
            self.replica.live_load.open(self)

    def close(self) -> None:
        self.replica.load.close(self)
        self.replica.live_load.close(self)

    def blame(self, lost: Lost, reached_s: float) -> None:
        """Its worker died. Was it in a step of this session, as at the last time?"""
        if lost.in_step:
            is_again = self.strikes is not None and reached_s == self._lost_at_s
            self.strikes = (self.strikes or 0 if is_again else 0) + lost.alone
            self._lost_at_s = reached_s
            self.pause_s = STRIKE_PAUSE_S * self.strikes

    def clear(self, reached_s: float) -> None:
        """A step went well. A session that is past the place where its worker died was not the cause."""
        if self.strikes is not None and reached_s > self._lost_at_s:
            self.strikes = None


class Scheduler:
    """The replicas of one release. `start` and `stop` it on the event loop that awaits its steps."""

    def __init__(
        self, engines: Sequence[StreamEngine], max_batch: int, metrics: Metrics, *, patience: Patience
    ) -> None:
        """Raises `ModelError` for engines of different weights: a stream that moves would get other words."""
        _check_same(engines)
        self.engines = tuple(engines)
        self.engine = engines[0]
        """The first replica's: name, release, weights and languages are the same in all."""
        self._metrics = metrics
        self._changed = asyncio.Event()
        self._replicas = [
            Replica(engine, max_batch, metrics, patience=patience, number=number, on_change=self._changed.set)
            for number, engine in enumerate(engines)
        ]
        self._precedence = Precedence()
        self._holds = 0
        self._labels = labels = (self.engine.name, self.engine.release)
        for number, replica in enumerate(self._replicas):
            replica.precedence = self._precedence
            metrics.load.labels(*labels, number).set_function(replica.busy)
            metrics.queue_age_s.labels(*labels, number).set_function(replica.queue_age_s)
            metrics.show_interval_s.labels(*labels, number).set_function(replica.show_interval_s)
        metrics.lanes_ready.labels(*labels).set_function(lambda: float(len(self._up)))
        metrics.seats.labels(*labels).set_function(lambda: float(self.seats))
        metrics.model.labels(*labels, self.engine.weights_sha256).set(1)
        self._place_of: WeakKeyDictionary[StreamSession, _Place] = WeakKeyDictionary()

    def start(self) -> None:
        """Starts taking batches from the queues."""
        for replica in self._replicas:
            replica.start()

    async def stop(self) -> None:
        """Cancels the steps that wait. Waits a moment for those that run, then kills their workers."""
        await asyncio.gather(*(replica.stop() for replica in self._replicas))

    def abandon(self) -> None:
        """The server is about to stop: kills the workers and restarts none. All calls end, with errors."""
        for replica in self._replicas:
            replica.abandon()
            replica.engine.kill()
        self._changed.set()

    @property
    def _up(self) -> list[Replica]:
        return [replica for replica in self._replicas if replica.is_up]

    @property
    def ref(self) -> str:
        """Its release, or the model's name where it is none."""
        return self.engine.release or self.engine.name

    @property
    def seats(self) -> int:
        """How many streams and uploads sit here."""
        return sum(replica.load.streams for replica in self._replicas)

    @property
    def live_seats(self) -> int:
        """Live streams alone: somebody waits for their words."""
        return sum(replica.live_load.streams for replica in self._replicas)

    @property
    def is_empty(self) -> bool:
        """Whether no stream sits here, and none is about to."""
        return not self._holds and not self.seats

    @contextmanager
    def held(self) -> Iterator[None]:
        """Not empty meanwhile, for those who open several sessions, one after the other."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    @property
    def lanes(self) -> tuple[int, int]:
        """How many of its workers are ready, and how many there are."""
        return len(self._up), len(self._replicas)

    @property
    def replicas(self) -> Sequence[Replica]:
        """Its lanes."""
        return self._replicas

    @property
    def trouble(self) -> str:
        """Why no stream can be served, "" if one can."""
        if self._up:
            return ""
        state = "do not start; see the log" if all(r.failed_starts for r in self._replicas) else "are being restarted"
        return f"the workers of model {self.ref} {state}"

    def fits(self, max_load: float, *, live: bool = True) -> bool:
        """Whether one of the replicas has room for another stream. Uploads leave a live one all of their time."""
        loads = (replica.live_load if live else replica.load for replica in self._up)
        return any(load.fits(max_load) for load in loads)

    def calibrate(self, cost: float) -> None:
        """Sets the share of a replica's time that one stream is expected to take, measured at start."""
        for replica in self._replicas:
            replica.load.calibrate(cost)
            replica.live_load.calibrate(cost)

    @property
    def loads(self) -> list[LoadMeter]:
        """The load meters of the replicas, in their order."""
        return [replica.load for replica in self._replicas]

    async def open(self, settings: SessionSettings, options: StreamOptions, *, live: bool = True) -> StreamSession:
        """Opens a session in the replica with the most room. Raises what that raises, `Unavailable`, `StepError`.

        `live` is False for an upload, see `server.streams.precedence`.
        """
        if not self._up:
            self._metrics.refused.labels("no_worker").inc()
            raise Unavailable(f"{self.trouble}; try again in {RETRY_AFTER_S} seconds")
        with self.held():
            return await self._open(settings, options, live)

    async def _open(self, settings: SessionSettings, options: StreamOptions, live: bool) -> StreamSession:
        for attempt in range(MAX_OPENINGS):
            await self.wait_until_up()  # for more than a moment only if all workers died just now
            place = _Place(self._roomiest(), live)  # counted before it is open: those who come meanwhile go elsewhere
            try:
                session = await self._opened(place, settings, options, is_last=attempt == MAX_OPENINGS - 1)
            except BaseException as error:
                place.close()
                if not isinstance(error, Lost | TimeoutError):
                    raise
            else:
                self._place_of[session] = place
                self._precedence.open(session, live=live)
                weakref.finalize(session, place.close)
                return session
        raise StepError("recognition failed inside the server; open a new stream")

    async def _opened(
        self, place: _Place, settings: SessionSettings, options: StreamOptions, is_last: bool
    ) -> StreamSession:
        """Raises `TimeoutError` where it is late and another lane is not, except for the last try."""
        lane = place.replica
        others = [other for other in self._up if other is not lane and not other.is_slow]
        async with asyncio.timeout(LATE_S if others and not is_last else None):
            return await lane.call(lambda: lane.engine.open(settings, options))

    def _roomiest(self) -> Replica:
        return min(self._up, key=lambda lane: (lane.is_slow, round(lane.load.demand, 2), lane.load.streams))

    def close(self, session: StreamSession) -> None:
        """Frees the session's place. A session that nothing refers to any more frees it by itself."""
        self._place_of[session].close()
        self._precedence.close(session)

    async def step(self, session: StreamSession) -> None:
        """One step of this session, in a batch with others that wait. Until it returns, do not touch the session.

        When its worker dies, it moves and is stepped again. Raises `StepError` when the step of this very session
        failed or when it seems to kill workers, `Unavailable` when no worker starts any more. A cancelled caller must
        not touch the session again: its step may be running, and a running step is never interrupted.
        """
        place = self._place_of[session]
        while True:
            try:
                if place.is_lost:
                    await self._move(session, place)
                if place.pause_s:
                    pause_s, place.pause_s = place.pause_s, 0.0
                    await asyncio.sleep(pause_s)
                await place.replica.step(session, place.strikes)
            except Lost as lost:
                self._blame(session, place, lost)
            else:
                place.clear(session.reached_s)
                return

    async def _move(self, session: StreamSession, place: _Place) -> None:
        """Continues the session in the replica with the most room. Raises `Lost` if that dies too, `Unavailable`."""
        await self.wait_until_up()
        replica = self._roomiest()
        place.move(replica)
        life, engine = replica.life, replica.engine
        await replica.call(lambda: engine.adopt(session))
        place.life = life
        self._metrics.moved_streams.labels(*self._labels).inc()

    async def wait_until_up(self) -> None:
        """Raises `Unavailable` when no replica is up, and none seems to come up."""
        while not self._up:
            if all(replica.is_hopeless for replica in self._replicas):
                raise Unavailable(f"{self.trouble}; open a new stream later")
            self._changed.clear()
            await self._changed.wait()

    def _blame(self, session: StreamSession, place: _Place, lost: Lost) -> None:
        """Raises `StepError` for a session that has killed too many workers."""
        place.blame(lost, session.reached_s)
        if place.strikes is not None and place.strikes >= MAX_STRIKES:
            _log.error("a stream of model %s is ended: %d workers died with it", self.ref, place.strikes + 1)
            raise StepError("recognition of this stream fails inside the server, again and again; it is given up")

    def show_interval_s(self, session: StreamSession) -> float:
        """See `LoadMeter.show_interval_s`."""
        return self._place_of[session].replica.load.show_interval_s

    def must_give_way(self, session: StreamSession, is_late: bool, apart_s: float) -> bool:
        """Whether this stream, late for long, is the one to close now so that the others can keep up.

        Between two such streams at least `apart_s` pass.
        """
        place = self._place_of[session]
        place.replica.load.mark_late(place, is_late)
        place.replica.live_load.mark_late(place, is_late)
        return is_late and place.replica.load.must_give_way(place, apart_s)


def _check_same(engines: Sequence[StreamEngine]) -> None:
    """Raises `ModelError` where the model's files changed while its workers were loaded."""
    kinds = {(engine.name, engine.release, engine.weights_sha256) for engine in engines}
    if len(kinds) > 1:
        hashes = ", ".join(sorted(sha256[:12] for _, _, sha256 in kinds))
        raise ModelError(f"model {engines[0].name}: found workers with different weights ({hashes}), wanted the same")
