"""What PostgreSQL does otherwise than a file: rows of two writers at once, turns, broken connections, its errors."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from asr.aliases import CHAMPION
from asr.ledger import Draw, Draws, Ledger, LedgerError, database, open_ledger
from asr.ledger.database import database_url
from asr.ledger.tables import PAIRS
from tests.asr.ledger.postgresql import PostgreSql
from tests.asr.ledger.releases import PAIR, add_releases, model_folder, move_up

NOWHERE = "postgresql+psycopg://asr:secret@127.0.0.1:1/ledger"


def test_a_reader_that_goes_on_after_the_last_row_misses_none(postgresql: PostgreSql) -> None:
    """A writer that has its rows' numbers and has not committed holds up later ones: they must not be seen first."""
    with open_ledger(postgresql.new_ledger()) as ledger, ThreadPoolExecutor(1) as pool:
        with ledger.database.writing() as connection:
            values = {key: value for key, value in vars_of(PAIR).items() if key != "id"}
            connection.execute(PAIRS.insert().values(values))
            second = pool.submit(ledger.add_pairs, [replace(PAIR, stream_id="s-2")])
            while not waits_for_a_lock(postgresql):
                assert not second.done()
            seen = ledger.pairs("m", 1, 2)
        second.result(60)
        assert seen == []
        assert [row.stream_id for row in ledger.pairs("m", 1, 2)] == ["s-1", "s-2"]


def test_of_writers_that_move_at_once_one_wins(postgresql: PostgreSql, tmp_path: Path, own_cache: Path) -> None:
    """Each step is made once: none is lost, none is made twice, and the losers learn that they lost."""
    where = postgresql.new_ledger()
    with open_ledger(where) as ledger, ThreadPoolExecutor(3) as pool:
        ledger.releases_folder = tmp_path
        add_releases(ledger, tmp_path, 20)
        ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
        done = list(pool.map(move_up, [where] * 3, [20] * 3))
        steps = [(number, number + 1) for number in range(1, 20)]
        assert sorted(step for steps_of_one in done for step in steps_of_one) == steps
        assert [(move.from_number, move.to_number) for move in ledger.moves()] == [(None, 1), *steps]


def vars_of(row: object) -> dict[str, object]:
    return {name: getattr(row, name) for name in row.__slots__}  # type: ignore[attr-defined]


def waits_for_a_lock(postgresql: PostgreSql) -> bool:
    import psycopg

    with psycopg.connect(host=str(postgresql.folder), user="asr", dbname="postgres") as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone()
    return bool(row and row[0])


def test_many_writers_lose_nothing(postgresql: PostgreSql) -> None:
    """Rows of eight writers have numbers without order only within a transaction: a follower sees each row once."""
    where = postgresql.new_ledger()
    open_ledger(where).close()
    followed: list[str] = []
    stop = threading.Event()

    def write(writer: int) -> None:
        with open_ledger(where) as ledger:
            for number in range(15):
                ledger.add_pairs([replace(PAIR, stream_id=f"{writer}-{number}-{part}") for part in range(3)])

    def follow() -> None:
        last = 0
        with open_ledger(where) as ledger:
            while True:
                is_last = stop.is_set()
                for row in ledger.pairs("m", 1, 2, after_id=last):
                    followed.append(row.stream_id)
                    last = row.id
                if is_last:
                    return

    with ThreadPoolExecutor(9) as pool:
        following = pool.submit(follow)
        try:
            list(pool.map(write, range(8)))
        finally:
            stop.set()
        following.result(60)
    assert len(followed) == len(set(followed)) == 8 * 15 * 3


