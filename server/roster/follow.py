"""The server follows the ledger: what an alias points to there, new streams get here, within a second.

    follower = Follower(served, ledger, ["tiny"], load)
    await follower.start()      # the champions are loaded and assigned, or the reason stands in `trouble`
    await follower.stop()

A few times a second a thread asks the ledger for news. A release that is not loaded yet is loaded beside the others and
recognises the built-in sample, while streams go on; only then it is assigned, in one moment on the event loop. A load
that fails changes nothing: it is one line in the log and a metric, and it is tried again when the ledger has another
move to that release. The champion before stays loaded for `keep_warm_s`, so that a rollback is one assignment; all
others end with their last stream.
"""

import asyncio
import functools
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from asr.aliases import ALIASES, CHAMPION
from asr.errors import AsrError
from asr.ledger import Ledger, LedgerError, Release, open_ledger
from server.metrics import Metrics
from server.roster.memory import shortage
from server.roster.roster import Plan, Roster
from server.streams.scheduler import Scheduler
from server.workers.contract import StreamEngine
from server.workers.process import WorkerError

T = TypeVar("T")

_log = logging.getLogger("steadyword.server")

ROUNDS = 1
"""Of streams that measure the cost of a release: the self-test has warmed it up, and new streams wait for it. At the
worst the cost comes out too high, until the first streams were measured."""
POLL_S = 0.2
"""A question to SQLite takes a fraction of a millisecond. So a move is followed at once where the release is loaded."""


class LoadingEngine(StreamEngine, Protocol):
    """An engine whose worker has been started."""

    def await_ready(self) -> None:
        """Returns when the model is loaded. Raises what loading raised."""


Load = Callable[[Release, bool], Sequence[LoadingEngine]]
"""Compares the release's files with its hash and starts its workers, at a low priority if the second argument says that
there are live streams; called in a thread. Raises an `AsrError`."""


class Served(Protocol):
    """What the follower needs of `server.http.service.Service`."""

    @property
    def metrics(self) -> Metrics: ...
    @property
    def roster(self) -> Roster: ...
    def scheduler_of(self, engines: Sequence[StreamEngine]) -> Scheduler: ...
    async def fault(self, scheduler: Scheduler) -> str: ...
    async def calibrate(self, scheduler: Scheduler, rounds: int) -> None: ...
    def observe(self, ledger: Ledger) -> None: ...
    def fail_load(self, release: Release) -> None: ...


@dataclass(frozen=True, slots=True)
class _News:
    version: int
    aliases: Mapping[str, Mapping[str, Release]]
    """Name -> alias -> release."""
    options: Mapping[str, Mapping[str, Mapping[str, Any]]]
    """Name -> alias -> how it is used, such as the canary's weight."""
    moved: frozenset[str]
    """The releases that an alias was moved to since the last news."""


