"""The ledger's database: connections, transactions, and each failure as one sentence.

A file is an SQLite database in WAL mode: readers never wait for the writer, and a committed row survives `kill -9` and
a power cut. A PostgreSQL database, for servers on several machines, is named by its SQLAlchemy URL.

Both let one transaction write at a time. PostgreSQL would let several, but it numbers rows when they are inserted, not
when they are committed: who reads the rows after the last one that it knows would miss a row with a lower number that
is committed later. So a writer holds an advisory lock until its rows can be seen.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)

from asr.errors import LedgerError, RowRefused
from asr.installing import pip_install
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
_POSTGRESQL_FAILURES = (  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    ("55P03", _SQLITE_FAILURES[0][1]),
    ("53100", "cannot be written, because its server's disk is full; wanted free space there"),
    ("53300", "has no connection left for us; wanted a larger max_connections of its server"),
    ("25006", "cannot be written: this server only reads; wanted the address of the one that writes"),
    ("42501", "cannot be used by this user; wanted one that may create tables and write them: GRANT ALL"),
)
_DRIVERS = {"sqlite": ("pysqlite",), "postgresql": ("psycopg",)}
_WRITER = "steadyword_writer"
_WRITERS_LOCK = 0x617372
"""Of PostgreSQL, one for each database: any number that other programs do not use."""
_POSTGRESQL_SETTINGS = {
    "lock_timeout": f"{WAIT_S:g}s",
    # A writer whose machine stopped in the middle of a transaction must not hold up all others.
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
_CONNECT: dict[str, Any] = {"connect_timeout": round(WAIT_S), "tcp_user_timeout": 20_000}
"""Of the driver: seconds; milliseconds until a server whose machine is gone counts as unreachable."""


class Database:
    """The connections to one ledger."""

    def __init__(self, where: str | Path) -> None:
        """Opens the database, and creates its tables if it is new. Raises `LedgerError`."""
        self.url = database_url(where)
        self.where = str(self.url.database) if self.is_sqlite else self.url.render_as_string()
        self.place = self.where if self.is_sqlite else self.url.render_as_string(hide_password=False)
        try:
            self._engine = _engine(self.url)
            # One state for all questions of a reader. A writer sees what was committed while it waited for the lock.
            options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ"}
            self._readers = self._engine.execution_options(**options)
            self._writers = self._engine.execution_options(**{_WRITER: True})
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise LedgerError(
                f"the ledger {self.where} cannot be opened ({_first_line(error)}); "
                f"wanted a file, or a URL whose driver is installed; {pip_install('psycopg[binary]')}"
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
        with self._sentences(), self._readers.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes all or nothing, one at a time. Raises `LedgerError`, of which `RowRefused` is for a
        row that the tables do not take."""
        with self._sentences(), self._writers.begin() as connection:
            yield connection

    def now_s(self, connection: Connection) -> float:
        """Seconds since 1970 by the database's clock, which is one clock for all who write to it."""
        sqlite = "SELECT (julianday('now') - 2440587.5) * 86400.0"
        query = sqlite if self.is_sqlite else "SELECT extract(epoch FROM clock_timestamp())"
        return float(connection.execute(text(query)).scalar_one())

    def try_turn(self, what: str) -> Callable[[], None] | None:
        """Takes the only turn at `what` among all processes that use this database. Raises `LedgerError`.

        Returns the function that gives it back, or None while another has it. The end of the process gives it back too.
        """
        return self._turn_by_file(what) if self.is_sqlite else self._turn_by_session(what)

    def _turn_by_file(self, what: str) -> Callable[[], None] | None:
        import fcntl

        try:
            file = Path(f"{self.where}-{what}").open("wb")  # noqa: SIM115 - open until the turn is given back
        except OSError as error:
            raise LedgerError(
                f"no turn at {what} can be taken beside the ledger {self.where}: {error.strerror}"
            ) from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        return file.close

    def _turn_by_session(self, what: str) -> Callable[[], None] | None:
        """A lock of a connection that is not shared: when it ends, for whatever reason, the server lets the lock go."""
        with self._sentences():
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            query = text("SELECT pg_try_advisory_lock(:ours, :what)")
            values = {"ours": _WRITERS_LOCK, "what": zlib.crc32(what.encode()) & 0x7FFFFFFF}
            has_turn = connection.execute(query, values).scalar_one()

        def give_back() -> None:
            connection.invalidate()
            connection.close()

        if has_turn:
            return give_back
        connection.close()
        return None

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
        except IntegrityError as error:
            raise RowRefused(f"the ledger {self.where} refused a row: {_first_line(error.orig or error)}") from None
        except DataError as error:  # PostgreSQL: a number that is too large
            raise RowRefused(f"the ledger {self.where} refused a value: {_first_line(error.orig or error)}") from None
        except DBAPIError as error:
            raise LedgerError(f"the ledger {self.where} {_failure(error)}") from None
        except StatementError as error:  # a column's type refused the value (`asr.ledger.tables`)
            raise RowRefused(f"the ledger {self.where} refused a value: {_first_line(error.orig or error)}") from None
        except SQLAlchemyError as error:
            raise LedgerError(f"the ledger {self.where} failed: {_first_line(error)}") from None
        except (OverflowError, UnicodeEncodeError) as error:  # SQLite's driver raises them as they are
            wanted = "wanted whole numbers of 64 bits and text that UTF-8 can encode"
            raise RowRefused(f"the ledger {self.where} refused a value: {_first_line(error)}; {wanted}") from None


