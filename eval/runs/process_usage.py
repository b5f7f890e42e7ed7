"""CPU time and memory of this process and of others, read from the kernel."""

import gc
import os
import time
from contextlib import suppress
from pathlib import Path

from asr.errors import CallerError
from server.workers.template import WORKER

_STOPPED_OR_DEAD = "TtZXx"
"""States of proc_pid_stat(5)."""


def own_cpu_s() -> float:
    """CPU time of this process in seconds: all threads, user and system, without its children."""
    return time.process_time()


def process_cpu_s(pid: int, proc: Path = Path("/proc")) -> float:
    """CPU time in seconds of a process and all its descendants, also those that ended and were waited for.

    Read from the kernel's table (proc_pid_stat(5): fields 14 to 17, in clock ticks). Raises `CallerError` where there
    is no such process or the system has no /proc.
    """
    if not (proc / str(pid) / "stat").exists():
        raise CallerError(f"no process {pid} in {proc}; name the id of a running server on this machine")
    ticks = [sum(map(int, fields[11:15])) for fields in descendants(pid, proc).values()]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def own_cpu_s_of(pid: int, proc: Path = Path("/proc")) -> float:
    """CPU time in seconds of another process without its children; 0 where there is none."""
    return sum(map(int, _stat(proc / str(pid) / "stat")[11:13])) / os.sysconf("SC_CLK_TCK")


def peak_memory_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """The summed peaks of resident memory (VmHWM) of a process and its descendants; None where unknown.

    Memory that they share (libraries) counts once for each process.
    """
    return _summed(pid, "VmHWM:", proc)


def machine_memory_bytes() -> int:
    """The memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """The resident memory (VmRSS) of a process and its descendants now; None where unknown."""
    return _summed(pid, "VmRSS:", proc)


def worker_pids(pid: int, proc: Path = Path("/proc")) -> list[int]:
    """The worker processes of a server, those that still load their model included, without stopped and dead ones."""
    return [
        member
        for member, fields in descendants(pid, proc).items()
        if fields[0] not in _STOPPED_OR_DEAD and _name(member, proc) == WORKER
    ]


def _name(pid: int, proc: Path) -> str:
    try:
        return (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def reset_peak_memory(proc: Path = Path("/proc")) -> None:
    """Restarts this process's peak at what it holds now (proc(5): clear_refs, 5); does nothing without /proc."""
    gc.collect()
    with suppress(OSError):
        (proc / "self" / "clear_refs").write_text("5")


def _summed(pid: int, field: str, proc: Path) -> int | None:
    sizes = [_status_bytes(member, field, proc) for member in descendants(pid, proc)]
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _status_bytes(pid: int, field: str, proc: Path) -> int | None:
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


def descendants(pid: int, proc: Path = Path("/proc")) -> dict[int, list[str]]:
    """The process and its descendants by id, each with its fields of ``stat`` from the third (its state) on."""
    stats = {int(path.parent.name): fields for path in proc.glob("[0-9]*/stat") if (fields := _stat(path))}
    members: dict[int, list[str]] = {}
    queue = [pid]
    while queue:
        member = queue.pop()
        if member in stats:
            members[member] = stats[member]
            queue += [child for child, fields in stats.items() if int(fields[1]) == member]
    return members


def _stat(path: Path) -> list[str]:
    try:
        return path.read_text().rpartition(")")[2].split()  # the second field is a name and may hold spaces, brackets
    except OSError:
        return []  # the process has ended in the meantime
