"""Subcommands of the core: `asr models` (`asr.model_commands`), `asr ledger` (`asr.ledger_commands`) and `asr align`.

Heavy modules are imported inside the commands, so that `asr --help` starts quickly.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from asr.config import DEFAULT_MODEL
from asr.errors import ConfigError
from asr.ledger_commands import ledger_group
from asr.model_commands import models_group
from asr.options import takes_ledger
from asr.text_files import decoded, fault


class Format(StrEnum):
    """The keys of `asr.transcripts.formats.FORMATS`, repeated because that module imports heavy ones."""

    TXT = "txt"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    TSV = "tsv"
    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    app.add_typer(models_group(), name="models")
    app.add_typer(ledger_group(), name="ledger")
    app.command()(takes_ledger(align))


def align(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of any length and format.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is said in it, or a text file with it.")],
    model: Annotated[str, typer.Option(help="A CTC model (best) or a Whisper model.")] = DEFAULT_MODEL,
    language: Annotated[
        str | None, typer.Option(help="Language, such as de, deu or German. Default: the model detects it.")
    ] = None,
    text_format: Annotated[Format, typer.Option("--format", help="txt: one line per word.")] = Format.TXT,
) -> None:
    """Find when each word of a given text is said in a recording, and how well it fits there."""
    from asr.align import align as align_recording
    from asr.align.write import write
    from asr.console import print_result
    from asr.engine import Engine

    engine = Engine.load(model)

    def on_notice(notice: str) -> None:
        print(f"asr: {file}: {notice}", file=sys.stderr)

    alignment = align_recording(file, _given_text(text), engine, language=language, on_notice=on_notice)
    print_result(write(alignment, text_format.value, engine.language_code(language) or "", engine.name).rstrip("\n"))


def _given_text(text: str) -> str:
    """The argument itself, or the content of the file of that name. Raises `ConfigError` if that is not UTF-8."""
    try:
        if not Path(text).is_file():
            return text
    except OSError:  # too long to be a name
        return text
    try:
        content = decoded(Path(text).read_bytes())
    except OSError:
        raise ConfigError(f"{text} cannot be read; wanted a file in UTF-8, or the text itself") from None
    if fault(content):
        raise ConfigError(f"{text} cannot be read as text: {fault(content)}, or the text itself")
    return content
