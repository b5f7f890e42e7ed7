"""The subcommand `asr transcribe`: a few recordings to standard output, or many into a folder.

Heavy modules are imported inside the command, so that `asr --help` starts quickly.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from asr.commands import Format
from asr.config import DEFAULT_MODEL, load_session_settings
from asr.console import loading
from asr.errors import AudioError, ConfigError
from asr.options import takes_ledger
from asr.quick_start import quick_imports
from batch.options import FolderOptions, RecognitionOptions
from batch.urls import url_of

ENGINES = ("local", "ray")


def register(app: typer.Typer) -> None:
    """Adds the subcommand to the command `asr`."""
    app.command()(takes_ledger(transcribe))


def transcribe(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="Recordings, folders of recordings, or patterns.")
    ],
    model: Annotated[str, typer.Option(help="A name from `asr models`, a folder, or a hub id.")] = DEFAULT_MODEL,
    language: Annotated[
        str | None,
        typer.Option(help="Language, such as de, deu or German. With auto, or by default, the model detects it."),
    ] = None,
    prompt: Annotated[str, typer.Option(help="Text that precedes the recording: names, spellings, style.")] = "",
    hotword: Annotated[
        list[str] | None, typer.Option(help="A word or name to expect. Repeat the option for more.")
    ] = None,
    beam_size: Annotated[
        int | None, typer.Option(min=1, max=32, help="Hypotheses searched in parallel. Default: 1, the fastest.")
    ] = None,
    fallback: Annotated[
        bool, typer.Option("--fallback", help="Decode again at higher temperatures where the model is unsure.")
    ] = False,
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="TOML with session settings: [vad], [stream], [decode].")
    ] = None,
    precision: Annotated[
        str, typer.Option(help="Number format the model computes in: auto, float32, bfloat16 or int8.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each process. Default: all cores, or 1 with --output-dir.")
    ] = None,
    text_format: Annotated[
        str,
        typer.Option("--format", help="Output format: txt, json, srt, vtt, tsv or jsonl, or several with commas."),
    ] = Format.TXT.value,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", "-o", help="Write NAME.FORMAT into this folder, in the inputs' layout. Default: print."
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", help="Search folders recursively.")] = False,
    include: Annotated[
        list[str] | None,
        typer.Option(help="From folders, take files that match, such as '*.mp3'. Repeat the option for more."),
    ] = None,
    word_times: Annotated[
        bool, typer.Option("--word-times", help="One line per word in tsv; each segment's words in jsonl.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of worker processes. Default: one per CPU core.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be done and how long it would take; write nothing.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep running: transcribe what arrives in the folders, until Ctrl-C.")
    ] = False,
    engine: Annotated[str, typer.Option(help="Where to run: local, or ray (a cluster).")] = ENGINES[0],
    ray_address: Annotated[
        str | None, typer.Option(help="Address of the Ray cluster. Default: start one on this machine.")
    ] = None,
) -> None:
    """Transcribe recordings to standard output, or into a folder, where a second run resumes the first."""
    formats = _formats(text_format)
    settings = load_session_settings(settings_file) if settings_file else None
    recognition = RecognitionOptions(
        model, language, prompt, tuple(hotword or ()), beam_size, fallback, settings, precision, threads
    )
    if engine not in ENGINES:
        raise ConfigError(f"unknown --engine {engine!r}; wanted {' or '.join(ENGINES)}")
    if output_dir is None:
        _check_printable(files, formats, needs_folder=bool(recursive or include or dry_run or watch))
        if not any(file.exists() for file in files):  # before the model is loaded for nothing
            raise AudioError(f"found no file at {', '.join(map(str, files))}")
        with loading(model) as loaded:
            with quick_imports():  # seconds on a busy machine
                from batch.printing import print_texts

            if not print_texts(files, recognition, formats[0], loaded):
                raise typer.Exit(1)
        return
    from batch import folders

    options = FolderOptions(
        tuple(files), output_dir, formats, recognition, recursive, tuple(include or ()), word_times, workers,
        engine, ray_address,
    )  # fmt: skip
    work = folders.plan if dry_run else folders.watch if watch else folders.transcribe_folders
    if work(options):
        raise typer.Exit(1)


def _formats(text: str) -> tuple[str, ...]:
    """The named formats, each once. Raises `ConfigError` for an unknown one."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    formats = [one.value for one in Format]
    for name in names:
        if name not in formats:
            raise ConfigError(f"unknown --format {name!r}; wanted {', '.join(formats)}, or several separated by commas")
    return names


def _check_printable(files: Sequence[Path], formats: Sequence[str], needs_folder: bool) -> None:
    """Raises `ConfigError` for what only makes sense with --output-dir."""
    if url := next(filter(None, map(url_of, files)), None):
        raise ConfigError(f"{url} is read for a folder of texts only; wanted --output-dir")
    if needs_folder or any(file.is_dir() for file in files):
        raise ConfigError("folders of recordings and their options need a folder for the texts; wanted --output-dir")
    if len(formats) > 1 or (len(files) > 1 and formats[0] != Format.TXT):
        found = f"{len(files)} files in {formats[0]}" if len(formats) == 1 else f"{len(formats)} formats"
        raise ConfigError(f"{found} cannot share standard output; wanted --output-dir")
