"""Shows how far a run is: one line that is redrawn on a terminal, a plain line every 15 seconds elsewhere."""

import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.text import Text

from batch.inputs import Failure, Inputs, Recording
from batch.lengths import lengths_s
from batch.run import Summary

LINE_INTERVAL_S = 15.0
_NAMES = 3
_SURE_SHARE, _SURE_S = 0.05, 60.0
"""The time left is shown after this share of the audio or this long, whichever is first: before, the loading of the
model is most of the time that passed."""


class Display:
    """`batch.results.Progress` on standard error."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console, self._live = console, live
        self._files = self._done = self._failures = self._kept = 0
        self._remaining = Remaining(())
        self._start_s = time.monotonic()
        self._printed_s = self._start_s

    def begin(self, recordings: Sequence[Recording], kept: int) -> None:
        self._files, self._kept = len(recordings), kept
        self._done = self._failures = 0
        self._remaining = Remaining(recordings)
        threading.Thread(target=self._remaining.measure, name="lengths of recordings", daemon=True).start()
        self._start_s = time.monotonic()
        self._show(now=True)

    def recognised(self, seconds: float) -> None:
        self._remaining.recognised(seconds)
        self._show()

    def done(self, recording: Recording, notices: Sequence[str]) -> None:
        for notice in notices:
            self._console.print(Text(f"asr: {failure_line(Failure(recording.path, notice))}"), soft_wrap=True)
        self._done += 1
        self._remaining.done(recording)
        self._show()

    def failed(self, failure: Failure) -> None:
        self._failures += 1
        self._remaining.failed(failure)
        self._console.print(Text(f"asr: {failure_line(failure)}"), soft_wrap=True)
        self._show()

    def _show(self, now: bool = False) -> None:
        if self._live is not None:
            self._live.update(Text(self.line()))
        elif now or time.monotonic() - self._printed_s >= LINE_INTERVAL_S:
            self._printed_s = time.monotonic()
            self._console.print(Text(self.line()), soft_wrap=True)

    def line(self) -> str:
        """As in ``120 / 1000 files, 2.1 h of speech, 61 times real time, 0:14:05 left, 2 failed``."""
        elapsed_s = time.monotonic() - self._start_s
        parts = [f"{self._done + self._failures} / {self._files} files"]
        audio_s = self._remaining.recognised_s
        if audio_s:
            parts.append(f"{duration(audio_s)} of speech")
            parts.append(f"{audio_s / max(elapsed_s, 1e-9):.0f} times real time")
        elif self._done + self._failures < self._files:
            parts.append("loading the model")
        left_s = self._remaining.seconds(elapsed_s)
        if left_s is not None:
            parts.append(f"{clock(left_s)} left")
        parts += [f"{self._failures} failed"] + ([f"{self._kept} done before"] if self._kept else [])
        return ", ".join(parts)


class Remaining:
    """How long a run will still take, from the seconds of audio of its recordings and of what is recognised."""

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self._recordings = recordings
        self._lengths_s: dict[str, float] | None = None
        self.recognised_s = 0.0
        self._done: set[str] = set()
        self._failed: set[str] = set()

    def measure(self) -> None:
        """Reads the headers of all recordings. Any thread may do it; until it is done nothing is known."""
        self._lengths_s = lengths_s(self._recordings)

    def recognised(self, seconds: float) -> None:
        self.recognised_s += seconds

    def done(self, recording: Recording) -> None:
        self._done.add(str(recording.path))

    def failed(self, failure: Failure) -> None:
        """It takes no more time."""
        self._failed.add(str(failure.path))

    def seconds(self, elapsed_s: float) -> float | None:
        """The time left at the speed until now. None while it cannot be known."""
        if self._lengths_s is None or not self.recognised_s:
            return None
        lengths_s = {path: length_s for path, length_s in self._lengths_s.items() if path not in self._failed}
        total_s = sum(lengths_s.values())
        # Two lower bounds: silence is not recognised, and a recording that is half done does not count as done.
        done_s = max(self.recognised_s, sum(lengths_s[path] for path in self._done if path in lengths_s))
        if not total_s or (done_s < _SURE_SHARE * total_s and elapsed_s < _SURE_S):
            return None
        return elapsed_s * max(0.0, total_s - done_s) / done_s


@contextmanager
def display() -> Iterator[Display]:
    """The display, while the context lasts."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Display(console, None)
        return
    with Live(Text(""), console=console, transient=True, refresh_per_second=4) as live:
        yield Display(console, live)


def failure_line(failure: Failure) -> str:
    """The sentence, with the name of the file before it unless it has it; control characters are escaped."""
    name = printable(str(failure.path))
    sentence = printable(failure.sentence)
    return sentence if name in sentence else f"{name}: {sentence}"


def printable(text: str) -> str:
    """The text with control characters and line breaks escaped: file names may hold any."""
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def summary_line(summary: Summary) -> str:
    """The results of a run in one line."""
    speed = "" if summary.speed is None else f", {summary.speed:.1f} times real time"
    parts = f"{summary.done} done ({duration(summary.audio_s)} of audio in {clock(summary.wall_s)}{speed})"
    return f"{parts}, {summary.kept} done before, {len(summary.failures)} failed"


def input_lines(inputs: Inputs) -> list[str]:
    """What the user should know about the inputs: texts with other names, files and folders that were passed over."""
    stems = [printable(recording.stem) for recording in inputs.renamed]
    renamed = f"{counted(len(stems), 'recording')} with a name that is taken or too long; written to {_some(stems)}"
    return [*([renamed] if stems else []), *passed_over_lines(inputs)]


def passed_over_lines(inputs: Inputs) -> list[str]:
    """What of the folders was passed over: how many files of each ending, with a few names, and how many folders."""
    by_suffix: dict[str, list[str]] = {}
    for path in inputs.passed_over:
        by_suffix.setdefault(path.suffix.casefold() or "no ending", []).append(printable(path.name))
    parts = [f"{len(names)} {suffix} ({_some(names)})" for suffix, names in sorted(by_suffix.items())]
    folders = [printable(folder.name) for folder in inputs.folders_passed_over]
    lines = []
    if parts:
        files = counted(len(inputs.passed_over), "file")
        lines.append(f"passed over {files}, not recordings by their names: {', '.join(parts)}")
    if folders:
        lines.append(f"passed over {counted(len(folders), 'folder')} ({_some(folders)}); --recursive searches them")
    return lines


def counted(count: int, noun: str) -> str:
    """As in ``1 file`` and ``2 files``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    rest = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def clock(seconds: float) -> str:
    """A duration as ``h:mm:ss``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def duration(seconds: float) -> str:
    """As in ``2.1 h``, ``3.4 min`` and ``5 s``."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"


def print_line(line: str) -> None:
    """A plain line on standard error."""
    print(line, file=sys.stderr, flush=True)
