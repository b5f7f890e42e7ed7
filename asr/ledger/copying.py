"""A ledger into another one, such as a file into PostgreSQL when a second machine comes."""

from collections.abc import Callable

from sqlalchemy import Connection, Table, func, select, text

from asr.errors import LedgerError
from asr.ledger.folders import store
from asr.ledger.ledger import Ledger
from asr.ledger.tables import FORMATS, METADATA

BATCH_ROWS = 5_000


def copy_ledger(
    source: Ledger, target: Ledger, on_missing: Callable[[str], None] = lambda sentence: None
) -> dict[str, int]:
    """Copies all rows, with their numbers, and the files of the releases. Returns the rows of each table.

    The rows are those of one moment: what is written to `source` afterwards is not in `target`. All of them are copied,
    or none. `on_missing` gets a sentence for each release whose files are not whole in `source`, and is copied without.
    Raises `LedgerError`, also for a target that has rows.
    """
    for name in source.names():
        for release in source.releases(name):
            try:
                store(source.verified_folder(release), target.releases_folder)
            except LedgerError as error:
                on_missing(str(error))
    with source.database.reading() as rows, target.database.writing() as connection:
        tables = [table for table in METADATA.sorted_tables if table is not FORMATS]
        for table in tables:
            if count := _count(connection, table):
                raise LedgerError(f"the ledger {target.where} has {count} {table.name}; wanted one without rows")
        copied = {table.name: _copy(table, rows, connection) for table in tables}
        if not target.database.is_sqlite:
            for table in tables:
                _count_on(connection, table)
    return copied


def _copy(table: Table, rows: Connection, connection: Connection) -> int:
    keys = table.primary_key.columns
    result = rows.execution_options(yield_per=BATCH_ROWS).execute(select(table).order_by(*keys))
    for batch in result.mappings().partitions():
        connection.execute(table.insert(), [dict(row) for row in batch])
    return _count(connection, table)


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _count_on(connection: Connection, table: Table) -> None:
    """PostgreSQL counts its numbers apart from the rows: the next row comes after those that were copied."""
    column = table.autoincrement_column
    if column is None or not (last := connection.execute(select(func.max(column))).scalar()):
        return
    set_on = text("SELECT setval(pg_get_serial_sequence(:table, :column), :last)")
    connection.execute(set_on, {"table": table.name, "column": column.name, "last": last})
