"""Subcommands of the core: `asr models` and `asr transcribe`.

Nothing heavy is imported here: `asr --help` must answer at once.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from asr.config import DEFAULT_MODEL
from asr.errors import AsrError, CallerError, ConfigError

if TYPE_CHECKING:
    from asr.engine import Engine
    from asr.weights import ModelStatus


MANY_LANGUAGES = 6
"""From this many on the table gives their number."""


class Format(StrEnum):
    """The keys of `asr.text.FORMATS`, written out because that module's imports are heavy."""

    TXT = "txt"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    app.command()(models)
    app.command()(transcribe)
    app.command()(align)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models: where their files come from, whether they are here, and whether their SHA-256 holds."""
    from asr.weights import list_models

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


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings in any format.")],
    model: Annotated[str, typer.Option(help="A name from `asr models`, a folder, or a hub id.")] = DEFAULT_MODEL,
    language: Annotated[str | None, typer.Option(help="Its code, such as de; else the model finds it out.")] = None,
    prompt: Annotated[str, typer.Option(help="Text that the recording continues: names, spellings, style.")] = "",
    text_format: Annotated[Format, typer.Option("--format", help="How the text is written.")] = Format.TXT,
    output_dir: Annotated[Path | None, typer.Option(help="Write NAME.FORMAT there instead of printing.")] = None,
) -> None:
    """Write down what is said in recordings."""
    outputs = _outputs(files, text_format, output_dir)
    from asr.engine import Engine

    engine = Engine.load(model)
    failed = False
    for file in files:
        try:
            text = _text_of(file, engine, language, prompt, text_format)
            _deliver(text, outputs.get(file), file if len(files) > 1 else None)
        except ConfigError:
            raise  # a wrong option is wrong for every file
        except AsrError as error:
            failed = True
            print(f"asr: {_named(file, str(error))}", file=sys.stderr)
    if failed:
        raise typer.Exit(1)


def align(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of any length and format.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is said in it, or a text file that holds it.")],
    model: Annotated[str, typer.Option(help="A CTC model, best for this, or a Whisper model.")] = DEFAULT_MODEL,
    language: Annotated[str | None, typer.Option(help="Its code, such as de; else the model finds it out.")] = None,
    text_format: Annotated[Format, typer.Option("--format", help="txt: a line a word.")] = Format.TXT,
) -> None:
    """Find when each word of a known text is said, and how well it fits there."""
    from asr.align import align as align_recording
    from asr.align.write import write
    from asr.engine import Engine

    engine = Engine.load(model)
    alignment = align_recording(file, _given_text(text), engine, language=language)
    typer.echo(write(alignment, text_format.value, language or "", engine.name).rstrip("\n"))


def _given_text(text: str) -> str:
    """The argument itself, or what the file of that name holds."""
    try:
        if not Path(text).is_file():
            return text
    except OSError:  # too long to be a name
        return text
    try:
        return Path(text).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{text} cannot be read as text; wanted a file in UTF-8, or the text itself") from None


def _named(file: Path, message: str) -> str:
    return message if str(file) in message else f"{file}: {message}"


def _outputs(files: Sequence[Path], text_format: Format, folder: Path | None) -> dict[Path, Path]:
    """Where each file's text goes, none for standard output. Raises `ConfigError` before any work is done."""
    if folder is None:
        if len(files) > 1 and text_format is not Format.TXT:
            raise ConfigError(f"{len(files)} files in {text_format} cannot share one output; wanted --output-dir")
        return {}
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output-dir {folder} is a file, wanted a folder")
    outputs: dict[Path, Path] = {}
    sources = {file.resolve() for file in files}
    for file in files:
        output = folder / f"{file.stem}.{text_format}"
        if output.resolve() in sources:
            raise ConfigError(f"{output} is itself one of the files to read; wanted another --output-dir")
        if file in outputs or output in outputs.values():
            raise ConfigError(f"two files would both be written to {output}; wanted different names")
        outputs[file] = output
    return outputs


def _text_of(file: Path, engine: "Engine", language: str | None, prompt: str, text_format: Format) -> str:
    from asr.audio import duration_s
    from asr.text import FORMATS, Transcript
    from asr.transcribe import transcribe as transcribe_recording

    with _progress(file.name, duration_s(file)) as on_progress:
        transcript = transcribe_recording(file, engine, language=language, prompt=prompt, on_progress=on_progress)
    write: Callable[[Transcript], str] = FORMATS[text_format.value]
    return write(transcript)


class _SecondsColumn(ProgressColumn):
    """Audio done and audio to do, as in `62 / 184 s`."""

    def render(self, task: Task) -> Text:
        total = "?" if task.total is None else f"{task.total:.0f}"
        return Text(f"{task.completed:.0f} / {total} s")


@contextmanager
def _progress(name: str, total_s: float | None) -> Iterator[Callable[[float], None]]:
    """A bar by audio seconds on standard error, gone when done; nothing where that is no terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), _SecondsColumn(), TimeRemainingColumn())
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,  # it would print results to standard error
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(escape(name), total=total_s)
        yield lambda done_s: bar.update(task, completed=done_s)


def _deliver(text: str, output: Path | None, name: Path | None) -> None:
    """Writes the text to its file, or prints it with the recording's name (if any) before each line."""
    if output is None:
        lines = text.rstrip("\n").split("\n")
        typer.echo("\n".join(lines if name is None else [f"{name}: {line}" for line in lines]))
        return
    from asr.cache import write_text_atomically

    try:
        write_text_atomically(output, text)
    except OSError as error:
        raise CallerError(f"{output} cannot be written ({error.strerror}); wanted a folder to write to") from None
