"""`asr transcribe` without --output-dir: recordings one after another in this process, each text on standard output."""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from asr.audio.files import duration_s
from asr.console import OutputError, print_result
from asr.engine import Engine
from asr.errors import AsrError, AudioError, ConfigError
from asr.quick_start import without_collection
from asr.transcripts import recording
from asr.transcripts.formats import FORMATS
from batch.options import RecognitionOptions

SHORT_S = 30.0
"""Compiling takes 0.15 s and saves 0.12 s in this much speech (docs/log/page.md)."""


def print_texts(
    files: Sequence[Path], options: RecognitionOptions, text_format: str, on_loaded: Callable[[], None]
) -> bool:
    """Prints each recording's text, and errors of recordings on standard error; True if all recordings succeeded.

    `text_format` is a key of `asr.transcripts.formats.FORMATS`. `on_loaded` is called when the model is there.
    Raises `ModelError`, and `ConfigError` for an option.
    """
    with without_collection():
        engine = Engine.load(
            options.model, precision=options.precision, threads=options.threads, compiled=not _are_short(files)
        )
    on_loaded()
    failed = False
    for file in files:
        try:
            _print(_text_of(file, engine, options, text_format), file if len(files) > 1 else None)
        except (ConfigError, OutputError):
            raise  # a wrong option is wrong for every file, and so is a full disk
        except AsrError as error:
            failed = True
            print(f"asr: {_named(file, str(error))}", file=sys.stderr)
    return not failed


def _are_short(files: Sequence[Path]) -> bool:
    """Whether compiling the model would take longer than it saves."""
    total_s = 0.0
    for file in files:
        with suppress(AudioError):  # it is reported when it is read
            total_s += duration_s(file) or math.inf
        if total_s > SHORT_S:
            return False
    return True


def _named(file: Path, message: str) -> str:
    return message if str(file) in message else f"{file}: {message}"


def _text_of(file: Path, engine: Engine, options: RecognitionOptions, text_format: str) -> str:
    notices: list[str] = []
    with progress(file.name, duration_s(file)) as on_progress:
        transcript = recording.transcribe(
            file,
            engine,
            language=options.language,
            prompt=options.prompt,
            hotwords=options.hotwords,
            settings=recording.offline_settings(
                options.settings, beam_size=options.beam_size, fallback=options.fallback
            ),
            on_progress=on_progress,
            on_notice=notices.append,
        )
    for notice in notices:  # after the bar, which they would tear
        print(f"asr: {file}: {notice}", file=sys.stderr)
    return FORMATS[text_format](transcript)


class _SecondsColumn(ProgressColumn):
    """Seconds of audio done and in total, as in `62 / 184 s`."""

    def render(self, task: Task) -> Text:
        total = "?" if task.total is None else f"{task.total:.0f}"
        return Text(f"{task.completed:.0f} / {total} s")


@contextmanager
def progress(name: str, total_s: float | None) -> Iterator[Callable[[float], None]]:
    """A bar in seconds of audio on standard error, erased at the end; nothing where that is no terminal.

    Gives the function to call with the seconds done.
    """
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
    """Each line with the recording's name, if given, before it."""
    lines = text.rstrip("\n").split("\n")
    print_result("\n".join(lines if name is None else [f"{name}: {line}" for line in lines]))