def missing_file(where: str | Path) -> Path | None:
    """The file of a ledger that should be there and is not; None where it is, or where the ledger is no file.

    Whoever only reads or moves asks this first: opening would create an empty ledger in its place. Raises as
    `database_url`.
    """
    url = database_url(where)
    file = Path(str(url.database))
    return file if url.get_backend_name() == "sqlite" and not file.is_file() else None


def database_url(where: str | Path) -> URL:
    """The SQLAlchemy URL of a file or of an SQLAlchemy URL. Raises `LedgerError` for one that a ledger cannot be in."""
    if isinstance(where, Path) or "://" not in where:
        if not str(where):
            raise LedgerError("found an empty name of a ledger; wanted a file or a URL of PostgreSQL")
        return URL.create("sqlite", database=str(Path(where).expanduser().absolute()))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):  # the second: a port that is no number
        raise LedgerError("the ledger is no SQLAlchemy URL, such as postgresql+psycopg://USER@HOST/NAME") from None
    known = _DRIVERS.get(url.get_backend_name(), ())
    if not known or url.drivername.partition("+")[2] not in ("", *known):
        raise LedgerError(
            f"a ledger cannot be in {url.drivername}; wanted a file, or a URL such as postgresql+psycopg://USER@HOST/NAME"
        )
    if isinstance(password := url.query.get("password"), str):  # where it is never shown
        url = url.difference_update_query(["password"]).set(password=password)
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise LedgerError(f"the ledger {where} would be lost with this process; wanted a file, such as sqlite:///FILE")
    return url


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": WAIT_S})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=_CONNECT)
    event.listen(engine, "connect", _set_up_postgresql)
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """Transactions begin where we say, not at the first write as the driver's do; each commit reaches the disk."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock before it reads: what it read still holds when it writes."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_writer(connection) else "BEGIN")


def _set_up_postgresql(connection: Any, _record: object) -> None:
    for name, value in _POSTGRESQL_SETTINGS.items():
        connection.execute(f"SET {name} = '{value}'")
    connection.commit()


def _begin_postgresql(connection: Connection) -> None:
    """As SQLite's. The lock is let go after the commit, when others see the rows."""
    if _is_writer(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")


def _is_writer(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get(_WRITER, False))


def _failure(error: DBAPIError) -> str:
    code = str(getattr(error.orig, "sqlite_errorname", "") or getattr(error.orig, "sqlstate", ""))
    for prefix, sentence in _SQLITE_FAILURES + _POSTGRESQL_FAILURES:
        if code.startswith(prefix):
            return sentence
    if isinstance(error, OperationalError) and code in ("", "None"):  # PostgreSQL: there is no connection
        reason = _first_line(error.orig or error)
        return (
            f"cannot be reached ({reason}); wanted the URL of a server that answers, and of a database and user there"
        )
    return f"failed: {_first_line(error.orig or error)}"


def _first_line(error: Any) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
