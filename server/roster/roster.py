"""name -> {champion, canary, shadow} -> scheduler. Used on the event loop only, so an assignment is one moment for all.

    roster.add(scheduler)                          # it is loaded, and no stream sits there yet
    roster.assign("tiny", CHAMPION, scheduler)     # from now on new streams sit there
    scheduler = roster.seat("tiny")                # before anything of a stream touches a model
    await roster.dismiss(old)                      # when it is `unused`

A stream keeps its scheduler until it ends, whatever is assigned meanwhile: so all of its words come from one release.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from asr.aliases import CANARY, CHAMPION, WEIGHT
from server.canary import arm_of, share
from server.metrics import Metrics
from server.streams.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Plan:
    """What the ledger says of an alias, also while its release is not loaded yet."""

    release: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Roster:
    """The schedulers of one server."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loaded: list[Scheduler] = []
        self._assigned: dict[str, dict[str, Scheduler]] = {}
        self._plans: dict[str, Mapping[str, Plan]] = {}

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
        """Where a new stream of this model sits. Open it there without an `await` in between. Raises `KeyError`.

        The canary serves its share of the `client`s (`server.canary`), and none while its workers are down. Without a
        client it is the champion.
        """
        canary = self.assigned(name, CANARY)
        if canary and not canary.trouble and self.arm(name, client) == CANARY:
            return canary
        return self._assigned[name][CHAMPION]

    def plan(self, name: str, plans: Mapping[str, Plan]) -> None:
        """Takes what the ledger says of the model's aliases now."""
        if old := self.planned(name, CANARY):
            self._metrics.canary_weight.remove_by_labels({"model": name, "release": old.release})
        self._plans[name] = plans
        if canary := self.planned(name, CANARY):
            weight = share(canary.options, WEIGHT)
            self._metrics.canary_weight.labels(name, canary.release).set(weight)

    def planned(self, name: str, alias: str) -> Plan | None:
        """What the ledger says of the alias; None where it is on no release."""
        return self._plans.get(name, {}).get(alias)

    def is_settled(self, name: str, alias: str) -> bool:
        """Whether the alias is where the ledger says: its release is loaded, or was taken away."""
        plan, scheduler = self.planned(name, alias), self.assigned(name, alias)
        return (plan.release if plan else None) == (scheduler.engine.release if scheduler else None)

    def arm(self, name: str, client: str) -> str:
        """Whether this client is the canary's or the champion's; see `server.canary.arm_of`."""
        plan = self.planned(name, CANARY)
        if plan is None or not client or not self.is_settled(name, CANARY):
            return CHAMPION
        return arm_of(plan.release, client, share(plan.options, WEIGHT))

    def aliases_of(self, scheduler: Scheduler) -> set[str]:
        """The aliases that this scheduler is behind."""
        return {alias for arms in self._assigned.values() for alias, one in arms.items() if one is scheduler}

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
