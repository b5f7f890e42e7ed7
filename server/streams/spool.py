"""Byte strings in a file on disk, first in, first out. The file is a ring: it never grows beyond its capacity."""

import os
import tempfile
from collections import deque


class Spool:
    """A bounded queue of byte strings. The file is made at the first `put`, and emptied whenever the queue is."""

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._sizes: deque[int] = deque()
        self._begin = self._end = 0
        """Positions in the endless sequence of bytes; in the file they are taken modulo the capacity."""
        self._file: int | None = None

    def fits(self, size_bytes: int) -> bool:
        """Whether a byte string of this size can be put."""
        return self._end - self._begin + size_bytes <= self._capacity_bytes

    def put(self, data: bytes) -> None:
        """Appends a byte string that `fits`. Raises `OSError`, after which the queue is unchanged."""
        if self._file is None:
            self._file = _temporary_file()
        view, start = memoryview(data), self._end
        while view:
            offset = start % self._capacity_bytes
            written = os.pwrite(self._file, view[: self._capacity_bytes - offset], offset)
            view, start = view[written:], start + written
        self._end = start
        self._sizes.append(len(data))

    def take(self) -> bytes:
        """Removes the oldest byte string. Raises `IndexError` when there is none, `OSError` when it cannot be read."""
        size = self._sizes.popleft()
        parts, end = [], self._begin + size
        while self._begin < end:
            parts.append(self._read(end - self._begin))
            self._begin += len(parts[-1])
        if not self._sizes:
            self._clear()
        return b"".join(parts)

    def clear(self) -> None:
        """Drops everything and frees the disk. A later `put` makes a new file."""
        self._sizes.clear()
        self._begin = self._end = 0
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self, size: int) -> bytes:
        assert self._file is not None  # something was put
        offset = self._begin % self._capacity_bytes
        data = os.pread(self._file, min(size, self._capacity_bytes - offset), offset)
        if not data:
            raise OSError(f"found the end of the temporary file at byte {offset}, wanted {size} bytes more")
        return data

    def _clear(self) -> None:
        assert self._file is not None
        self._begin = self._end = 0
        os.ftruncate(self._file, 0)


def _temporary_file() -> int:
    """A file without a name: it vanishes with the process."""
    file, path = tempfile.mkstemp(prefix="steadyword-")
    os.unlink(path)
    return file