def test_a_writer_that_waits_too_long_gets_one_sentence(
    postgresql: PostgreSql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a locked file."""
    monkeypatch.setitem(database._POSTGRESQL_SETTINGS, "lock_timeout", "100ms")
    where = postgresql.new_ledger()
    with open_ledger(where) as ledger, open_ledger(where) as other, ledger.database.writing() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(LedgerError, match="is locked by another process"):
            other.add_pairs([PAIR])
        assert other.pairs("m", 1, 2) == []


def test_a_writer_that_stops_is_ended(postgresql: PostgreSql) -> None:
    """A machine that stands still in the middle of a transaction holds up nobody for ever; its rows are not there."""
    where = postgresql.new_ledger()
    with open_ledger(where) as ledger, open_ledger(where) as other:
        with pytest.raises(LedgerError), ledger.database.writing() as connection:  # noqa: PT012
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '200ms'"))  # not 10 s
            other.add_pairs([PAIR])
            connection.execute(text("SELECT 1"))
        assert len(ledger.pairs("m", 1, 2)) == 1


def test_connections_that_the_server_ended_are_replaced(postgresql: PostgreSql) -> None:
    """The server was restarted, or a proxy between cut what was idle."""
    with open_ledger(postgresql.new_ledger()) as ledger:
        ledger.add_pairs([PAIR])
        postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        assert len(ledger.pairs("m", 1, 2)) == 1
        ledger.add_pairs([PAIR])


def test_two_servers_that_create_the_tables_at_once_have_one_ledger(postgresql: PostgreSql) -> None:
    """All nodes of a cluster start together."""
    where = postgresql.new_ledger()
    with ThreadPoolExecutor(4) as pool:
        ledgers = list(pool.map(lambda _: open_ledger(where), range(4)))
    ledgers[0].add_pairs([PAIR])
    assert len(ledgers[3].pairs("m", 1, 2)) == 1
    for ledger in ledgers:
        ledger.close()


def test_figures_that_are_no_numbers_are_kept(any_ledger: Ledger, tmp_path: Path) -> None:
    """An interval may have no end. Row numbers may have more than 32 bits."""
    any_ledger.add_release("m", model_folder(tmp_path / "a"), by="ann", why="a test")
    evidence = {"low": float("-inf"), "high": float("inf"), "name": "\0 ä"}
    gate = any_ledger.add_gate("m", 1, has_passed=True, by="ann", evidence=evidence)
    assert any_ledger.gates("m")[0] == gate
    draw = Draw(1.5, "m", 1, "s-1", 0, "c", "en", "", 9, 1.0, 4.0, 0.5, True, 8.0, 5_000_000_000)
    assert Draws(any_ledger).add([draw, draw]) == 1
    assert Draws(any_ledger).add([draw]) == 0
    assert Draws(any_ledger).of_model("m")[0].row == 5_000_000_000


def test_one_has_the_turn(any_ledger: Ledger) -> None:
    """Until it is given back, or its holder has gone."""
    with open_ledger(any_ledger.place) as other:
        give_back = any_ledger.try_turn("loading")
        assert give_back
        assert other.try_turn("loading") is None
        another = other.try_turn("something else")
        assert another
        give_back()
        taken: Callable[[], None] | None = other.try_turn("loading")
        assert taken
        another()
        taken()


@pytest.mark.parametrize(
    ("url", "found"),
    {
        NOWHERE: "cannot be reached .*refused",
        NOWHERE.replace(":secret@", "@") + "?password=secret": "cannot be reached",
        "mysql://ann:secret@host/name": "cannot be in mysql",
        "postgresql+psycopg2://ann:secret@host/name": r"cannot be in postgresql\+psycopg2",
        "postgresql://ann:secret@host:port/name": "is no SQLAlchemy URL",
    }.items(),
)
def test_a_url_that_does_not_work_shows_no_password(url: str, found: str) -> None:
    """One sentence."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: make setup")
    with pytest.raises(LedgerError, match=found) as caught:
        open_ledger(url)
    assert "wanted" in str(caught.value) or "such as" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_driver_need_not_be_named() -> None:
    """It is the one that the extra installs."""
    assert database_url("postgresql://ann@host/name").database == "name"
