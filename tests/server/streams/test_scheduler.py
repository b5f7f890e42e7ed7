"""Batches, faulty sessions, callers that go away, replicas."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest

from asr.config import SessionSettings
from server.metrics import Metrics
from server.streams.replica import StepError
from server.streams.scheduler import Scheduler
from server.workers.messages import StreamOptions
from tests.server.fakes import POISON, ScriptedEngine
from tests.server.running import PATIENCE, pcm


async def with_audio(scheduler: Scheduler, seconds: float = 1.0, value: float = 0.0) -> Any:
    session = await scheduler.open(SessionSettings(), StreamOptions())
    session.receive_audio(np.frombuffer(pcm(seconds, value), "<i2").astype(np.float32) / 32768)
    return session


def scheduling(work: Callable[[Scheduler, ScriptedEngine], Awaitable[None]], max_batch: int = 8) -> ScriptedEngine:
    """Runs `work` with the scheduler of a new engine."""
    engine = ScriptedEngine()

    async def run() -> None:
        scheduler = Scheduler([engine], max_batch, Metrics(), patience=PATIENCE)
        scheduler.start()
        try:
            await work(scheduler, engine)
        finally:
            engine.gate.set()
            await scheduler.stop()

    asyncio.run(run())
    return engine


async def gathered(scheduler: Scheduler, sessions: list[Any]) -> list[BaseException | None]:
    return await asyncio.gather(*(scheduler.step(s) for s in sessions), return_exceptions=True)


def test_sessions_that_wait_together_are_stepped_together() -> None:
    """No batch is larger than the bound, and no session is left out."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        sessions = [await with_audio(scheduler) for _ in range(5)]
        assert await gathered(scheduler, sessions) == [None] * 5
        assert all(session.take_events() for session in sessions)

    assert scheduling(work, max_batch=3).batches == [3, 2]


def test_a_session_whose_client_waits_overtakes_the_others_but_not_twice_in_a_row() -> None:
    """Its batch is short. However many finals are asked for, every second batch takes all."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        sessions = [await with_audio(scheduler) for _ in range(6)]
        for session in sessions[3:]:
            session.receive_finalize()
        await gathered(scheduler, sessions)

    assert scheduling(work, max_batch=2).batches == [2, 2, 1, 1]


def test_only_the_faulty_session_of_a_failed_batch_fails() -> None:
    """The others are stepped one by one, and get their events."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        sessions = [await with_audio(scheduler), await with_audio(scheduler, value=POISON), await with_audio(scheduler)]
        first, second, third = await gathered(scheduler, sessions)
        assert (first, third) == (None, None)
        assert isinstance(second, StepError)
        assert "poison" in str(second.__cause__)
        assert sessions[0].take_events()
        assert sessions[2].take_events()

    assert scheduling(work).batches == [3, 1, 1, 1]


def test_a_caller_that_goes_away_while_waiting_is_not_stepped() -> None:
    """Nobody would take its events."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        first, gone = await with_audio(scheduler), await with_audio(scheduler)
        engine.gate.clear()
        busy = asyncio.create_task(scheduler.step(first))
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(scheduler.step(gone))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        engine.gate.set()
        await busy
        assert gone.take_events() == []

    assert scheduling(work).batches == [1]


def test_a_caller_that_goes_away_during_its_step_disturbs_nobody() -> None:
    """The step runs to its end; the next one follows."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        first = await with_audio(scheduler)
        engine.gate.clear()
        leaving = asyncio.create_task(scheduler.step(first))
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        engine.gate.set()
        await scheduler.step(await with_audio(scheduler))

    assert scheduling(work).batches == [1, 1]


def test_stopping_leaves_nobody_waiting() -> None:
    """Callers that wait for a stopped scheduler are cancelled."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        sessions = [await with_audio(scheduler) for _ in range(4)]
        engine.gate.clear()
        waiting = [asyncio.create_task(scheduler.step(session)) for session in sessions[:3]]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.create_task(scheduler.step(sessions[3])))
        await asyncio.sleep(0)
        engine.gate.set()
        await scheduler.stop()
        with pytest.raises(asyncio.CancelledError):
            await waiting[-1]
        await asyncio.gather(*waiting, return_exceptions=True)

    scheduling(work)


def test_sessions_are_spread_over_the_replicas_and_stay_there() -> None:
    """Two engines: each has half of the sessions, and both step at the same time."""
    engines = [ScriptedEngine(), ScriptedEngine()]

    async def run() -> None:
        scheduler = Scheduler(engines, 8, Metrics(), patience=PATIENCE)
        scheduler.start()
        sessions = [await with_audio(scheduler) for _ in range(4)]
        assert [len(engine.opened) for engine in engines] == [2, 2]
        engines[0].gate.clear()
        held = asyncio.create_task(scheduler.step(engines[0].opened[0]))
        await scheduler.step(engines[1].opened[0])  # on the same replica it would wait forever
        assert not held.done()
        engines[0].gate.set()
        await held
        assert await gathered(scheduler, sessions) == [None] * 4
        await scheduler.stop()

    asyncio.run(run())


def test_a_stream_that_is_over_makes_room_in_its_replica() -> None:
    """When it is closed, or when nothing refers to it: the next sessions go where fewer are left."""
    engines = [ScriptedEngine(), ScriptedEngine()]

    async def run() -> None:
        scheduler = Scheduler(engines, 8, Metrics(), patience=PATIENCE)
        sessions = [await scheduler.open(SessionSettings(), StreamOptions()) for _ in range(6)]
        scheduler.close(sessions[1])
        del sessions[3]  # of the second replica, as the one before
        for engine in engines:
            engine.opened.clear()
        gc.collect()
        sessions += [await scheduler.open(SessionSettings(), StreamOptions()) for _ in range(2)]
        assert [len(engine.opened) for engine in engines] == [0, 2]
        await scheduler.stop()

    asyncio.run(run())
