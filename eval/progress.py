"""Shows a progress bar in minutes of audio on standard error; messages are printed above it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Bar:
    """Call ``advance(seconds)`` when that much audio is done, and ``say(line)`` to print a message."""

    advance: Callable[[float], None]
    say: Callable[[str], None]


class _MinutesColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.completed / 60:.1f} / {(task.total or 0) / 60:.1f} min of audio")


@contextmanager
def progress(title: str, total_s: float, done_s: float = 0.0) -> Iterator[Bar]:
    """The bar of a job of `total_s` seconds of audio, of which `done_s` are already done.

    If standard error is not a terminal, only the messages are shown.
    """
    console = Console(stderr=True, markup=False, emoji=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), _MinutesColumn(), TimeRemainingColumn())
    shown = Progress(*columns, console=console, transient=True, disable=not console.is_terminal, redirect_stdout=False)
    with shown:
        task = shown.add_task(title, total=total_s)
        shown.advance(task, done_s)
        yield Bar(
            advance=lambda done_s: shown.advance(task, done_s),
            say=lambda line: console.print(line, soft_wrap=True),
        )
