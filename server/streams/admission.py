"""Admission of streams and uploads: counted, refused over the limits, ended at shutdown."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from asr.errors import AsrError
from server.access.keyring import Keyring
from server.access.quotas import Quotas
from server.metrics import Metrics

RETRY_AFTER_S = 5
"""Sent to refused clients as Retry-After: about the length of an utterance, after which a place may be free."""


class Unavailable(AsrError):
    """There is no place at the moment: HTTP 503 with Retry-After."""


class Capacity(Protocol):
    """What admission asks of a model's scheduler."""

    @property
    def trouble(self) -> str: ...
    def fits(self, max_load: float, *, live: bool = True) -> bool: ...


class Admission:
    """The places of one server. Uploads give way: they take none from live streams, which count without them."""

    def __init__(self, max_streams: int, max_load: float, metrics: Metrics, quotas: Quotas | None = None) -> None:
        self._max_streams, self._max_load = max_streams, max_load
        self._metrics = metrics
        self._quotas = quotas or Quotas(Keyring(None))
        self._present: dict[object, Callable[[], None]] = {}
        self._taken = self._uploads = 0
        self._left = asyncio.Event()
        self.draining = False

    @property
    def open_streams(self) -> int:
        """How many places are taken, by live streams and uploads."""
        return self._taken

    def check(self, *, live: bool = True) -> None:
        """Raises `Unavailable` when all places are taken, or at shutdown; `QuotaError` over the key's own limit."""
        self._check_draining()
        self._quotas.check_place()
        if self._taken - live * self._uploads >= self._max_streams:
            self._refuse("full", f"all {self._max_streams} places are taken; try again in {RETRY_AFTER_S} seconds")

    def _check_draining(self) -> None:
        if self.draining:
            self._refuse("draining", "the server is shutting down; connect again when it is back")

    def check_load(self, scheduler: Capacity, *, live: bool = True) -> None:
        """Raises `Unavailable` when this model has no worker at the moment, or no time for another stream."""
        if scheduler.trouble:
            self._refuse("no_worker", f"{scheduler.trouble}; try again in {RETRY_AFTER_S} seconds")
        if not scheduler.fits(self._max_load, live=live):
            self._refuse("busy", f"the open streams take all of the model's time; try again in {RETRY_AFTER_S} seconds")

    def _refuse(self, reason: str, sentence: str) -> None:
        self._metrics.refused.labels(reason).inc()
        raise Unavailable(sentence)

    @contextmanager
    def place(self, end: Callable[[], None], *, live: bool = True) -> Iterator[None]:
        """Holds a place; `end` is called when the server shuts down. Raises `Unavailable`, `QuotaError`."""
        self.check(live=live)
        with self._quotas.place(), self.presence(end):
            self._take(1, live)
            try:
                yield
            finally:
                self._take(-1, live)

    @contextmanager
    def presence(self, end: Callable[[], None]) -> Iterator[None]:
        """Takes part in the shutdown without a place, as a client that has no stream yet. Raises `Unavailable`."""
        self._check_draining()
        guest = object()  # a key: two uploads have the same `end`
        self._present[guest] = end
        try:
            yield
        finally:
            del self._present[guest]
            self._left.set()

    def _take(self, places: int, live: bool) -> None:
        self._taken += places
        self._uploads += 0 if live else places
        self._metrics.open_streams.set(self._taken)

    async def drain(self, timeout_s: float) -> None:
        """Admits nobody any more, calls every `end`, and waits until all have left or `timeout_s` has passed."""
        self.draining = True
        for end in list(self._present.values()):
            end()
        try:
            async with asyncio.timeout(timeout_s):
                while self._present:
                    self._left.clear()
                    await self._left.wait()
        except TimeoutError:
            return
