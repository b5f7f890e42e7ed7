"""Memory that was freed goes back to the system: glibc keeps most of it otherwise.

A server would grow with the largest pieces of audio that it ever decoded side by side, 38 MB in 134,000 hostile
messages, although it keeps none of them (docs/log/serving.md#freed-memory-goes-back).
"""

import asyncio
import ctypes
import sys
from collections.abc import Callable

INTERVAL_S = 30.0
"""Between two times. Each takes some milliseconds for 600 MB, in a thread."""


def give_back() -> None:
    """Gives the system all whole pages that are free. Does nothing where the C library cannot (musl, macOS)."""
    if _malloc_trim:
        _malloc_trim(0)


async def keep_giving_back(interval_s: float = INTERVAL_S) -> None:
    """For a server: again and again, until it is cancelled."""
    while True:
        await asyncio.sleep(interval_s)
        await asyncio.to_thread(give_back)


def _find() -> Callable[[int], int] | None:
    if sys.platform != "linux":
        return None
    found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return found


_malloc_trim = _find()
