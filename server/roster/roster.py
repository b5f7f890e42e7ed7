"""name -> {champion, canary, shadow} -> scheduler. Used on the event loop only, so an assignment is one moment for all.

    roster.add(scheduler)                          # it is loaded, and no stream sits there yet
    roster.assign("tiny", CHAMPION, scheduler)     # from now on new streams sit there
    scheduler = roster.seat("tiny")                # before anything of a stream touches a model
    await roster.dismiss(old)                      # when it is `unused`

A stream keeps its scheduler until it ends, whatever is assigned meanwhile: so all of its words come from one release.
"""

import asyncio
from collections.abc import Mapping

from server.metrics import Metrics
from server.streams.scheduler import Scheduler

CHAMPION, CANARY, SHADOW = "champion", "canary", "shadow"


class Roster:
    """The schedulers of one server."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loaded: list[Scheduler] = []
        self._assigned: dict[str, dict[str, Scheduler]] = {}

    @property
    def champions(self) -> Mapping[str, Scheduler]:
        """The champion of each model that has one."""
        return {name: arms[CHAMPION] for name, arms in self._assigned.items() if CHAMPION in arms}

    @property
    def schedulers(self) -> tuple[Scheduler, ...]:
        """All that are loaded, those without an alias included."""
        return tuple(self._loaded)

    def add(self, scheduler: Scheduler) -> None:
        """Takes a scheduler with its workers; nobody sits there before it is assigned."""
        self._loaded.append(scheduler)

    def assigned(self, name: str, alias: str) -> Scheduler | None:
        """The scheduler behind an alias of a model."""
        return self._assigned.get(name, {}).get(alias)

    def assign(self, name: str, alias: str, scheduler: Scheduler | None) -> None:
        """Puts a loaded scheduler behind the alias; None takes the alias away. Streams that are open stay seated."""
        arms = self._assigned.setdefault(name, {})
        if arms.get(alias) is scheduler:
            return
        if scheduler is None:
            del arms[alias]
        else:
            arms[alias] = scheduler
        self._metrics.swaps.labels(name, alias).inc()

    def aliases(self, name: str) -> tuple[str, ...]:
        """The aliases of a model that point to a scheduler."""
        return tuple(self._assigned.get(name, ()))

    def seat(self, name: str, client: str = "") -> Scheduler:
        """Where a new stream of this model sits. Open it there without an `await` in between. Raises `KeyError`."""
        return self._assigned[name][CHAMPION]

    def find(self, release: str) -> Scheduler | None:
        """The loaded scheduler of a release."""
        return next((scheduler for scheduler in self._loaded if scheduler.engine.release == release), None)

    @property
    def unused(self) -> list[Scheduler]:
        """Those that are behind no alias and have no stream."""
        used = {id(scheduler) for arms in self._assigned.values() for scheduler in arms.values()}
        return [one for one in self._loaded if id(one) not in used and one.is_empty]

    async def dismiss(self, scheduler: Scheduler) -> None:
        """Takes an unused scheduler away and ends it."""
        self.remove(scheduler)
        await self.end(scheduler)

    def remove(self, scheduler: Scheduler) -> None:
        """From here on nobody can find it."""
        self._loaded.remove(scheduler)

    async def end(self, scheduler: Scheduler) -> None:
        """Stops a scheduler that is not in the roster, ends its workers and forgets its metrics."""
        scheduler.abandon()
        await scheduler.stop()
        await asyncio.gather(*(asyncio.to_thread(engine.close) for engine in scheduler.engines))
        if self.find(scheduler.engine.release) is None:  # it may have been loaded again meanwhile
            self._metrics.forget(scheduler.engine.name, scheduler.engine.release)
