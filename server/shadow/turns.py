"""When the second hearing may work: one recording at a time, and only while no live stream wants its lane."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Protocol

from server.streams.load_meter import MAX_SHOWN_LOAD
from server.streams.scheduler import Scheduler
from server.workers.contract import StreamSession

PAUSE_S = 0.02
"""Between two looks at the live lanes."""


class Lane(Protocol):
    """What is asked of a live lane; `server.streams.replica.Replica` answers."""

    def busy(self) -> float: ...
    def queue_age_s(self) -> float: ...


class Turns:
    """The turns of all recordings. `lanes` gives the lanes that serve live streams at the moment."""

    def __init__(self, lanes: Callable[[], Iterable[Lane]]) -> None:
        self._lanes = lanes
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The turn of one recording, first come, first served; it begins when the live lanes are idle.

        What is heard is taken from the recording within a turn. So all that waits stays in the recording, where its
        memory and its age are seen, and no session is open for it.
        """
        async with self._one:
            await self._until_idle()
            yield

    async def step(self, scheduler: Scheduler, session: StreamSession) -> None:
        """One step within a turn, as soon as the live lanes are idle. Raises as `Scheduler.step`."""
        await self._until_idle()
        await scheduler.step(session)

    async def _until_idle(self) -> None:
        while not self.is_idle():
            await asyncio.sleep(PAUSE_S)

    def is_idle(self) -> bool:
        """No live lane steps or has a stream waiting, and each has time left: as for words that are shown early."""
        return all(lane.queue_age_s() == 0.0 and lane.busy() < MAX_SHOWN_LOAD for lane in self._lanes())
