"""A server that follows a real ledger. Unreal: the releases' engines are scripted, in the server's process."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr.aliases import CHAMPION
from asr.ledger import Ledger, Release, open_ledger
from server.roster.follow import Follower
from tests.asr.ledger.releases import add_releases
from tests.server.fakes import ScriptedEngine
from tests.server.running import Running, running


class Loaded(ScriptedEngine):
    """An engine of a release. `languages` without English: the self-test does not look at its words."""

    languages = ("ja",)

    def __init__(self, release: Release, fault: Exception | None, gate: threading.Event) -> None:
        super().__init__()
        self.name, self.release, self.weights_sha256 = release.name, release.ref, release.sha256
        self._fault, self._loads = fault, gate
        self.is_closed = False

    def await_ready(self) -> None:
        self._loads.wait(30)
        if self._fault:
            raise self._fault

    def kill(self) -> None:
        super().kill()
        self._loads.set()

    def close(self) -> None:
        self.is_closed = True


class World:
    """A ledger with five releases of the model `m`, the first of them live, and a server that follows it."""

    def __init__(self, folder: Path, where: str = "") -> None:
        self.where = folder / "ledger.db"
        self.ledger = open_ledger(where or self.where)
        add_releases(self.ledger, folder, 5)
        self.faults: dict[int, Exception] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.engines: list[Loaded] = []
        self.beside: list[bool] = []
        """Of each load, whether it was asked to give way to live streams."""
        self.server: Running

    def load(self, ledger: Ledger, release: Release, is_beside: bool) -> Sequence[Loaded]:
        ledger.verified_folder(release)
        self.beside.append(is_beside)
        self.engines += (made := [Loaded(release, self.faults.get(release.number), self.gate)])
        return made

    def move(self, number: int | None, alias: str = CHAMPION) -> None:
        now = self.ledger.aliases("m").get(alias)
        self.ledger.move("m", alias, expected=now.number if now else None, to=number, by="ann", why="a test")

    @property
    def live(self) -> str:
        champion = self.server.service.schedulers.get("m")
        return champion.ref if champion else ""

    @property
    def loaded(self) -> set[str]:
        return {scheduler.ref for scheduler in self.server.service.roster.schedulers}

    def failed_loads(self) -> float:
        return self.server.metric("asr_failed_loads_total", model="m")

    def serve(self, keep_warm_s: float = 60.0) -> "Any":
        def follower(service: Any) -> Follower:
            ledger = open_ledger(self.ledger.place)
            load = lambda release, is_beside: self.load(ledger, release, is_beside)  # noqa: E731
            return Follower(service, ledger, ["m"], load, keep_warm_s=keep_warm_s, load_timeout_s=20.0)

        return running(models=["m"], follow=follower)
