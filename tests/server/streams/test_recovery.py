"""Workers that die, hang or do not start, under streams: no event is lost, and the lane comes back by itself.

Unreal: the workers are in this process (`tests.server.workers.helpers.InProcess`); real ones die in
`tests/server/test_drill.py`.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from asr.config import SessionSettings
from asr.errors import ModelError
from asr.events import Final
from server.metrics import Metrics
from server.streams import replica, scheduler
from server.streams.admission import Unavailable
from server.streams.replica import Patience, StepError
from server.streams.scheduler import MAX_STRIKES, Scheduler
from server.workers.messages import Audio, Open, Step, StreamOptions
from server.workers.process import WorkerDied
from server.workers.remote import RemoteEngine
from tests.server.fakes import words
from tests.server.workers.helpers import InProcess, scripted_worker

DEADLY = 0.25
"""A sample with which a step kills its worker."""
STEP_TIMEOUT_S = 0.5


class Mortal(InProcess):
    """A worker that dies of a sample, hangs when told so until it is killed, and can refuse to start."""

    def __init__(self) -> None:
        super().__init__(scripted_worker)
        self.hangs = self.dies_at_open = self.dies_at_step = False
        self.failing_starts = self.deaths = 0
        self._killed = threading.Event()

    def send(self, request: Any) -> None:
        if self.hangs:
            assert self._killed.wait(30), "a hung worker was never killed"
        dies = (self.dies_at_open and isinstance(request, Open)) or (self.dies_at_step and isinstance(request, Step))
        if dies or _is_deadly(request):
            self.kill()
        super().send(request)

    def kill(self) -> None:
        self.deaths += not self._died
        super().kill()
        self._killed.set()

    def restart(self) -> Any:
        if self.failing_starts:
            self.failing_starts -= 1
            raise ModelError("/secret/path holds no model")
        self.hangs = self.dies_at_open = self.dies_at_step = False
        self._killed.clear()
        return super().restart()


def _is_deadly(request: Any) -> bool:
    calls = [call for one in request.inputs for call in one.calls] if isinstance(request, Step) else []
    return any((call.samples == DEADLY).any() for call in calls if isinstance(call, Audio))


class Lanes:
    """A scheduler with mortal workers."""

    def __init__(self, count: int, step_timeout_s: float = STEP_TIMEOUT_S) -> None:
        self.metrics = Metrics()
        self.workers = [Mortal() for _ in range(count)]
        self.engines = [RemoteEngine(worker) for worker in self.workers]
        for engine in self.engines:
            engine.await_ready()
        self.scheduler = Scheduler(self.engines, 8, self.metrics, patience=Patience(step_timeout_s, 5.0))

    def metric(self, name: str) -> float:
        return sum(
            sample.value
            for metric in self.metrics.registry.collect()
            for sample in metric.samples
            if sample.name == name
        )

    async def stream(self, seconds: float = 10.0, value: float = 0.0, pace_s: float = 0.0) -> str:
        """The text of a stream in pieces of half a second, with a finalize request in the middle."""
        session = await self.scheduler.open(SessionSettings(), StreamOptions())
        events = []
        pieces = round(seconds * 2)
        for number in range(pieces):
            session.receive_audio(np.full(8000, value if number == pieces // 2 else 0.0, np.float32))
            if number == pieces // 3:
                session.receive_finalize()
            if number == pieces - 1:
                session.receive_end()
            while session.ready:
                await self.scheduler.step(session)
            events += session.take_events()
            await asyncio.sleep(pace_s)
        assert session.ended
        self.scheduler.close(session)
        return "".join(event.text for event in events if isinstance(event, Final)).strip()

    async def all_up(self) -> None:
        async with asyncio.timeout(20):
            while self.scheduler.lanes[0] < self.scheduler.lanes[1]:
                await asyncio.sleep(0.01)


def lanes(count: int, work: Callable[[Lanes], Awaitable[None]], step_timeout_s: float = STEP_TIMEOUT_S) -> Lanes:
    """Runs `work`, and stops the scheduler after it."""
    made = Lanes(count, step_timeout_s)

    async def run() -> None:
        made.scheduler.start()
        try:
            async with asyncio.timeout(60):
                await work(made)
        finally:
            await made.scheduler.stop()

    asyncio.run(run())
    return made


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of the watch that fit a test."""
    monkeypatch.setattr(replica, "WATCH_S", 0.02)
    monkeypatch.setattr(replica, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(replica, "IDLE_S", 0.1)
    monkeypatch.setattr(replica, "SLOW_S", 0.1)
    monkeypatch.setattr(replica, "HOPELESS_S", 0.2)
    monkeypatch.setattr(scheduler, "STRIKE_PAUSE_S", 0.02)


@pytest.mark.parametrize("count", [1, 2])
def test_streams_go_on_after_the_death_of_their_worker(count: int) -> None:
    """In the other lane, or in the same one when it is back. Nobody sees more than a delay."""

    async def work(made: Lanes) -> None:
        async def kill() -> None:
            for number in range(6):
                await asyncio.sleep(0.07)
                made.workers[number % count].kill()

        *texts, _ = await asyncio.gather(*(made.stream(pace_s=0.03) for _ in range(8)), kill())
        assert texts == [words(20)] * 8
        await made.all_up()

    made = lanes(count, work)
    assert made.metric("asr_moved_streams_total") >= 8
    assert made.metric("asr_worker_restarts_total") >= 3
    assert made.metric("asr_failed_steps_total") == 0


def test_a_lane_without_streams_restarts_its_worker_by_itself() -> None:
    """At once, not when the next stream comes."""

    async def work(made: Lanes) -> None:
        made.workers[0].kill()
        while not made.metric("asr_worker_restarts_total"):
            await asyncio.sleep(0.01)

    lanes(2, work)


def test_a_hung_step_is_noticed_and_its_streams_go_on() -> None:
    """Its age shows in the metrics; new streams go elsewhere; the worker is killed at its deadline."""

    async def work(made: Lanes) -> None:
        await asyncio.gather(made.stream(1.0), made.stream(1.0))  # one in each lane: measures what a step takes
        made.workers[0].hangs = made.workers[1].hangs = True
        streams = [asyncio.create_task(made.stream()) for _ in range(4)]
        await asyncio.sleep(STEP_TIMEOUT_S / 2)
        assert made.metric("asr_queue_age_seconds") > 0.05
        assert await asyncio.gather(*streams) == [words(20)] * 4

    made = lanes(2, work)
    assert made.metric("asr_worker_hangs_total") == 2


def test_a_worker_that_hangs_without_a_stream_is_noticed() -> None:
    """It is asked for a sign of life now and then."""

    async def work(made: Lanes) -> None:
        await made.stream(1.0)
        made.workers[0].hangs = True
        while made.metric("asr_worker_restarts_total") < 1:
            await asyncio.sleep(0.01)

    assert lanes(1, work).metric("asr_worker_hangs_total") == 1


def test_a_stream_that_kills_its_workers_is_ended_and_no_other() -> None:
    """After the first death those of its batch are stepped alone, so the culprit is found."""

    async def work(made: Lanes) -> None:
        streams = [made.stream(pace_s=0.01) for _ in range(5)]
        *texts, culprit = await asyncio.gather(*streams, made.stream(value=DEADLY), return_exceptions=True)
        assert texts == [words(20)] * 5
        assert isinstance(culprit, StepError)
        assert "given up" in str(culprit)
        await made.all_up()

    made = lanes(2, work)
    assert sum(worker.deaths for worker in made.workers) <= 1 + MAX_STRIKES


def test_all_lanes_die_at_once_and_do_not_start_at_first() -> None:
    """Streams wait, new ones are refused, readiness says why; then all go on."""

    async def work(made: Lanes) -> None:
        streams = [asyncio.create_task(made.stream(pace_s=0.03)) for _ in range(4)]
        await asyncio.sleep(0.1)
        for worker in made.workers:
            worker.failing_starts = 2
            worker.kill()
        while made.scheduler.lanes != (0, 2):
            await asyncio.sleep(0)
        assert "are being restarted" in made.scheduler.trouble
        assert not made.scheduler.fits(99.0)
        with pytest.raises(Unavailable, match="try again"):
            await made.stream()
        assert await asyncio.gather(*streams) == [words(20)] * 4
        assert made.scheduler.trouble == ""

    assert lanes(2, work).metric("asr_worker_failed_starts_total") == 4


def test_streams_end_when_no_worker_starts_any_more() -> None:
    """With a sentence without paths. The lane goes on trying."""

    async def work(made: Lanes) -> None:
        stream = asyncio.create_task(made.stream(pace_s=0.03))
        await asyncio.sleep(0.1)
        made.workers[0].failing_starts = 8
        made.workers[0].kill()
        with pytest.raises(Unavailable, match="do not start") as caught:
            await stream
        assert "do not start" in made.scheduler.trouble
        assert "secret" not in str(caught.value) + made.scheduler.trouble
        await made.all_up()
        assert await made.stream() == words(20)

    lanes(1, work)


def test_a_session_is_opened_elsewhere_when_its_lane_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the worker is known to hang."""
    monkeypatch.setattr(scheduler, "LATE_S", 0.4)

    async def work(made: Lanes) -> None:
        await asyncio.gather(made.stream(1.0), made.stream(1.0))
        made.workers[0].hangs = True
        assert await made.stream(1.0) == words(2)

    assert lanes(2, work, step_timeout_s=300.0).metric("asr_worker_hangs_total") == 0


def test_a_stream_that_goes_on_behind_the_place_of_a_death_is_not_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often workers are killed while it is stepped."""
    monkeypatch.setattr(replica, "SHORT_LIVES", 99)

    async def work(made: Lanes) -> None:
        session = await made.scheduler.open(SessionSettings(), StreamOptions())
        for _ in range(3 * MAX_STRIKES):
            session.receive_audio(np.zeros(8000, np.float32))
            made.workers[0].dies_at_step = True
            await made.scheduler.step(session)
        assert session.decoded_s == 1.5 * MAX_STRIKES

    lanes(1, work)


def test_only_the_stream_in_the_step_is_blamed_not_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many move at once into a lane whose worker dies again."""
    monkeypatch.setattr(replica, "SHORT_LIVES", 99)

    async def work(made: Lanes) -> None:
        sessions = [await made.scheduler.open(SessionSettings(), StreamOptions()) for _ in range(6)]
        for _ in range(2 * MAX_STRIKES):
            for session in sessions:
                session.receive_audio(np.zeros(8000, np.float32))
            made.workers[0].dies_at_step = True
            await asyncio.gather(*(made.scheduler.step(session) for session in sessions))

    lanes(1, work)


def test_workers_that_die_soon_after_each_start_are_restarted_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something is broken: a restart costs seconds of a core. The first few deaths cost no pause."""
    failures: list[int] = []

    def pause_s(count: int) -> float:
        failures.append(count)
        return 0.0

    monkeypatch.setattr(replica, "_pause_s", pause_s)

    async def work(made: Lanes) -> None:
        for number in range(1, replica.SHORT_LIVES + 3):
            made.workers[0].kill()
            while made.metric("asr_worker_restarts_total") < number:
                await asyncio.sleep(0.01)

    lanes(1, work)
    assert failures == list(range(-replica.SHORT_LIVES, 2))


def test_pauses_between_restarts_double_up_to_a_limit() -> None:
    """From `FIRST_PAUSE_S` on."""
    first = replica.FIRST_PAUSE_S
    assert [replica._pause_s(count) for count in (-1, 0, 1, 2, 3)] == [0.0, 0.0, first, 2 * first, 4 * first]
    assert replica._pause_s(10**6) == replica.LONGEST_PAUSE_S


def test_a_death_while_a_stream_opens_is_no_error() -> None:
    """Another lane opens it."""

    async def work(made: Lanes) -> None:
        made.workers[0].dies_at_open = True
        assert await made.stream() == words(20)

    lanes(2, work)


def test_a_scheduler_stops_although_its_workers_hang() -> None:
    """They are killed, and none is restarted."""

    async def work(made: Lanes) -> None:
        await made.stream(1.0)
        made.workers[0].hangs = True
        stream = asyncio.create_task(made.stream())
        await asyncio.sleep(0.05)
        made.scheduler.abandon()
        with pytest.raises(Unavailable):
            await stream

    assert lanes(1, work).metric("asr_worker_restarts_total") == 0


def test_other_files_than_at_the_start_are_no_replacement() -> None:
    """Words of another model would not fit those of the open streams."""
    (engine,) = Lanes(1).engines
    hello = engine.hello
    object.__setattr__(engine._hello, "weights_sha256", "6" * 64)
    with pytest.raises(ModelError, match="found other files"):
        engine.restart()
    object.__setattr__(hello, "weights_sha256", "5" * 64)
    with pytest.raises(WorkerDied):
        engine.step([])
