"""The ledger's database: connections, transactions, and each failure as one sentence.

A file is an SQLite database in WAL mode: readers never wait for the writer, and a committed row survives `kill -9` and
a power cut. Any other database is named by its SQLAlchemy URL.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from asr.errors import LedgerError
from asr.ledger.tables import FORMAT, FORMATS, METADATA

WAIT_S = 5.0
"""How long a transaction waits for another one. A move takes milliseconds: a longer lock is held by somebody else."""

_SQLITE_FAILURES = (
    ("SQLITE_BUSY", f"is locked by another process for more than {WAIT_S:g} s; wanted a ledger that nobody holds open"),
    ("SQLITE_FULL", "cannot be written, because its disk is full; wanted free space there"),
    ("SQLITE_IOERR", "cannot be read or written by the system; wanted a disk without faults and with free space"),
    ("SQLITE_CANTOPEN", "cannot be opened; wanted a file that this user may write, in a folder that exists"),
    ("SQLITE_READONLY", "cannot be written by this user; wanted a file and a folder that may be written"),
    ("SQLITE_PERM", "cannot be opened by this user; wanted a file that may be read and written"),
    ("SQLITE_NOTADB", "is no SQLite database; wanted a ledger's file, or a new name"),
    ("SQLITE_CORRUPT", "is damaged; wanted a whole file, such as one of a backup"),
)
_IMMEDIATE = "steadyword_immediate"


class Database:
    """The connections to one ledger."""

    def __init__(self, where: str | Path) -> None:
        """Opens the database, and creates its tables if it is new. Raises `LedgerError`."""
        self.url = database_url(where)
        self.where = str(self.url.database) if self.is_sqlite else self.url.render_as_string()
        try:
            self._engine = _engine(self.url)
            self._writers = self._engine.execution_options(**{_IMMEDIATE: True})
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise LedgerError(
                f"the ledger {self.where} cannot be opened ({_first_line(error)}); "
                "wanted a file, or the URL of a database whose driver is installed"
            ) from None
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a file, and not a database server."""
        return self.url.get_backend_name() == "sqlite"

    def close(self) -> None:
        """Closes the pool's connections; a later question opens new ones."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the ledger. Raises `LedgerError`."""
        with self._sentences(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes all or nothing.

        SQLite admits one at a time. Elsewhere two of them may add the same number, and one gets `IntegrityError`: it
        read an old state, so run it again. Raises `LedgerError` too.
        """
        with self._sentences(), self._writers.begin() as connection:
            yield connection

    def now_s(self, connection: Connection) -> float:
        """Seconds since 1970 by the database's clock, which is one clock for all who write to it."""
        query = (
            "SELECT (julianday('now') - 2440587.5) * 86400.0" if self.is_sqlite else "SELECT extract(epoch FROM now())"
        )
        return float(connection.execute(text(query)).scalar_one())

    def _prepare(self) -> None:
        with self.reading() as connection:
            tables = set(inspect(connection).get_table_names())
        if FORMATS.name not in tables:
            self._create()
        with self.reading() as connection:
            found = connection.execute(select(FORMATS.c.version)).scalar_one()
        if found > FORMAT:
            raise LedgerError(
                f"the ledger {self.where} has format {found}, and this version of steadyword reads formats up to "
                f"{FORMAT}; wanted a newer steadyword"
            )
        if FORMATS.name in tables and not tables.issuperset(METADATA.tables):
            self._complete()

    def _create(self) -> None:
        """Creates the tables. Of two processes that do so at once, the second finds them there."""
        if self.is_sqlite:
            with self._sentences(), self._engine.connect() as connection:
                connection.connection.execute("PRAGMA journal_mode = WAL")  # outside of any transaction
        with self.writing() as connection:
            METADATA.create_all(connection)
            if connection.execute(select(FORMATS.c.version)).first() is None:
                connection.execute(FORMATS.insert().values(version=FORMAT))

    def _complete(self) -> None:
        """Adds the tables that an older format lacks, all or none; rows stay as they are."""
        with self.writing() as connection:
            METADATA.create_all(connection)
            connection.execute(FORMATS.update().where(FORMATS.c.version < FORMAT).values(version=FORMAT))

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DBAPIError as error:
            raise LedgerError(f"the ledger {self.where} {_failure(error)}") from None
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger {self.where} failed: {_first_line(error)}") from None


def database_url(where: str | Path) -> URL:
    """The SQLAlchemy URL of a file or of an SQLAlchemy URL. Raises `LedgerError` if it is neither."""
    if isinstance(where, Path) or "://" not in where:
        if not str(where):
            raise LedgerError("found an empty name of a ledger; wanted a file or an SQLAlchemy URL")
        return URL.create("sqlite", database=str(Path(where).expanduser().absolute()))
    try:
        url = make_url(where)
    except ArgumentError:
        raise LedgerError(f"the ledger {where} is no SQLAlchemy URL, such as postgresql://HOST/NAME") from None
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise LedgerError(f"the ledger {where} would be lost with this process; wanted a file, such as sqlite:///FILE")
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url, connect_args={"timeout": WAIT_S})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, _record: object) -> None:
    """Transactions begin where we say, not at the first write as the driver's do; each commit reaches the disk."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    """A writer takes the lock before it reads: what it read still holds when it writes."""
    is_writer = connection.get_execution_options().get(_IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writer else "BEGIN")


def _failure(error: DBAPIError) -> str:
    code = str(getattr(error.orig, "sqlite_errorname", ""))
    for prefix, sentence in _SQLITE_FAILURES:
        if code.startswith(prefix):
            return sentence
    return f"failed: {_first_line(error.orig or error)}"


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
