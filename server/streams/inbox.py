"""The queue of commands read and not processed yet. When it is full the reader stops, and TCP slows the sender down."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

_MIN_SIZE_BYTES = 64
"""Every item counts at least this much: many empty messages take memory, too."""


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
        """Adds an item, even above the bound. A producer that can wait awaits `room` after it."""
        size = max(size_bytes, _MIN_SIZE_BYTES)
        self._items.append((item, size))
        self._count(size)

    async def room(self) -> None:
        """Waits until the queue is below `max_bytes`. One item may exceed the bound."""
        await self._has_room.wait()

    def take(self) -> T | None:
        """The oldest item, or None."""
        if not self._items:
            return None
        item, size = self._items.popleft()
        self._count(-size)
        return item

    async def wait(self) -> None:
        """Waits until there is an item to take."""
        await self._filled.wait()

    def _count(self, size: int) -> None:
        self._bytes += size
        (self._filled.set if self._items else self._filled.clear)()
        (self._has_room.set if self._bytes < self._max_bytes else self._has_room.clear)()
