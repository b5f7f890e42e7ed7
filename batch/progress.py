"""How far a run is: one calm line that is drawn anew on a terminal, plain lines now and then elsewhere."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from batch.inputs import Failure, Recording
from batch.job import Summary

LINE_EVERY_S = 15.0


class Display:
    """`batch.job.Watcher` on standard error."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console, self._live = console, live
        self._files = self._done = self._failures = self._kept = 0
        self._sizes: dict[str, int] = {}
        self._bytes = self._bytes_done = 0
        self._audio_s, self._began = 0.0, time.monotonic()
        self._said = self._began

    def begin(self, recordings: Sequence[Recording], kept: int) -> None:
        self._files, self._kept = len(recordings), kept
        self._done = self._failures = 0
        self._sizes = {str(recording.path): _size(recording) for recording in recordings}
        self._bytes, self._bytes_done = sum(self._sizes.values()), 0
        self._audio_s, self._began = 0.0, time.monotonic()
        self._show(now=True)

    def heard(self, seconds: float) -> None:
        self._audio_s += seconds
        self._show()

    def done(self, recording: Recording) -> None:
        self._done += 1
        self._bytes_done += self._sizes.get(str(recording.path), 0)
        self._show()

    def failed(self, failure: Failure) -> None:
        self._failures += 1
        self._bytes_done += self._sizes.get(str(failure.path), 0)
        self._console.print(Text(f"asr: {told(failure)}"), soft_wrap=True)
        self._show()

    def _show(self, now: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(self.line()))
        elif now or time.monotonic() - self._said >= LINE_EVERY_S:
            self._said = time.monotonic()
            self._console.print(Text(self.line()), soft_wrap=True)

    def line(self) -> str:
        """As in ``120 / 1000 files, 2.1 h of audio, 61 times real time, 0:14:05 left, 2 failed``."""
        took_s = time.monotonic() - self._began
        parts = [f"{self._done + self._failures} / {self._files} files", f"{_hours(self._audio_s)} of speech"]
        if self._audio_s:
            parts.append(f"{self._audio_s / max(took_s, 1e-9):.0f} times real time")
        if self._bytes_done:
            left_s = took_s * (self._bytes - self._bytes_done) / self._bytes_done
            parts.append(f"{clock(left_s)} left")
        parts += [f"{self._failures} failed"] + ([f"{self._kept} done before"] if self._kept else [])
        return ", ".join(parts)


@contextmanager
def display() -> Iterator[Display]:
    """The display while the run lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Display(console, None)
        return
    with Live(Text(""), console=console, transient=True, refresh_per_second=4) as live:
        yield Display(console, live)


def told(failure: Failure) -> str:
    """The sentence with the file's name; no control characters in either."""
    name = printable(str(failure.path))
    sentence = printable(failure.sentence)
    return sentence if name in sentence else f"{name}: {sentence}"


def printable(text: str) -> str:
    """On one line, whatever a file is called."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def summary_line(summary: Summary) -> str:
    """What a run came to, in one line."""
    speed = "" if summary.speed is None else f", {summary.speed:.1f} times real time"
    parts = f"{summary.done} done ({_hours(summary.audio_s)} of audio in {clock(summary.wall_s)}{speed})"
    return f"{parts}, {summary.kept} done before, {len(summary.failures)} failed"


def clock(seconds: float) -> str:
    """``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def _size(recording: Recording) -> int:
    try:
        return recording.path.stat().st_size
    except OSError:
        return 0


def say(line: str) -> None:
    """A plain line on standard error."""
    print(line, file=sys.stderr, flush=True)
