"""What recognition costs: CPU seconds per second of audio, and how many times faster than real time."""

import gc
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from asr.errors import CallerError
from eval.trace import Trace


def own_cpu_s() -> float:
    """CPU time of this process, all threads, user and system, without its children."""
    return time.process_time()


def process_cpu_s(pid: int, proc: Path = Path("/proc")) -> float:
    """The same of another process and all its descendants, living and (where their parents waited for them) dead.

    From the kernel's table (proc_pid_stat(5): fields 14 to 17, in clock ticks). `CallerError` where there is no such
    process or the system has no /proc.
    """
    if not (proc / str(pid) / "stat").exists():
        raise CallerError(f"no process {pid} in {proc}; name the id of a running server on this machine")
    ticks = [sum(map(int, fields[11:15])) for fields in _family(pid, proc).values()]
    return sum(ticks) / os.sysconf("SC_CLK_TCK")


def peak_memory_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """The largest resident memories so far (VmHWM) of a process and its descendants, added; None if not told.

    What they share (libraries) is counted for each.
    """
    return _added(pid, "VmHWM:", proc)


def memory_bytes(pid: int, proc: Path = Path("/proc")) -> int | None:
    """The same of what is resident now (VmRSS)."""
    return _added(pid, "VmRSS:", proc)


def _added(pid: int, field: str, proc: Path) -> int | None:
    told = [size for member in _family(pid, proc) if (size := _status_bytes(member, field, proc)) is not None]
    return sum(told) if told else None


def _status_bytes(pid: int, field: str, proc: Path) -> int | None:
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


def forget_peak_memory(proc: Path = Path("/proc")) -> None:
    """This process's peak begins anew from what it holds now (proc(5): clear_refs, 5); nothing where that is not so."""
    gc.collect()
    with suppress(OSError):
        (proc / "self" / "clear_refs").write_text("5")


def _family(pid: int, proc: Path) -> dict[int, list[str]]:
    """The process and its descendants, each with its fields of ``stat`` from the third (its state) on."""
    stats = {int(path.parent.name): fields for path in proc.glob("[0-9]*/stat") if (fields := _stat(path))}
    family, found = {}, [pid]
    while found:
        member = found.pop()
        if member in stats:
            family[member] = stats[member]
            found += [child for child, fields in stats.items() if int(fields[1]) == member]
    return family


def _stat(path: Path) -> list[str]:
    try:
        return path.read_text().rpartition(")")[2].split()  # the second field is a name and may hold spaces, brackets
    except OSError:
        return []  # it has ended meanwhile


def audio_s(traces: Iterable[Trace]) -> float:
    """Seconds of audio in all traces."""
    return sum(trace.duration_s for trace in traces)


def cpu_per_audio(traces: Iterable[Trace]) -> float | None:
    """CPU seconds per second of audio, summed before dividing; None where nothing was measured."""
    measured = [(t.cpu_s, t.duration_s) for t in traces if t.cpu_s is not None]
    heard_s = sum(duration_s for _, duration_s in measured)
    return sum(cpu_s for cpu_s, _ in measured) / heard_s if heard_s else None


def rtfx(traces: Iterable[Trace]) -> float | None:
    """Seconds of audio per second of work (the inverse real-time factor); None where nothing was measured."""
    measured = [(t.duration_s, t.busy_s) for t in traces if t.busy_s is not None]
    worked_s = sum(busy_s for _, busy_s in measured)
    return sum(duration_s for duration_s, _ in measured) / worked_s if worked_s else None
