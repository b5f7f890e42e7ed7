"""Does a process get on? Asked of one that loads its model, which answers nothing meanwhile.

A process that was stopped, or whose threads wait for each other, uses no CPU time and waits for no disk. One that is
slow because the machine is busy has a thread that is ready to run, or time that grows.
"""

import contextlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

STILL_S = 20.0
"""A process that loads and has made no progress for so long hangs; it is killed. Longer than the time limits of a model
hub (10 s), after which a stalled download tries again."""
LOOK_S = 0.5
"""How often that is looked at. The looks are counted, not the clock: a machine that stands still is no hang."""
_BUSY = "RD"
"""States of a thread that runs or wants to (R), or waits for a disk (D); see proc(5)."""


class Progress:
    """Looks at a process from time to time. Linux only: elsewhere it always gets on."""

    def __init__(self, pid: int | None) -> None:
        self._threads = Path(f"/proc/{pid}/task")
        self._used = -1

    def was_made(self) -> bool:
        """Whether the process has used CPU time since the last look, or has a thread that would if it could."""
        threads = self._states()
        used, before = sum(ticks for _, ticks in threads), self._used
        self._used = used
        return not threads or used != before or any(state in _BUSY for state, _ in threads)

    def _states(self) -> list[tuple[str, int]]:
        """The state of each thread, and the CPU time that it has used, in ticks; [] where this cannot be read."""
        try:
            lines = [file.read_text() for file in self._threads.glob("*/stat")]
        except OSError:  # it has just ended
            return []
        return [(fields[0], int(fields[11]) + int(fields[12])) for fields in map(_fields, lines)]


def is_still(pipe: Connection, pid: int | None, is_over: Callable[[], bool] = lambda: False) -> bool:
    """Waits until there is something to read from the process, or nothing will come; True if the process hangs.

    `is_over`: whether waiting makes no sense any more.
    """
    progress, still_s = Progress(pid), 0.0
    with contextlib.suppress(OSError):
        while not pipe.poll(LOOK_S) and not is_over():
            still_s = 0.0 if progress.was_made() else still_s + LOOK_S
            if still_s >= STILL_S:
                return True
    return False


def _fields(line: str) -> list[str]:
    """Those of a `stat` file from the third on: the second, the name, may hold spaces and brackets."""
    return line.rpartition(")")[2].split()
