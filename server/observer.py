"""What a server with a ledger notes of its streams: how each one ended, and what another release says of some of them.

Texts stay in memory. The ledger gets numbers, the hash of the client and the id of the stream.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from asr.aliases import CANARY, CHAMPION, DEFAULT_SHARE, SHADOW, SHARE
from server.access.client_salt import client_salt
from server.access.context import current
from server.canary import client_of, point, share
from server.clips.collecting import Collector, Origin
from server.config import ServerSettings
from server.ledger_writer import LedgerWriter
from server.metrics import Metrics
from server.outcomes import Seated, StreamOutcome, failed_load
from server.roster.roster import Roster
from server.shadow.shadow import Followed, OnHeard, Shadow
from server.shadow.turns import Lane, Turns
from server.streams.connection import cause_name
from server.streams.scheduler import Scheduler
from server.streams.witness import Witness
from server.vitals import StreamVitals
from server.wires.base import Cause
from server.workers.contract import StreamSession

if TYPE_CHECKING:
    from asr.ledger.ledger import Ledger

OpenOn = Callable[[Scheduler], Awaitable[StreamSession]]
"""Opens a session of the same request on another scheduler, for no live stream."""


class Observer:
    """The followers of one server's streams."""

    def __init__(self, ledger: "Ledger", settings: ServerSettings, roster: Roster, metrics: Metrics) -> None:
        self._salt, self._roster = client_salt(), roster
        self._writer = LedgerWriter(ledger, metrics)
        self._collector = Collector(settings.collect, metrics) if settings.collect.enabled else None
        self._shadow = Shadow(
            max_bytes=settings.max_shadow_bytes,
            max_lag_s=settings.max_shadow_lag_s,
            metrics=metrics,
            turns=Turns(self._live_lanes),
            writer=self._writer,
        )

    def start(self) -> None:
        """To be called on the event loop."""
        self._shadow.start()

    async def stop(self) -> None:
        """Drops what is not heard yet, and writes the rows that wait."""
        await self._shadow.stop()
        await asyncio.to_thread(self._writer.stop)
        if self._collector:
            await asyncio.to_thread(self._collector.stop)

    def client(self, key: str, address: str, client_id: str) -> str:
        """The hash of a client; "" for one of which nothing is known."""
        return client_of(self._salt, key=key, address=address, client_id=client_id) if address or client_id else ""

    def follow(
        self,
        model: str,
        scheduler: Scheduler,
        channels: int,
        open_on: OpenOn,
        language: str | None,
        codec: str = "",
    ) -> list[list[Witness]]:
        """The witnesses of each channel of a stream that takes its seat now. None where the model has no releases."""
        release = _number(model, scheduler)
        if release is None:
            return [[] for _ in range(channels)]
        context = current()
        stream_id = context.next_stream_id()
        witnesses = [self._outcomes(model, release, scheduler, stream_id, channels)]
        measured = StreamVitals(model, release, stream_id, context.client, codec, self._writer.put)
        witnesses.append([measured for _ in range(channels)])
        kept = self._kept(model, release, stream_id)
        if kept and self._collector:
            witnesses.append(self._collector.follow(kept, channels))
        if scheduler is self._roster.assigned(model, CHAMPION):
            witnesses.append(self._second_hearing(model, release, stream_id, channels, open_on, language, kept))
        return [[of[channel] for of in witnesses if of] for channel in range(channels)]

    def measures(self, model: str, scheduler: Scheduler) -> bool:
        """Whether the ledger gets the vitals of this model's streams."""
        return _number(model, scheduler) is not None

    def refuse(self, model: str, scheduler: Scheduler, cause: Cause) -> None:
        """The release could not open a stream. A probe for the refusal's sentence counts too: it is rare."""
        release = _number(model, scheduler)
        if release is not None and (arm := self._arm(model, scheduler)):
            context = current()
            seated = Seated(model, release, arm, context.next_stream_id(), context.client)
            StreamOutcome(seated, 1, self._writer.put).refuse(cause_name(cause))

    def fail_load(self, model: str, release: int) -> None:
        """A release could not be loaded here: what is on trial must not wait for streams that it will never hear."""
        self._writer.put(failed_load(model, release))

    def _kept(self, model: str, release: int, stream_id: str) -> Origin | None:
        """The stream whose utterances are kept; None without the switch, or without its consent."""
        context = current()
        if not self._collector or not context.consent:
            return None
        return self._collector.origin(context.consent, model, release, stream_id, context.client)

    def _outcomes(
        self, model: str, release: int, scheduler: Scheduler, stream_id: str, channels: int
    ) -> Sequence[Witness]:
        arm = self._arm(model, scheduler)
        if not arm:
            return ()
        seated = Seated(model, release, arm, stream_id, current().client)
        return StreamOutcome(seated, channels, self._writer.put).channels

    def _arm(self, model: str, scheduler: Scheduler) -> str:
        """The arm that the stream's outcome belongs to; "" where it says nothing about either.

        While the canary is loaded, the champion serves the canary's clients too, and while its workers are down: they
        would make the champion's share too large.
        """
        if scheduler is self._roster.assigned(model, CANARY):
            return CANARY
        is_own = self._roster.is_settled(model, CANARY) and self._roster.arm(model, current().client) == CHAMPION
        return CHAMPION if is_own and scheduler is self._roster.assigned(model, CHAMPION) else ""

    def _second_hearing(
        self,
        model: str,
        champion: int,
        stream_id: str,
        channels: int,
        open_on: OpenOn,
        language: str | None,
        kept: Origin | None,
    ) -> Sequence[Witness]:
        shadow, plan = self._roster.assigned(model, SHADOW), self._roster.planned(model, SHADOW)
        challenger = _number(model, shadow) if shadow else None
        if shadow is None or plan is None or challenger is None or plan.release != shadow.engine.release:
            return ()
        if point("shadow", plan.release, stream_id) >= share(plan.options, SHARE, DEFAULT_SHARE):
            return ()
        stream = Followed(model, champion, challenger, stream_id, current().client, language)
        is_wanted = lambda: self._roster.assigned(model, SHADOW) is shadow  # noqa: E731
        heard: OnHeard | None = None
        if kept and (collector := self._collector):
            heard = lambda said: collector.add_second(kept, challenger, said)  # noqa: E731
        return self._shadow.follow(stream, channels, shadow, lambda: open_on(shadow), is_wanted, heard)

    def _live_lanes(self) -> Iterator[Lane]:
        """The lanes of all schedulers but those that are nothing but a shadow."""
        for scheduler in self._roster.schedulers:
            aliases = self._roster.aliases_of(scheduler)
            if aliases != {SHADOW}:
                yield from scheduler.replicas


def _number(model: str, scheduler: Scheduler) -> int | None:
    """The 7 of ``NAME/7``; None for a model that is none of the ledger's, or is one release for ever."""
    number = scheduler.engine.release.removeprefix(f"{model}/")
    return int(number) if number.isdigit() else None
