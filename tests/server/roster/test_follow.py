"""The server follows a real ledger. Unreal: the releases' engines are scripted, in the server's process."""

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from asr.errors import LedgerError, ModelError
from asr.ledger import open_ledger
from asr.ledger.tables import FORMATS
from server.roster import follow
from server.workers.process import WorkerDied
from tests.server.fakes import words
from tests.server.roster.speaking import releases, speak
from tests.server.roster.world import World
from tests.server.running import CLOSE, eventually, transcript, until_closed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.move(1)
    with made.serve() as made.server:
        assert made.live == "m/1"
        yield made


def test_a_move_in_the_ledger_moves_new_streams_and_no_old_one(world: World) -> None:
    """The stream that is open gets all its words from its release; the next one sits on the new."""
    with world.server.listen() as first:
        before = speak(first)
        world.move(2)
        eventually(lambda: world.live == "m/2")
        with world.server.listen() as second:
            assert releases(speak(second)) == {"m/2"}
        before += speak(first)
        first.send(CLOSE)
        before += until_closed(first)[0]
    assert releases(before) == {"m/1"}
    assert transcript(before) == words(8)


def test_a_rollback_needs_no_load(world: World) -> None:
    """The champion before stays loaded."""
    world.move(2)
    eventually(lambda: world.live == "m/2")
    world.move(1)
    eventually(lambda: world.live == "m/1")
    assert [engine.release for engine in world.engines] == ["m/1", "m/2"]


def test_a_load_gives_way_to_live_streams_and_to_nothing_else(world: World) -> None:
    """Without a stream it has the usual priority: it must not wait for other programs."""
    world.move(2)
    eventually(lambda: world.live == "m/2")
    with world.server.listen() as socket:
        speak(socket)
        world.move(3)
        eventually(lambda: world.live == "m/3")
    assert world.beside == [False, False, True]


def test_only_the_champion_before_stays_loaded(world: World) -> None:
    """Others end with their last stream, so that memory does not grow with the swaps."""
    for number in (2, 3, 4):
        world.move(number)
        eventually(lambda number=number: world.live == f"m/{number}")
    eventually(lambda: world.loaded == {"m/3", "m/4"})
    eventually(lambda: [engine.is_closed for engine in world.engines] == [True, True, False, False])
    assert "m/1" not in world.server.get("/metrics")


def test_a_release_with_a_stream_ends_after_it(tmp_path: Path) -> None:
    """Also with nothing kept warm."""
    world = World(tmp_path)
    world.move(1)
    with world.serve(keep_warm_s=0.0) as world.server:
        with world.server.listen() as socket:
            speak(socket)
            world.move(2)
            eventually(lambda: world.live == "m/2")
            speak(socket)
            assert world.loaded == {"m/1", "m/2"}
        eventually(lambda: world.loaded == {"m/2"})


FAILURES: list[tuple[str, Exception]] = [
    ("a broken folder", ModelError("found no tensor, wanted weights")),
    ("a worker that was killed", WorkerDied("the worker of m/2 ended before it was ready")),
    ("a fault of ours", RuntimeError("a bug")),
    ("no memory", MemoryError()),
]