class Follower:
    """Loads and assigns the releases of the models `names`. Everything but the ledger is used on the event loop."""

    def __init__(
        self,
        served: Served,
        ledger: Ledger,
        names: Sequence[str],
        load: Load,
        *,
        keep_warm_s: float,
        load_timeout_s: float,
    ) -> None:
        self.names = tuple(names)
        self._served, self._roster, self._load = served, served.roster, load
        self._keep_warm_s, self._load_timeout_s = keep_warm_s, load_timeout_s
        self._source = _Source(ledger, self.names)
        self._thread = ThreadPoolExecutor(1, "ledger")
        self._wanted: Mapping[str, Mapping[str, Release]] = {}
        self._failed: set[str] = set()
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._one_load = asyncio.Lock()
        """Two loads at once would take twice the memory and the time of the streams."""
        self._starting: Sequence[LoadingEngine] = ()
        self._before: dict[str, Scheduler] = {}
        """The champion before, by name: it stays warm."""
        self._unused_since_s: dict[Scheduler, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaint = ""
        self._read_at_s = time.monotonic()
        served.metrics.ledger_age_s.set_function(lambda: time.monotonic() - self._read_at_s)

    @property
    def trouble(self) -> str:
        """Why a model has no release that serves, "" if each has one."""
        missing = [name for name in self.names if name not in self._roster.champions]
        return f"no release of {', '.join(missing)} can be served; see the log" if missing else ""

    # -- start and end -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Loads what the ledger says, and follows it from now on. Raises `LedgerError`.

        If a champion cannot be loaded, the champion before it is tried, and so on: a server that is started again
        serves what it served before.
        """
        news = await self._ask(self._source.read)
        if news:
            self._take(news)
        for name in self.names:
            for release in await self._ask(functools.partial(self._source.champions, name)):
                await self._load_one(release)
                if scheduler := self._roster.find(release.ref):
                    self._assign(name, CHAMPION, scheduler)
                    break
        self._follow()
        self._spawn(self._run())

    async def stop(self) -> None:
        """Ends the following and what is being loaded; the roster's schedulers stay."""
        self.abandon()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._thread.shutdown(wait=False)

    def abandon(self) -> None:
        """Kills the workers that are being loaded."""
        for engine in self._starting:
            engine.kill()

    # -- the ledger --------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            try:
                news = await self._ask(self._source.read)
            except LedgerError as error:
                self._complain(str(error))
            else:
                self._read_at_s, self._complaint = time.monotonic(), ""
                if news:
                    self._failed -= news.moved
                    self._take(news)
                    self._follow()
            self._dismiss_unused()

    async def _ask(self, question: Callable[[], T]) -> T:
        """Asked in the ledger's thread: a disk that hangs must not hold up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question)

    def _complain(self, sentence: str) -> None:
        """Once for each kind of failure, not at each question."""
        if sentence != self._complaint:
            self._complaint = sentence
            _log.error("%s; the releases that are live stay so", sentence)

    # -- what it says ------------------------------------------------------------------------------------------------

    def _take(self, news: _News) -> None:
        self._wanted = news.aliases
        for name in self.names:
            options = news.options[name]
            plans = {alias: Plan(release.ref, options[alias]) for alias, release in news.aliases[name].items()}
            self._roster.plan(name, plans)

    def _follow(self) -> None:
        """Assigns what is loaded, and starts loading what is not. A champion is never taken away."""
        for name in self.names:
            wanted = self._wanted.get(name, {})
            for alias in set(self._roster.aliases(name)) - set(wanted) - {CHAMPION}:
                self._assign(name, alias, None)
            for alias, release in wanted.items():
                scheduler = self._roster.find(release.ref)
                if scheduler and not scheduler.trouble:
                    self._assign(name, alias, scheduler)
                elif scheduler is None and release.ref not in self._failed and release.ref not in self._loads:
                    self._loads[release.ref] = self._spawn(self._load_and_follow(release))

    def _assign(self, name: str, alias: str, scheduler: Scheduler | None) -> None:
        old = self._roster.assigned(name, alias)
        if old is scheduler:
            return
        self._roster.assign(name, alias, scheduler)
        if alias == CHAMPION and old:
            self._before[name] = old
        then, now = (one.ref if one else "no release" for one in (old, scheduler))
        _log.warning("%s@%s: new streams go from %s to %s", name, alias, then, now)

    # -- loading -----------------------------------------------------------------------------------------------------

    async def _load_and_follow(self, release: Release) -> None:
        try:
            await self._load_one(release)
        finally:
            del self._loads[release.ref]
        self._follow()  # what the ledger says by now

    async def _load_one(self, release: Release) -> None:
        """Loads a release into the roster, if it is still wanted. Otherwise nothing changes but the log."""
        async with self._one_load, self._turn(release):
            if self._roster.find(release.ref) or not self._is_wanted(release):
                return
            try:
                scheduler = await self._loaded(release)
            except Exception as error:  # noqa: BLE001 - whatever a folder holds, the champion goes on serving
                self._failed.add(release.ref)
                self._served.fail_load(release)
                champion = self._roster.champions.get(release.name)
                goes_on = f"{champion.ref} goes on serving" if champion else "nothing serves in its place yet"
                _log.error("%s is not served: %s; %s", release.ref, _sentence(error), goes_on)
                return
            self._roster.add(scheduler)

    @asynccontextmanager
    async def _turn(self, release: Release) -> AsyncIterator[None]:
        """Servers that share a ledger load one after the other, so that streams find most of them idle.

        A server without a champion does not wait, nor one that cannot ask. A server that dies gives its turn back.
        """
        give_back: Callable[[], None] | None = None
        try:
            while release.name in self._roster.champions and self._is_wanted(release):
                if give_back := await self._ask(self._source.try_turn):
                    break
                await asyncio.sleep(POLL_S)
        except LedgerError as error:
            _log.error("%s; %s is loaded without waiting for other servers", error, release.ref)
        try:
            yield
        finally:
            if give_back:
                give_back()

    def _is_wanted(self, release: Release) -> bool:
        """At the start, when nobody serves, an earlier champion is wanted too."""
        refs = {one.ref for one in self._wanted.get(release.name, {}).values()}
        return release.ref in refs or release.name not in self._roster.champions

    async def _loaded(self, release: Release) -> Scheduler:
        """Its started scheduler, after the self-test. Raises whatever loading raised."""
        began_s = time.monotonic()
        champion = self._roster.champions.get(release.name)
        if champion and (short := await asyncio.to_thread(shortage, champion.engines, release.folder)):
            raise AsrError(short)
        has_streams = any(one.live_seats for one in self._roster.schedulers)  # without any it need not wait for others
        engines = self._starting = await asyncio.to_thread(self._load, release, has_streams)
        scheduler = None
        try:
            await self._await_ready(engines)
            scheduler = self._served.scheduler_of(engines)
            scheduler.start()
            ready_s = time.monotonic()
            if fault := await self._served.fault(scheduler):
                raise AsrError(fault)
            tested_s = time.monotonic()
            await self._served.calibrate(scheduler, ROUNDS)
        except BaseException:
            for engine in engines:
                engine.kill()
            if scheduler:
                await self._roster.end(scheduler)
            else:
                await asyncio.gather(*(asyncio.to_thread(engine.close) for engine in engines))
            raise
        finally:
            self._starting = ()
        parts_s = (ready_s - began_s, tested_s - ready_s, time.monotonic() - tested_s)
        _log.info("%s is loaded: %.1f s for its workers, %.1f s self-test, %.1f s cost", release.ref, *parts_s)
        return scheduler

    async def _await_ready(self, engines: Sequence[LoadingEngine]) -> None:
        """Raises what the first one raises that fails, and `TimeoutError`; then none waits any more."""
        waits = [asyncio.create_task(asyncio.to_thread(engine.await_ready)) for engine in engines]
        try:
            async with asyncio.timeout(self._load_timeout_s):
                await asyncio.wait(waits, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            if not all(wait.done() for wait in waits):
                for engine in engines:
                    engine.kill()
            results = await asyncio.gather(*waits, return_exceptions=True)
        for wait in sorted(results, key=lambda result: isinstance(result, WorkerError)):  # killed ones say the least
            if isinstance(wait, BaseException):
                raise wait

    # -- those that nobody needs any more ----------------------------------------------------------------------------

    def _dismiss_unused(self) -> None:
        now_s = time.monotonic()
        unused = [one for one in self._roster.unused if one.engine.name in self.names]
        self._unused_since_s = {one: self._unused_since_s.get(one, now_s) for one in unused}
        for scheduler, since_s in self._unused_since_s.items():
            is_warm = self._before.get(scheduler.engine.name) is scheduler and now_s - since_s < self._keep_warm_s
            if not is_warm:
                self._roster.remove(scheduler)
                self._spawn(self._roster.end(scheduler))

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Source:
    """The ledger, read in a thread of its own."""

    def __init__(self, ledger: Ledger, names: Sequence[str]) -> None:
        self._ledger, self._names = ledger, names
        self._version = -1
        self._file = _identity(ledger)

    def read(self) -> _News | None:
        """What is new since the last call. Raises `LedgerError`."""
        self._reopen_if_replaced()
        version = self._ledger.version()
        if version == self._version:
            return None
        moves = self._ledger.moves(after_id=min(self._version, version))
        news = _News(
            version,
            {name: self._ledger.aliases(name) for name in self._names},
            {name: {alias: self._ledger.options(name, alias) for alias in ALIASES} for name in self._names},
            frozenset(f"{move.name}/{move.to_number}" for move in moves),
        )
        self._version = version
        return news

    def try_turn(self) -> Callable[[], None] | None:
        """The turn at loading a release, if no other server has it. Raises `LedgerError`."""
        return self._ledger.try_turn("loading")

    def champions(self, name: str) -> list[Release]:
        """The champion and those before it, the latest first."""
        numbers = [move.to_number for move in self._ledger.moves(name) if move.alias == CHAMPION]
        return [self._ledger.release(name, number) for number in dict.fromkeys(reversed(numbers)) if number is not None]

    def _reopen_if_replaced(self) -> None:
        """A connection keeps reading a file that was removed, and would not see the one put in its place."""
        if self._file is None:
            return
        found = _identity(self._ledger)
        if found is None:
            raise LedgerError(f"the ledger {self._ledger.where} is gone; wanted the file that was there at the start")
        if found != self._file:
            self._ledger.close()
            self._ledger = open_ledger(self._ledger.place)
            self._file, self._version = _identity(self._ledger), -1


def _identity(ledger: Ledger) -> tuple[int, int] | None:
    """Which file it is; None where there is none."""
    try:
        status = os.stat(Path(ledger.where))
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _sentence(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "its workers are not ready after start_timeout_s"
    return str(error) or type(error).__name__
