"""Does a process get on? Asked of one that loads its model, which answers nothing meanwhile.

A process that was stopped, or whose threads wait for each other, uses no CPU time and waits for no disk. One that is
slow because the machine is busy has a thread that is ready to run, or time that grows.
"""

from pathlib import Path

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


def _fields(line: str) -> list[str]:
    """Those of a `stat` file from the third on: the second, the name, may hold spaces and brackets."""
    return line.rpartition(")")[2].split()
