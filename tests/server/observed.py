"""Releases of a running server whose streams are noted in a ledger."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from server.roster.roster import Plan
from server.streams.scheduler import Scheduler
from tests.server.running import Running
from tests.server.shadow.rig import LetterEngine

SALT = "s" * 40
PATIENT = {"idle_timeout_s": 300.0, "send_timeout_s": 300.0}
"""On a busy machine a client's next frame may come late."""
NAME = "scripted-1"


def release(number: int, engine: type[LetterEngine] = LetterEngine) -> LetterEngine:
    made = engine()
    made.release, made.weights_sha256 = f"{NAME}/{number}", str(number) * 64
    return made


def on_loop(server: Running, work: Coroutine[Any, Any, Any]) -> Any:
    """Runs it on the server's event loop."""
    loop = server.service.roster.schedulers[0]._replicas[0]._tasks.copy().pop().get_loop()
    return asyncio.run_coroutine_threadsafe(work, loop).result(30)


def put(server: Running, alias: str, engine: LetterEngine, **options: float) -> Scheduler:
    """Loads the release and puts it behind the alias, as the ledger's follower does."""

    async def assign() -> Scheduler:
        roster = server.service.roster
        scheduler = server.service.scheduler_of([engine])
        roster.add(scheduler)
        scheduler.start()
        roster.assign(NAME, alias, scheduler)
        roster.plan(NAME, {alias: Plan(engine.release, options)})
        return scheduler

    scheduler: Scheduler = on_loop(server, assign())
    return scheduler
