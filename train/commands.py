"""The subcommand `asr train`. Imports nothing heavy at module level: `asr --help` must stay fast."""

from pathlib import Path
from typing import Annotated

import typer

from asr.options import takes_ledger


def register(app: typer.Typer) -> None:
    """Adds the subcommand to the command `asr`."""
    app.command()(takes_ledger(train))


def train(
    config: Annotated[Path, typer.Option(help="Settings of the training, such as configs/train/wav2vec2-digits.toml.")],
    out: Annotated[
        Path | None, typer.Option(help="The model's folder. [default: a folder that --model finds by name]")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after this time; the same command continues.")
    ] = None,
) -> None:
    """Train or fine-tune a model on labelled recordings; after an interruption the same command continues."""
    from train.command import train as run

    run(config, out, minutes)
