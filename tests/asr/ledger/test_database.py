"""Databases that cannot be used: one sentence each, and what was committed stays."""

import contextlib
import os
import resource
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, MetaData, text

from asr.aliases import CHAMPION
from asr.ledger import Ledger, LedgerError, database, open_ledger
from asr.ledger.tables import FORMAT, METADATA
from tests.asr.ledger.releases import ALARM, PAIR, VITALS, add_releases, model_folder

FIRST_FORMAT = {"ledger_format", "releases", "moves", "gates", "pairs", "outcomes", "labels"}
"""The tables of format 1."""


def test_a_locked_ledger_gives_one_sentence(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program holds the file; readers go on, and a move works again when it lets go."""
    add_releases(ledger, tmp_path, 1)
    monkeypatch.setattr(database, "WAIT_S", 0.1)
    holder = sqlite3.connect(ledger.where, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with open_ledger(ledger.where) as other:
        with pytest.raises(LedgerError, match="is locked by another process"):
            other.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
        assert other.names() == ["m"]
        holder.close()
        assert other.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first").id == 1


def test_a_ledger_of_a_newer_version_is_refused(ledger: Ledger) -> None:
    """An older program would misread it."""
    with contextlib.closing(sqlite3.connect(ledger.where)) as connection:
        connection.execute("UPDATE ledger_format SET version = 99")
        connection.commit()
    with pytest.raises(LedgerError, match=r"has format 99, and this version .* up to 2; wanted a newer steadyword"):
        open_ledger(ledger.where)


def test_a_ledger_of_an_older_version_gets_the_missing_tables(ledger: Ledger, tmp_path: Path) -> None:
    """Its rows stay; two programs that open it at once find the same."""
    add_releases(ledger, tmp_path, 2)
    ledger.move("m", CHAMPION, expected=None, to=2, by="ann", why="the first")
    ledger.add_pairs([PAIR])
    with contextlib.closing(sqlite3.connect(ledger.where)) as connection:
        new = set(METADATA.tables) - FIRST_FORMAT
        connection.executescript(";".join(f"DROP TABLE {table}" for table in new))
        connection.execute("UPDATE ledger_format SET version = 1")
        connection.commit()
    with open_ledger(ledger.where) as one, open_ledger(ledger.where) as other:
        one.add_vitals([VITALS])
        other.add_alarm(ALARM, "1")
        assert len(other.vitals("m")) == len(one.alarms("m")) == len(one.pairs("m", 1, 2)) == 1
        assert one.aliases("m")[CHAMPION].number == 2
    with contextlib.closing(sqlite3.connect(ledger.where)) as connection:
        assert connection.execute("SELECT version FROM ledger_format").fetchall() == [(FORMAT,)]


def test_an_upgrade_is_whole_or_not_there(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends within it leaves the old format, which the next one completes."""
    with contextlib.closing(sqlite3.connect(ledger.where)) as connection:
        connection.executescript("DROP TABLE vitals; DROP TABLE alarms; UPDATE ledger_format SET version = 1")
    created: list[str] = []

    def interrupted(metadata: MetaData, connection: Connection) -> None:
        created.append(str(connection.execute(text("CREATE TABLE alarms (id INTEGER)"))))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(MetaData, "create_all", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_ledger(ledger.where)
    assert created
    with open_ledger(ledger.where) as again:
        assert again.add_alarm(ALARM, "1") == replace(ALARM, id=1)


def write_text(path: Path) -> None:
    path.write_text("not a database at all, but long enough for a header" * 20)


NO_LEDGERS: dict[str, Callable[[Path], object]] = {
    "is no SQLite database": write_text,
    "cannot be opened": Path.mkdir,
    "'s folder .* cannot be created": lambda path: path.parent.rmdir() or path.parent.write_text("a file"),
}


@pytest.mark.parametrize("found", NO_LEDGERS)
def test_what_is_no_ledger_gives_one_sentence(tmp_path: Path, found: str) -> None:
    """A text file, a folder, a path below a file."""
    path = tmp_path / "a" / "ledger.db"
    path.parent.mkdir()
    NO_LEDGERS[found](path)
    with pytest.raises(LedgerError, match=f"{found}.*; wanted "):
        open_ledger(path)


def test_a_damaged_ledger_gives_one_sentence(ledger: Ledger, tmp_path: Path) -> None:
    """The pages of the tables are overwritten."""
    add_releases(ledger, tmp_path, 1)
    ledger.close()
    path = Path(ledger.where)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(LedgerError, match=r"is damaged; wanted a whole file"), open_ledger(path) as damaged:
        damaged.releases("m")


@pytest.mark.parametrize("url", ["nosuch://host/name", "sqlite://", "sqlite:///:memory:", "://", "mysql://host/name"])
def test_a_url_that_cannot_be_used_gives_one_sentence(url: str) -> None:
    """An unknown database, one that dies with the process, one that a ledger cannot be in."""
    with pytest.raises(LedgerError, match=r"; wanted |, such as "):
        open_ledger(url)


def test_a_url_of_sqlite_is_the_file(ledger: Ledger, tmp_path: Path) -> None:
    """The same releases, beside the same file."""
    add_releases(ledger, tmp_path, 1)
    with open_ledger(f"sqlite:///{ledger.where}") as other:
        assert other.releases("m") == ledger.releases("m")


@contextlib.contextmanager
def no_file_longer_than(size_bytes: int) -> Iterator[None]:
    """The system refuses to write behind this many bytes of a file, as on a full disk (the error is EFBIG)."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_a_ledger_that_cannot_grow_keeps_what_it_has(ledger: Ledger, tmp_path: Path) -> None:
    """The write fails with one sentence, is undone as a whole, and works when there is space again."""
    add_releases(ledger, tmp_path, 2)
    ledger.move("m", CHAMPION, expected=None, to=1, by="ann", why="the first")
    many = [replace(PAIR, stream_id=f"s-{number}") for number in range(20_000)]
    wal = Path(f"{ledger.where}-wal")
    with no_file_longer_than(wal.stat().st_size), pytest.raises(LedgerError, match="free space"):
        ledger.add_pairs(many)
    assert ledger.pairs("m", 1, 2) == []
    assert ledger.aliases("m")[CHAMPION].number == 1
    ledger.move("m", CHAMPION, expected=1, to=2, by="ann", why="there is space again")
    assert ledger.version() == 2


def test_a_folder_that_cannot_be_copied_adds_nothing(ledger: Ledger, tmp_path: Path) -> None:
    """A part of a release is never left behind."""
    folder = model_folder(tmp_path / "a")
    with no_file_longer_than(500), pytest.raises(LedgerError, match=r"cannot be copied .*free space"):
        ledger.add_release("m", folder, by="ann", why="a full disk")
    assert ledger.releases("m") == []
    assert list(ledger.releases_folder.iterdir()) == []
