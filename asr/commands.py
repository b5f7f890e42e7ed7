"""Subcommands of the core: `asr models` and `asr align`.

Heavy modules are imported inside the commands, so that `asr --help` starts quickly.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asr.config import DEFAULT_MODEL
from asr.errors import ConfigError
from asr.text_files import decoded, fault

if TYPE_CHECKING:
    from asr.model_files import ModelStatus


MANY_LANGUAGES = 6
"""From this many languages on, the table shows only their number."""


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
    app.command()(models)
    app.command()(align)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models: where their files come from, whether they are installed, and whether their SHA-256 is right."""
    from asr.model_files import list_models

    statuses = list_models()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(status) for status in statuses], indent=2))
        return
    console = Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=160)
    console.print(_table(statuses))
    for status in statuses:
        if not status.present:
            console.print(f"{status.name} is not here; run: {escape(status.install)}", soft_wrap=True)
    console.print(
        "Further: any folder in Transformers' or CTranslate2's layout, and any hub id (openai/whisper-small)."
    )


def _table(statuses: "Sequence[ModelStatus]") -> Table:
    table = Table("name", "architecture", "languages", "source", "size", "here", "SHA-256")
    for status in statuses:
        table.add_row(
            status.name,
            status.architecture,
            _languages(status.languages),
            escape(status.source),
            "-" if status.size_bytes is None else f"{status.size_bytes / 1e6:.0f} MB",
            "yes" if status.present else "no",
            {None: "-", True: "holds", False: "[red]does not hold[/red]"}[status.hash_ok],
        )
    return table


def _languages(codes: Sequence[str]) -> str:
    return ", ".join(codes) if len(codes) < MANY_LANGUAGES else f"{len(codes)} languages"


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