@pytest.mark.parametrize(("what", "error"), FAILURES)
def test_a_load_that_fails_changes_nothing(
    world: World, what: str, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """One line, one count; the next release is followed, and the failed one again after another move to it."""
    world.faults[2] = error
    world.move(2)
    eventually(lambda: world.failed_loads() == 1)
    assert (world.live, world.loaded) == ("m/1", {"m/1"})
    lines = [record.getMessage() for record in caplog.records if "m/2 is not served" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].endswith("; m/1 goes on serving")
    world.move(3)
    eventually(lambda: world.live == "m/3")
    world.faults.clear()
    world.move(2)
    eventually(lambda: world.live == "m/2")
    assert world.failed_loads() == 1


def test_a_release_that_fails_its_self_test_serves_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is loaded, recognises the built-in sample as something else, and is ended."""

    async def fault(scheduler: Any) -> str:
        return "model m/2 recognised 'eleven', wanted 'seven'"

    monkeypatch.setattr(world.server.service, "fault", fault)
    world.move(2)
    eventually(lambda: world.failed_loads() == 1)
    eventually(lambda: world.engines[-1].is_closed)
    assert (world.live, world.loaded) == ("m/1", {"m/1"})
    assert 'release="m/2"' not in world.server.get("/metrics")


def test_a_move_back_during_a_load_is_followed_at_once(world: World) -> None:
    """The load may take minutes: what the ledger says by then counts."""
    world.gate.clear()
    world.move(2)
    eventually(lambda: len(world.engines) == 2)
    world.move(1)
    world.move(3, "canary")
    follower = world.server.service.follower
    assert follower
    eventually(lambda: {one.number for one in follower._wanted["m"].values()} == {1, 3})
    world.gate.set()
    eventually(lambda: "m/3" in world.loaded)
    assert world.live == "m/1"
    eventually(lambda: world.loaded == {"m/1", "m/3"})


def test_a_changed_file_is_not_served(world: World) -> None:
    """The hash of all files is compared before a worker starts: here a setting changed, and no weight."""
    folder = world.ledger.release("m", 2).folder
    (folder / "config.json").chmod(0o644)
    (folder / "config.json").write_text('{"model_type": "hubert"}')
    world.move(2)
    eventually(lambda: world.failed_loads() == 1)
    assert (world.live, [engine.release for engine in world.engines]) == ("m/1", ["m/1"])


def _copy(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as read, sqlite3.connect(target) as written:
        read.backup(written)
    read.close()
    written.close()


def _replace(source: Path, target: Path) -> None:
    """With what SQLite keeps beside it, which would mend the file."""
    for suffix in ("-wal", "-shm"):
        Path(f"{target}{suffix}").unlink(missing_ok=True)
    os.replace(source, target)


def _gone(world: World) -> None:
    shutil.move(world.where, world.where.with_suffix(".away"))


def _unreadable(world: World) -> None:
    world.where.with_suffix(".bad").write_bytes(b"no database at all" * 100)
    _replace(world.where.with_suffix(".bad"), world.where)


def _newer(world: World) -> None:
    copy = world.where.with_suffix(".newer")
    _copy(world.where, copy)
    with sqlite3.connect(copy) as target:
        target.execute(f"UPDATE {FORMATS.name} SET version = 99")
    target.close()
    _replace(copy, world.where)


@pytest.mark.parametrize("harm", [_gone, _unreadable, _newer])
def test_a_ledger_that_cannot_be_read_is_one_line_and_the_champion_goes_on(
    world: World, harm: Callable[[World], None], caplog: pytest.LogCaptureFixture
) -> None:
    """It is read again as soon as a good one is in its place."""
    good = world.where.with_suffix(".good")
    _copy(world.where, good)
    harm(world)
    eventually(lambda: any("the releases that are live stay so" in r.getMessage() for r in caplog.records))
    with world.server.listen() as socket:
        assert releases(speak(socket)) == {"m/1"}
    _replace(good, world.where)
    world.ledger = open_ledger(world.where)
    world.move(2)
    eventually(lambda: world.live == "m/2")
    assert sum("the releases that are live stay so" in r.getMessage() for r in caplog.records) == 1


def test_a_locked_ledger_is_one_line_and_is_followed_when_it_is_free(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Unreal: the lock is an error that the test makes, since SQLite's readers wait for no writer."""
    follower = world.server.service.follower
    assert follower

    def locked() -> int:
        raise LedgerError("the ledger is locked")

    with monkeypatch.context() as patch:
        patch.setattr(follower._source._ledger, "version", locked)
        eventually(lambda: any("the ledger is locked; the releases" in r.getMessage() for r in caplog.records))
        with world.server.listen() as socket:
            assert releases(speak(socket)) == {"m/1"}
        world.move(2)
    eventually(lambda: world.live == "m/2")


def test_a_server_that_starts_again_serves_the_last_release_that_can_be_loaded(tmp_path: Path) -> None:
    """The ledger's champion, or if that fails the one before it."""
    world = World(tmp_path)
    for number in (1, 2, 3):
        world.move(number)
    world.faults[3] = ModelError("found half a file")
    with world.serve() as world.server:
        assert (world.live, world.failed_loads()) == ("m/2", 1)
        world.faults.clear()
        world.move(3)
        eventually(lambda: world.live == "m/3")
    with world.serve() as world.server:
        assert world.live == "m/3"


def test_a_server_whose_releases_all_fail_is_not_ready_until_one_does_not(tmp_path: Path) -> None:
    """It refuses streams with a sentence, and goes on reading the ledger."""
    world = World(tmp_path)
    world.move(1)
    world.faults[1] = ModelError("found half a file")
    with world.serve() as world.server:
        assert "no release of m can be served" in world.server.service.not_ready
        with pytest.raises(Exception, match="503"):
            world.server.listen().close()
        world.move(2)
        eventually(lambda: world.live == "m/2")
        assert "no release" not in world.server.service.not_ready


def test_no_memory_for_two_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured: what the champion's workers take, and what the machine and the control group have left."""
    monkeypatch.setattr(follow, "shortage", lambda engines, folder: "it needs about 4.0 GB")
    world.move(2)
    eventually(lambda: world.failed_loads() == 1)
    assert (world.live, len(world.engines)) == ("m/1", 1)


def test_swaps_under_streams_lose_no_word(world: World) -> None:
    """Four streams that go on through all of them, and one after each: every one has one release and all its words."""
    with ExitStack() as held:
        sockets = [held.enter_context(world.server.listen()) for _ in range(4)]
        _swap(world, sockets)


def _swap(world: World, sockets: Sequence[ClientConnection]) -> None:
    heard: list[list[dict[str, Any]]] = [[] for _ in sockets]
    for swap in range(20):
        number = swap % 5 + 1
        world.move(number)
        eventually(lambda number=number: world.live == f"m/{number}")
        heard[swap % 4] += speak(sockets[swap % 4])
        if swap % 5 == 0:
            with world.server.listen() as fresh:
                assert releases(speak(fresh)) == {f"m/{number}"}
    for index, socket in enumerate(sockets):
        socket.send(CLOSE)
        messages, code = until_closed(socket)
        assert (code, len(releases(heard[index] + messages))) == (1000, 1)
        assert transcript(heard[index] + messages) == words(4 * 5)
    eventually(lambda: len(world.loaded) == 2)
    assert json.loads(world.server.get("/v1/models"))["data"][0]["release"] == world.live


def test_the_follower_asks_in_its_own_thread(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs must not hold up the event loop."""
    threads: list[str] = []
    ledger = world.server.service.follower._source._ledger  # type: ignore[union-attr]
    version = ledger.version

    def asked() -> int:
        threads.append(threading.current_thread().name)
        return version()

    monkeypatch.setattr(ledger, "version", asked)
    eventually(lambda: len(threads) > 1)
    assert all(name.startswith("ledger") for name in threads)
