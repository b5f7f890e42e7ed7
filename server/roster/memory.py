"""Is there memory for a second release beside the first? Read from Linux; elsewhere nothing is refused."""

from collections.abc import Iterable
from pathlib import Path

from server.workers.contract import StreamEngine

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
SPARE = 1.1
"""What a release takes may differ a little from what the champion takes."""


def shortage(champion: Iterable[StreamEngine], folder: Path) -> str:
    """The sentence that says why a release in `folder` has no room beside the champion's workers, "" if it has.

    It is expected to take what the champion's workers take now, and more if its files are larger.
    """
    used, free = sum(_own_bytes(engine) for engine in champion), free_bytes()
    needed = used * SPARE * max(1.0, _growth(champion, folder))
    if free is None or needed <= free:
        return ""
    return f"it needs about {needed / 1e9:.1f} GB beside the champion, and {free / 1e9:.1f} GB are free"


def free_bytes() -> int | None:
    """What this process and its workers may still take: of the machine and of its control group."""
    try:
        available = _fields(_MEMINFO)["MemAvailable:"] * 1024
    except (OSError, KeyError):
        return None
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        cached = _fields(_CGROUP / "memory.stat").get("inactive_file", 0)
        return available if limit == "max" else max(0, min(available, int(limit) - used + cached))
    except (OSError, ValueError):
        return available


def _own_bytes(engine: StreamEngine) -> int:
    """What a worker's process shares with no other."""
    pid = getattr(engine, "pid", None)
    try:
        fields = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    except OSError:
        return 0
    return 1024 * (fields.get("Private_Clean:", 0) + fields.get("Private_Dirty:", 0))


def _growth(champion: Iterable[StreamEngine], folder: Path) -> float:
    """How many times the files of the champion's folder these are, 0 where that is not known."""
    now = next((path for engine in champion if (path := getattr(engine, "folder", None))), None)
    return _size(folder) / max(1, _size(now)) if now else 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def _fields(path: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    parts = (line.split() for line in path.read_text().splitlines())
    return {part[0]: int(part[1]) for part in parts if len(part) > 1 and part[1].isdigit()}
