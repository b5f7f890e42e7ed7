"""Standard output and standard error of a command: what cannot be written there must not cost the work that is done."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from asr.errors import CallerError

_ESCAPES = "backslashreplace"
"""Characters that the encoding lacks, and bytes of file names that are no text, become escapes such as ``\\u65e5``."""


class OutputError(CallerError):
    """Standard output cannot be written."""


def prepare() -> None:
    """For the rest of this process: no character fails to be printed, and messages on standard error fail silently.

    A log that is full, or a pipe that was closed, is no reason to stop a run of hours.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_ESCAPES)
    if sys.stderr is None:  # closed when Python started; `print` would take standard output instead
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the process
    elif isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = _Messages(sys.stderr.buffer, sys.stderr.encoding, _ESCAPES, line_buffering=True)


class _Messages(io.TextIOWrapper):
    """A text stream whose reader may go away."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError:
            discard(self)


@contextmanager
def loading(model: str) -> Iterator[Callable[[], None]]:
    """A line on a terminal's standard error, until the function that it gives is called; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(f"loading {escape(model)}") as status:
        yield status.stop


def print_result(text: str) -> None:
    """Prints a result on standard output, as a line.

    If that cannot be written, prints it on standard error and raises `OutputError`. Raises `BrokenPipeError` if nobody
    reads it any more, which the command line takes for the end.
    """
    try:
        _print(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        print(text, file=sys.stderr)
        found = f"standard output cannot be written ({error.strerror}), so the text is on standard error"
        raise OutputError(f"{found}; wanted room for it, or --output-dir") from None


def _print(text: str) -> None:
    if sys.stdout is None:  # closed when Python started; `print` would drop the text
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    print(text, flush=True)


def finish() -> bool:
    """Flushes standard output at the end of the process; False if it cannot be written."""
    if sys.stdout is None:
        return True
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
        return False
    return True


def discard(stream: TextIO | None) -> None:
    """Sends what is still in the stream's buffer, and all that follows, nowhere: Python would complain at its exit."""
    if stream is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except OSError:  # a stream without a file
        return
