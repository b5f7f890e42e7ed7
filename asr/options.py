"""Options that the commands of several packages share."""

import functools
import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any

import typer

LEDGER = "ASR_LEDGER"
"""The environment variable that names the ledger. Worker processes inherit it."""

LedgerOption = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        help="The ledger of releases: a file, or a URL of PostgreSQL. [default: $ASR_LEDGER, or the user's own]",
    ),
]


def takes_ledger(command: Callable[..., None]) -> Callable[..., None]:
    """The same command with the option `--ledger`: its models may be releases of that ledger."""

    @functools.wraps(command)
    def with_ledger(*arguments: Any, ledger: str | None, **options: Any) -> None:
        if ledger is not None:
            os.environ[LEDGER] = ledger
        command(*arguments, **options)

    signature = inspect.signature(command)
    option = inspect.Parameter("ledger", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LedgerOption)
    with_ledger.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    with_ledger.__annotations__ = command.__annotations__ | {"ledger": LedgerOption}
    return with_ledger
