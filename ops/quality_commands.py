"""The commands `asr quality ...`. Imports nothing heavy at module level: `asr --help` stays fast."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.model_commands import opened
from asr.options import takes_ledger

if TYPE_CHECKING:
    from asr.ledger import Ledger


def register(app: typer.Typer) -> None:
    """Adds `asr quality` to the command `asr`."""
    quality = typer.Typer(help="Quality of live speech: WER estimated without text, corrected by labels.")
    quality.callback(invoke_without_command=True)(takes_ledger(show))
    quality.command("fit")(takes_ledger(fit))
    app.add_typer(quality, name="quality")


def show(
    context: typer.Context,
    utterances: Annotated[int, typer.Option(min=1, help="Look at this many of the last utterances.")] = 2000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the WER of each champion: estimated without text, and what labels prove; by language, client, hour."""
    if context.invoked_subcommand is not None:
        return
    import json
    import time

    from ops.quality import lines, report

    with opened(must_exist=True) as ledger:
        for name in ledger.names():
            found = report(ledger, name, time.time(), utterances)
            if as_json and found is not None:
                typer.echo(json.dumps(found.as_dict()))
            elif found is not None:
                typer.echo("\n".join(lines(found)))
            else:
                typer.echo(f"{name}: {_missing(ledger, name)}", err=as_json)


def _missing(ledger: "Ledger", name: str) -> str:
    from ops.quality import model_of

    if model_of(ledger, name) is None:
        return f"no model of its errors; wanted one: asr quality fit {name}"
    return "no utterance of its champion yet"


def fit(
    name: Annotated[str, typer.Argument(help="A model whose conditions are measured: asr drift conditions.")],
    measured: Annotated[
        list[Path] | None, typer.Option(help="Files of measured vitals in place of the model's own; repeatable.")
    ] = None,
    accept: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Accepted WER in per cent; by default 2 over the own sets' speakers, more where few speak.",
        ),
    ] = None,
    draw: Annotated[float, typer.Option(min=0.001, max=1, help="Share of the utterances to draw for labels.")] = 0.05,
) -> None:
    """Fit the model of a champion's errors on its labelled sets under conditions, and keep it beside the ledger."""
    from ops.quality_fit import fit_model, table

    with opened(must_exist=True) as ledger:
        for line in table(fit_model(ledger, name, measured or [], accept, draw)):
            typer.echo(line)
