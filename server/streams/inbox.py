"""What was read from a socket and not heard yet: bounded, so that a sender that is too fast is slowed down by TCP."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

_LEAST_SIZE = 64
"""What the smallest item counts: many empty messages take room too."""


class Inbox(Generic[T]):
    """One producer, one consumer, both on one event loop."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, item: T, size_bytes: int = 0) -> None:
        """Takes it in any case; a producer that may wait awaits `room` first."""
        size = max(size_bytes, _LEAST_SIZE)
        self._items.append((item, size))
        self._count(size)

    async def room(self) -> None:
        """Returns when less than the bound is held (so the bound may be passed by one item)."""
        await self._has_room.wait()

    def take(self) -> T | None:
        """The oldest item, or None."""
        if not self._items:
            return None
        item, size = self._items.popleft()
        self._count(-size)
        return item

    async def wait(self) -> None:
        """Returns when there is something to take."""
        await self._filled.wait()

    def _count(self, size: int) -> None:
        self._bytes += size
        (self._filled.set if self._items else self._filled.clear)()
        (self._has_room.set if self._bytes < self._max_bytes else self._has_room.clear)()
