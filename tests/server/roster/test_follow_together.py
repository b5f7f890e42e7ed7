"""Two servers follow one ledger, in a file and in a real PostgreSQL. Unreal: the engines are scripted; one process."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from server.roster.follow import Follower
from tests.asr.ledger.postgresql import PostgreSql
from tests.asr.ledger.postgresql import running as running_postgresql
from tests.server.roster.speaking import releases, speak
from tests.server.roster.world import World
from tests.server.running import eventually


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSql]:
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def worlds(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[World]]:
    """Two servers that serve m/1."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path / "models"))
    is_file = request.param == "sqlite"
    where = "" if is_file else request.getfixturevalue("postgresql").new_ledger()
    made = [World(tmp_path, where), World(tmp_path, where)]
    made[0].move(1)
    with ExitStack() as stack:
        for world in made:
            world.server = stack.enter_context(world.serve())
        try:
            yield made
        finally:
            for world in made:
                world.gate.set()


def test_a_promotion_reaches_both(worlds: list[World]) -> None:
    """And a move back; streams that are open stay where they are."""
    with worlds[1].server.listen() as stream:
        speak(stream)
        worlds[0].move(2)
        for world in worlds:
            eventually(lambda world=world: world.live == "m/2")
        assert releases(speak(stream)) == {"m/1"}
    worlds[1].move(1)
    for world in worlds:
        eventually(lambda world=world: world.live == "m/1")


def test_they_load_one_after_the_other(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> None:
    """A load takes a core from live streams: the other server has its own until the first is done."""
    asked = counted_turns(worlds, monkeypatch)
    for world in worlds:
        world.gate.clear()
    worlds[0].move(2)
    eventually(lambda: loads(worlds) == 1)
    tries = len(asked)
    eventually(lambda: len(asked) >= tries + 3)
    assert loads(worlds) == 1
    [first, second] = sorted(worlds, key=lambda world: len(world.engines), reverse=True)
    first.gate.set()
    eventually(lambda: first.live == "m/2")
    eventually(lambda: loads(worlds) == 2)
    assert second.live == "m/1"
    second.gate.set()
    eventually(lambda: second.live == "m/2")


def test_a_load_that_fails_gives_its_turn_back(worlds: list[World]) -> None:
    """The other server tries too: the files may be broken on one machine only."""
    worlds[0].faults[2] = MemoryError()
    worlds[0].move(2)
    eventually(lambda: worlds[1].live == "m/2")
    eventually(lambda: worlds[0].failed_loads() == 1)
    assert worlds[0].live == "m/1"


def counted_turns(worlds: list[World], monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One entry for each try to get the turn."""
    asked: list[None] = []

    def counting(follower: Follower) -> None:
        ask = follower._source.try_turn

        def counted() -> object:
            asked.append(None)
            return ask()

        monkeypatch.setattr(follower._source, "try_turn", counted)

    for world in worlds:
        assert world.server.service.follower
        counting(world.server.service.follower)
    return asked


def loads(worlds: list[World]) -> int:
    """Loads since the start."""
    return sum(len(world.engines) - 1 for world in worlds)
