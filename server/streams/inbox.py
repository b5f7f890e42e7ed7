"""The queue of commands read and not processed yet. Audio that does not fit in memory waits in a file on disk.

A reader that stopped would leave pings unread behind the audio, and clients close a connection whose ping is not
answered (the `websockets` package after 20 s). What the sockets and proxies between the client and the reader hold
cannot be bounded from here. So the reader goes on until the file is full, too; only then TCP slows the sender down.
"""

import asyncio
from collections import deque

from asr.errors import AsrError
from server.streams.spool import Spool
from server.streams.transport import HalfClosed
from server.wires.base import Audio, Command

_MIN_SIZE_BYTES = 64
"""Every item in memory counts at least this much: many empty messages take memory, too."""

Item = Command | AsrError | HalfClosed


class _Spooled:
    """A number of consecutive messages of audio that are in the file."""

    def __init__(self) -> None:
        self.count = 1


class Inbox:
    """One producer, one consumer, both on one event loop."""

    def __init__(self, max_bytes: int, max_spooled_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: deque[Item | _Spooled] = deque()
        self._bytes = 0
        self._spool = Spool(max_spooled_bytes)
        self._disk_failed = False
        self._filled = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def put(self, item: Item) -> None:
        """Adds an item, even above the bounds. A producer that can wait awaits `room` after it."""
        if not (isinstance(item, Audio) and self._spooled(item)):
            self._items.append(item)
            self._bytes += _size_bytes(item)
        self._update()

    async def room(self) -> None:
        """Waits until a message fits in memory or on disk. One item may exceed the bounds."""
        await self._has_room.wait()

    def take(self) -> Item | None:
        """The oldest item, or None. Raises `OSError` for audio that cannot be read from the disk."""
        if not self._items:
            return None
        item = self._items[0]
        if isinstance(item, _Spooled):
            taken: Item = Audio(self._spool.take())
            item.count -= 1
            if not item.count:
                self._items.popleft()
        else:
            taken = item
            self._items.popleft()
            self._bytes -= _size_bytes(item)
        self._update()
        return taken

    def drop_spooled(self) -> None:
        """Drops the audio on disk, and everything that came after its first message."""
        kept: list[Item] = []
        for item in self._items:
            if isinstance(item, _Spooled):
                break
            kept.append(item)
        self._items = deque(kept)
        self._bytes = sum(map(_size_bytes, kept))
        self._spool.clear()
        self._update()

    async def wait(self) -> None:
        """Waits until there is an item to take."""
        await self._filled.wait()

    def close(self) -> None:
        """Drops everything and frees the disk."""
        self._items.clear()
        self._spool.clear()

    def _spooled(self, audio: Audio) -> bool:
        """Writes audio that does not fit in memory to the disk; False if it does, or if the disk does not take it."""
        if self._bytes + len(audio.data) <= self._max_bytes or not self._can_spool(len(audio.data)):
            return False
        try:
            self._spool.put(audio.data)
        except OSError:
            self._disk_failed = True
            return False
        if self._items and isinstance(last := self._items[-1], _Spooled):
            last.count += 1
        else:
            self._items.append(_Spooled())
        return True

    def _can_spool(self, size_bytes: int) -> bool:
        return not self._disk_failed and self._spool.fits(size_bytes)

    def _update(self) -> None:
        (self._filled.set if self._items else self._filled.clear)()
        limit_bytes = self._max_bytes * (2 if self._can_spool(self._max_bytes) else 1)
        (self._has_room.set if self._bytes < limit_bytes else self._has_room.clear)()


def _size_bytes(item: Item) -> int:
    return max(len(item.data), _MIN_SIZE_BYTES) if isinstance(item, Audio) else _MIN_SIZE_BYTES
