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
from asr.errors import AsrError, ConfigError

if TYPE_CHECKING:
    from asr.engine import Engine
    from asr.model_files import ModelStatus


MANY_LANGUAGES = 6
"""From this many on the table gives their number."""


class Format(StrEnum):
    """The keys of `asr.transcripts.formats.FORMATS`, written out because that module's imports are heavy."""

    TXT = "txt"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"
    TSV = "tsv"
    JSONL = "jsonl"


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    app.command()(models)
    app.command()(transcribe)
    app.command()(align)


def models(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the models: where their files come from, whether they are here, and whether their SHA-256 holds."""
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


def transcribe(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings, folders of them, or patterns.")],
    model: Annotated[str, typer.Option(help="A name from `asr models`, a folder, or a hub id.")] = DEFAULT_MODEL,
    language: Annotated[
        str | None, typer.Option(help="Its code, such as de; auto, or without it, the model finds it out.")
    ] = None,
    prompt: Annotated[str, typer.Option(help="Text that the recording continues: names, spellings, style.")] = "",
    hotword: Annotated[list[str] | None, typer.Option(help="A word or name to expect; may be given again.")] = None,
    beam_size: Annotated[int, typer.Option(min=1, max=32, help="Texts looked at side by side; 1 is the quickest.")] = 1,
    fallback: Annotated[bool, typer.Option("--fallback", help="Try again where the model doubts its text.")] = False,
    text_format: Annotated[
        str,
        typer.Option("--format", help="How the texts are written: txt, json, srt, vtt, tsv, jsonl; some by commas."),
    ] = Format.TXT.value,
    output_dir: Annotated[
        Path | None, typer.Option(help="Write NAME.FORMAT there, as the folders have it, instead of printing.")
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Look into folders' folders too.")] = False,
    include: Annotated[
        list[str] | None, typer.Option(help="Take files of such names, as '*.mp3', from folders; may be given again.")
    ] = None,
    word_times: Annotated[bool, typer.Option("--word-times", help="A line a word in tsv, words in jsonl.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="So many processes; else as many as cores.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done, and how long.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with what arrives in the folders, until Ctrl-C.")
    ] = False,
    engine: Annotated[str, typer.Option(help="Where: local, or ray (a cluster).")] = "local",
    ray_address: Annotated[str | None, typer.Option(help="The cluster's; else one on this machine.")] = None,
) -> None:
    """Write down what is said in recordings, on standard output or in a folder; there a run resumes the one before."""
    formats, hotwords = _formats(text_format), tuple(hotword or ())
    if engine not in ("local", "ray"):
        raise ConfigError(f"unknown --engine {engine!r}; wanted local or ray")
    if output_dir is None:
        speech = _Speech(language, prompt, hotwords, beam_size, fallback)
        _print_texts(files, model, speech, formats, bool(recursive or include or dry_run or watch))
        return
    from batch import command

    wish = command.Wish(
        tuple(files), output_dir, formats, model, language, prompt, hotwords, beam_size, fallback,
        recursive, tuple(include or ()), word_times, workers, engine, ray_address,
    )  # fmt: skip
    do = command.plan if dry_run else command.watch if watch else command.transcribe_folders
    if do(wish):
        raise typer.Exit(1)


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    known = [one.value for one in Format]
    for name in names:
        if name not in known:
            raise ConfigError(f"unknown --format {name!r}; wanted {', '.join(known)}, or some of them by commas")
    return names


@dataclasses.dataclass(frozen=True, slots=True)
class _Speech:
    """What is known of the recordings, and how hard to look."""

    language: str | None
    prompt: str
    hotwords: tuple[str, ...]
    beam_size: int
    fallback: bool


def _print_texts(
    files: Sequence[Path], model: str, speech: _Speech, formats: Sequence[str], needs_folder: bool
) -> None:
    """Each recording's text on standard output."""
    if needs_folder or any(file.is_dir() for file in files):
        raise ConfigError("folders of recordings need a place for their texts; wanted --output-dir")
    if len(formats) > 1 or (len(files) > 1 and formats[0] != Format.TXT):
        found = f"{len(files)} files in {formats[0]}" if len(formats) == 1 else f"{len(formats)} formats"
        raise ConfigError(f"{found} cannot share one output; wanted --output-dir")
    from asr.engine import Engine

    engine = Engine.load(model)
    failed = False
    for file in files:
        try:
            _print(_text_of(file, engine, speech, formats[0]), file if len(files) > 1 else None)
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


def _text_of(file: Path, engine: "Engine", speech: _Speech, text_format: str) -> str:
    from asr.audio.files import duration_s
    from asr.transcripts.formats import FORMATS, Transcript
    from asr.transcripts.recording import offline_settings
    from asr.transcripts.recording import transcribe as transcribe_recording

    with _progress(file.name, duration_s(file)) as on_progress:
        transcript = transcribe_recording(
            file,
            engine,
            language=speech.language,
            prompt=speech.prompt,
            hotwords=speech.hotwords,
            settings=offline_settings(beam_size=speech.beam_size, fallback=speech.fallback),
            on_progress=on_progress,
        )
    write: Callable[[Transcript], str] = FORMATS[text_format]
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


def _print(text: str, name: Path | None) -> None:
    """With the recording's name (if any) before each line."""
    lines = text.rstrip("\n").split("\n")
    typer.echo("\n".join(lines if name is None else [f"{name}: {line}" for line in lines]))
