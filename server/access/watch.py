"""Notices that files have changed, by looking once a second: works on network and container file systems, too."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

INTERVAL_S = 1.0
_log = logging.getLogger("steadyword.server")

State = tuple[tuple[int, int, int] | None, ...]


def state(files: Sequence[Path]) -> State:
    """What changes when one of the files is written, replaced or removed. Links are followed."""
    return tuple(map(_state, files))


def _state(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


async def watch(files: Sequence[Path], seen: State, changed: Callable[[], None]) -> None:
    """Calls `changed`, in a thread, whenever the files are no longer as in `seen`. Runs until it is cancelled."""
    while True:
        await asyncio.sleep(INTERVAL_S)
        now = await asyncio.to_thread(state, files)
        if now != seen:
            seen = now
            try:
                await asyncio.to_thread(changed)
            except OSError as error:
                _log.error("%s cannot be read again: %s", ", ".join(map(str, files)), error)
