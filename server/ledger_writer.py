"""Writes numbers of streams into the ledger, in a thread of its own: no stream waits for a disk or a lock."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from asr.errors import AsrError, RowRefused
from server.metrics import Metrics

if TYPE_CHECKING:
    from asr.ledger.ledger import Ledger
    from asr.ledger.values import Outcome, Pair, VitalsRow

_log = logging.getLogger("steadyword.server")

MAX_ROWS = 10_000
"""Rows that wait while the ledger cannot be written: some 10 MB."""
BATCH_ROWS = 200
GATHER_S = 0.2
"""After the first row of a transaction others are waited for so long."""
RETRY_S = 1.0
QUIET_S = 60.0
"""A ledger that stays locked is a line in the log as seldom as this."""
STOP_S = 0.5
"""At the end, for the rows that wait."""


class LedgerWriter:
    """A bounded queue and its thread. Where the queue is full, or the ledger locked to the end, rows are dropped."""

    def __init__(self, ledger: "Ledger", metrics: Metrics, max_rows: int = MAX_ROWS) -> None:
        self._ledger, self._metrics = ledger, metrics
        self._rows: queue.Queue[Pair | Outcome | VitalsRow] = queue.Queue(max_rows)
        self._stopping = threading.Event()
        self._logged_s = -QUIET_S
        self._thread = threading.Thread(target=self._run, name="ledger writer", daemon=True)
        metrics.ledger_waiting.set_function(lambda: float(self._rows.qsize()))
        self._thread.start()

    def put(self, row: "Pair | Outcome | VitalsRow") -> None:
        """Takes a row to be written, without waiting. A full queue drops it and counts that."""
        try:
            if self._stopping.is_set():
                raise queue.Full
            self._rows.put_nowait(row)
        except queue.Full:
            self._metrics.ledger_dropped.labels(_kind(row)).inc()

    def stop(self) -> None:
        """Writes what waits, for `STOP_S` at most; blocks so long."""
        self._stopping.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        while rows := self._batch():
            pairs = [row for row in rows if _kind(row) == "pair"]
            outcomes = [row for row in rows if _kind(row) == "outcome"]
            self._write(self._ledger.add_pairs, pairs)  # type: ignore[arg-type]  # the kinds were told apart
            self._write(self._ledger.add_outcomes, outcomes)  # type: ignore[arg-type]
            vitals = [row for row in rows if _kind(row) == "vitals"]
            self._write(self._ledger.add_vitals, vitals)  # type: ignore[arg-type]

    def _batch(self) -> "list[Pair | Outcome | VitalsRow]":
        """The next rows; none after `stop`, when nothing is left."""
        rows: list[Pair | Outcome | VitalsRow] = []
        while not rows:
            try:
                rows.append(self._rows.get(timeout=GATHER_S))
            except queue.Empty:
                if self._stopping.is_set():
                    return []
        self._stopping.wait(GATHER_S)
        while len(rows) < BATCH_ROWS and not self._rows.empty():
            rows.append(self._rows.get_nowait())
        return rows

    def _write(
        self, add: "Callable[[list[Pair | Outcome | VitalsRow]], None]", rows: "list[Pair | Outcome | VitalsRow]"
    ) -> None:
        """Tries until it succeeds, or once more when the server stops. A row that never fits is dropped alone."""
        while rows:
            try:
                return add(rows)
            except RowRefused as error:
                return self._one_by_one(add, rows, error)
            except (AsrError, OSError, MemoryError) as error:  # the ledger or the machine: no fault of a row
                self._report(error)
            except Exception as error:  # noqa: BLE001 - the thread must go on: the other rows may be fine
                return self._one_by_one(add, rows, error)
            if self._stopping.is_set():
                return self._drop(rows)
            self._stopping.wait(RETRY_S)

    def _one_by_one(
        self,
        add: "Callable[[list[Pair | Outcome | VitalsRow]], None]",
        rows: "list[Pair | Outcome | VitalsRow]",
        error: Exception,
    ) -> None:
        """One of the rows is refused: the others are written without it."""
        if len(rows) > 1:
            for row in rows:
                self._write(add, [row])
        else:
            self._report(error)
            self._drop(rows)

    def _drop(self, rows: "list[Pair | Outcome | VitalsRow]") -> None:
        self._metrics.ledger_dropped.labels(_kind(rows[0])).inc(len(rows))

    def _report(self, error: Exception) -> None:
        if time.monotonic() >= self._logged_s + QUIET_S:
            self._logged_s = time.monotonic()
            trace = None if isinstance(error, AsrError) else error  # a fault of ours
            _log.error("%s; %d rows wait", error, self._rows.qsize(), exc_info=trace)


def _kind(row: "Pair | Outcome | VitalsRow") -> str:
    return type(row).__name__.lower().removesuffix("row")
