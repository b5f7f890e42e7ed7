"""Writes clips in a thread of its own. What does not fit is dropped and counted; a stream never waits or fails."""

import logging
import queue
import threading
import time
from collections.abc import Callable

from server.clips.store import ClipStore
from server.metrics import Metrics

_log = logging.getLogger("steadyword.server")

MAX_WAITING_BYTES = 64 << 20
"""Audio that waits for the disk: half an hour of speech."""
SWEEP_S = 600.0
"""How often what is too old or forgotten is removed."""
QUIET_S = 60.0
"""A disk that stays full is a line in the log as seldom as this."""
STOP_S = 2.0
"""At the end, for the clips that wait."""

Write = Callable[[ClipStore], bool]
"""Writes one thing into the store; False if its consent is forgotten. Raises `OSError`."""


class ClipWriter:
    """A queue bounded in bytes, its thread, and the bound of the folder."""

    def __init__(self, store: ClipStore, metrics: Metrics, *, retain_days: float, max_bytes: int) -> None:
        self._store, self._metrics = store, metrics
        self._retain_days, self._max_bytes = retain_days, max_bytes
        self._waiting: queue.Queue[tuple[Write, int]] = queue.Queue()
        self._waiting_bytes, self._lock = 0, threading.Lock()
        self._kept_bytes = 0
        self._swept_s = -SWEEP_S
        self._logged_s = -QUIET_S
        self._stopping = threading.Event()
        metrics.clips_bytes.set_function(lambda: float(self._kept_bytes))
        self._thread = threading.Thread(target=self._run, name="clip writer", daemon=True)
        self._thread.start()

    def put(self, write: Write, size_bytes: int) -> None:
        """Takes something to be written, without waiting."""
        with self._lock:
            is_full = self._waiting_bytes + size_bytes > MAX_WAITING_BYTES or self._stopping.is_set()
            if not is_full:
                self._waiting_bytes += size_bytes
        if is_full:
            return self.drop("memory")
        self._waiting.put((write, size_bytes))

    def drop(self, reason: str) -> None:
        """Counts a clip that is not kept."""
        self._metrics.clips_dropped.labels(reason).inc()

    def stop(self) -> None:
        """Writes what waits, for `STOP_S` at most; blocks so long."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while not (self._stopping.is_set() and self._waiting.empty()):
            if time.monotonic() >= self._swept_s + SWEEP_S:
                self._guarded(self._sweep)
            try:
                write, size_bytes = self._waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            self._guarded(lambda write=write, size=size_bytes: self._write(write, size))  # type: ignore[misc]
            with self._lock:
                self._waiting_bytes -= size_bytes

    def _sweep(self) -> None:
        self._swept_s = time.monotonic()
        self._store.sweep(self._retain_days, time.time())
        self._kept_bytes = self._store.size_bytes()

    def _write(self, write: Write, size_bytes: int) -> None:
        if self._kept_bytes + size_bytes > self._max_bytes:
            return self.drop("full")
        if not write(self._store):
            return self.drop("forgotten")
        self._kept_bytes += size_bytes  # more than FLAC takes; the next sweep counts exactly
        self._metrics.clips_written.inc()

    def _guarded(self, work: Callable[[], None]) -> None:
        """The thread goes on whatever happens."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the thread must go on: a later clip may be fine
            self.drop("disk" if isinstance(error, OSError) else "failed")
            if time.monotonic() >= self._logged_s + QUIET_S:
                self._logged_s = time.monotonic()
                what = error.strerror if isinstance(error, OSError) else type(error).__name__  # no text of a client
                _log.error("clips cannot be kept in %s: %s", self._store.folder, what)
