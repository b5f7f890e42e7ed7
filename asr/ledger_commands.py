"""The subcommand `asr ledger copy`."""

from typing import Annotated

import typer

from asr.errors import LedgerError


def ledger_group() -> typer.Typer:
    """The subcommands of `asr ledger`."""
    group = typer.Typer(help="The ledger of releases.", no_args_is_help=True, rich_markup_mode=None)
    group.callback()(_group)
    group.command()(copy)
    return group


def _group() -> None:
    """Move the ledger of releases to another place."""


def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="The ledger's file, or its URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="A file or URL of PostgreSQL, without a ledger's rows.")],
) -> None:
    """Copy a ledger with its releases to another place, such as a file to PostgreSQL. End those who write to it first.

    The files of releases go to where the other ledger looks for them: beside a file, and for PostgreSQL into the folder
    of models (STEADYWORD_MODELS).
    """
    from asr.ledger import open_ledger
    from asr.ledger.copying import copy_ledger
    from asr.ledger.database import missing_file

    if file := missing_file(source):
        raise LedgerError(f"found no ledger {file}; wanted one to copy")
    with open_ledger(source) as old, open_ledger(target) as new:
        copied = copy_ledger(old, new, lambda sentence: typer.echo(f"asr: {sentence}", err=True))
        for name, rows in copied.items():
            if rows:
                typer.echo(f"{name}: {rows}")
        typer.echo(f"{new.where} has all of it; name it from now on (ASR_LEDGER, --ledger, ledger in the settings)")
