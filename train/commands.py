"""The subcommand `asr train`. Nothing heavy is imported here: `asr --help` must answer at once."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds the subcommand to the command `asr`."""
    app.command()(train)


def train(
    config: Annotated[Path, typer.Option(help="What to train on what, such as configs/train/wav2vec2-digits.toml.")],
    out: Annotated[Path | None, typer.Option(help="The model's folder, instead of one found by its name.")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Stop after so long; the same command goes on.")
    ] = None,
) -> None:
    """Train or fine-tune a model on labelled recordings; interrupted, the same command goes on."""
    from train.command import train as run

    run(config, out, minutes)
