"""The one queue: batches, culprits, callers who go away."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from server.metrics import Metrics
from server.scheduler import Scheduler, StepError
from tests.server.fakes import POISON, ScriptedEngine, ScriptedSession
from tests.server.running import pcm


def heard(engine: ScriptedEngine, seconds: float = 1.0, value: float = 0.0) -> ScriptedSession:
    session = engine.open()
    session.receive_audio(np.frombuffer(pcm(seconds, value), "<i2").astype(np.float32) / 32768)
    return session


def scheduling(work: Callable[[Scheduler, ScriptedEngine], Awaitable[None]], max_batch: int = 8) -> ScriptedEngine:
    """Runs `work` with a scheduler before a fresh engine."""
    engine = ScriptedEngine()

    async def run() -> None:
        scheduler = Scheduler(engine, max_batch, Metrics())  # type: ignore[arg-type]
        scheduler.start()
        try:
            await work(scheduler, engine)
        finally:
            engine.gate.set()
            await scheduler.stop()

    asyncio.run(run())
    return engine


async def gathered(scheduler: Scheduler, sessions: list[ScriptedSession]) -> list[BaseException | None]:
    return await asyncio.gather(*(scheduler.step(s) for s in sessions), return_exceptions=True)  # type: ignore[arg-type]


def test_those_who_wait_together_are_stepped_together() -> None:
    """No batch is larger than the bound, and nobody is left out."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        sessions = [heard(engine) for _ in range(5)]
        assert await gathered(scheduler, sessions) == [None] * 5
        assert all(session.take_events() for session in sessions)

    assert scheduling(work, max_batch=3).batches == [3, 2]


def test_only_the_culprit_of_a_failed_batch_fails() -> None:
    """The others are stepped one by one, and have their events."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        sessions = [heard(engine), heard(engine, value=POISON), heard(engine)]
        first, second, third = await gathered(scheduler, sessions)
        assert (first, third) == (None, None)
        assert isinstance(second, StepError)
        assert "poison" in str(second.__cause__)
        assert sessions[0].take_events()
        assert sessions[2].take_events()

    assert scheduling(work).batches == [3, 1, 1, 1]


def test_a_caller_who_goes_away_while_waiting_is_not_stepped() -> None:
    """Its session was given up."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        engine.gate.clear()
        busy = asyncio.create_task(scheduler.step(heard(engine)))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        gone = heard(engine)
        leaving = asyncio.create_task(scheduler.step(gone))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        engine.gate.set()
        await busy
        assert gone.take_events() == []

    assert scheduling(work).batches == [1]


def test_a_caller_who_goes_away_during_its_step_hurts_nobody() -> None:
    """The step goes on to its end; the next one comes after it."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        engine.gate.clear()
        leaving = asyncio.create_task(scheduler.step(heard(engine)))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        engine.gate.set()
        await scheduler.step(heard(engine))  # type: ignore[arg-type]

    assert scheduling(work).batches == [1, 1]


def test_stopping_leaves_nobody_waiting() -> None:
    """Who waits for a scheduler that was stopped is cancelled."""

    async def work(scheduler: Scheduler, engine: ScriptedEngine) -> None:
        engine.gate.clear()
        waiting = [asyncio.create_task(scheduler.step(heard(engine))) for _ in range(3)]  # type: ignore[arg-type]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.create_task(scheduler.step(heard(engine))))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        engine.gate.set()
        await scheduler.stop()
        with pytest.raises(asyncio.CancelledError):
            await waiting[-1]
        await asyncio.gather(*waiting, return_exceptions=True)

    scheduling(work)
