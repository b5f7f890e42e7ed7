"""Rows of watched streams: written in order, never waited for, dropped and counted where there is no room."""

import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest

from asr.ledger.ledger import Ledger, open_ledger
from asr.ledger.values import Outcome, Pair, VitalsRow
from server import ledger_writer
from server.ledger_writer import LedgerWriter
from server.metrics import Metrics
from tests.server.running import eventually


def outcome(number: int) -> Outcome:
    return Outcome(1.0, "tiny", 1, "champion", f"stream-{number}", "c" * 32, 2.0, 3, None, "finished")


def written(ledger: Ledger) -> list[str]:
    return [row.stream_id for row in ledger.outcomes("tiny")]


def dropped(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("asr_ledger_dropped_total", {"kind": "outcome"}) or 0.0


def test_rows_are_written_in_their_order(tmp_path: Path) -> None:
    """Those that wait when the server stops too."""
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        writer = LedgerWriter(ledger, Metrics())
        for number in range(450):
            writer.put(outcome(number))
        writer.stop()
        assert written(ledger) == [f"stream-{number}" for number in range(450)]


def test_rows_wait_while_the_ledger_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the lock: nobody waits for the row but the writer, and it comes in the end."""
    monkeypatch.setattr(ledger_writer, "RETRY_S", 0.05)
    file, metrics = tmp_path / "ledger.sqlite", Metrics()
    with open_ledger(file) as ledger:
        writer = LedgerWriter(ledger, metrics)
        other = sqlite3.connect(file, isolation_level=None, timeout=30)
        other.execute("BEGIN IMMEDIATE")
        began_s = time.process_time()
        writer.put(outcome(1))
        writer.put(outcome(2))
        assert time.process_time() - began_s < 1.0
        time.sleep(1.0)
        assert written(ledger) == []
        other.execute("ROLLBACK")
        other.close()
        eventually(lambda: written(ledger) == ["stream-1", "stream-2"])
        writer.stop()
        assert dropped(metrics) == 0


@pytest.mark.parametrize("misfit", [{"cause": None}, {"words": 2**70}], ids=["no value", "too large a number"])
def test_a_row_that_never_fits_is_dropped_alone(tmp_path: Path, misfit: dict[str, object]) -> None:
    """It is counted. The rows before and behind it are written, and nobody waits for it."""
    metrics = Metrics()
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        writer = LedgerWriter(ledger, metrics)
        for row in (outcome(0), replace(outcome(1), **misfit), outcome(2)):
            writer.put(row)
        eventually(lambda: written(ledger) == ["stream-0", "stream-2"])
        eventually(lambda: dropped(metrics) == 1)
        writer.put(outcome(3))
        eventually(lambda: written(ledger) == ["stream-0", "stream-2", "stream-3"])
        writer.stop()
        assert dropped(metrics) == 1


@pytest.mark.parametrize("failure", [TypeError, KeyError, ArithmeticError])
def test_a_row_that_breaks_the_writer_is_dropped_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failure: type[Exception]
) -> None:
    """Whatever is raised, and not only what the ledger raises: the log has the traceback, the others are written."""
    metrics = Metrics()
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        add = ledger.add_outcomes

        def breaking(rows: list[Outcome]) -> None:
            if any(row.stream_id == "stream-1" for row in rows):
                raise failure("stream-1")
            add(rows)

        monkeypatch.setattr(ledger, "add_outcomes", breaking)
        writer = LedgerWriter(ledger, metrics)
        for number in range(3):
            writer.put(outcome(number))
        eventually(lambda: written(ledger) == ["stream-0", "stream-2"])
        eventually(lambda: dropped(metrics) == 1)
        writer.stop()
        assert "Traceback" in caplog.text


@pytest.mark.parametrize("failure", [OSError, MemoryError])
def test_rows_wait_while_the_machine_lacks_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    """Files or memory: it is no fault of the rows."""
    monkeypatch.setattr(ledger_writer, "RETRY_S", 0.05)
    metrics, failures = Metrics(), [failure("out of it")] * 3
    with open_ledger(tmp_path / "ledger.sqlite") as ledger:
        add = ledger.add_outcomes

        def scarce(rows: list[Outcome]) -> None:
            if failures:
                raise failures.pop()
            add(rows)

        monkeypatch.setattr(ledger, "add_outcomes", scarce)
        writer = LedgerWriter(ledger, metrics)
        writer.put(outcome(0))
        writer.put(outcome(1))
        eventually(lambda: written(ledger) == ["stream-0", "stream-1"])
        writer.stop()
        assert dropped(metrics) == 0


class Unwritable:
    """A ledger on a full disk."""

    def add_outcomes(self, rows: list[Outcome]) -> None:
        from asr.errors import LedgerError

        raise LedgerError("the ledger's disk is full")

    def add_pairs(self, rows: list[Pair]) -> None:
        self.add_outcomes([])

    def add_vitals(self, rows: list[VitalsRow]) -> None:
        self.add_outcomes([])


def test_a_full_queue_drops_and_counts(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Also what waits when the server stops. One line in the log says why."""
    monkeypatch.setattr(ledger_writer, "RETRY_S", 0.01)
    metrics = Metrics()
    writer = LedgerWriter(Unwritable(), metrics, max_rows=3)  # type: ignore[arg-type]
    writer.put(outcome(0))
    eventually(lambda: "disk is full" in caplog.text)
    for number in range(8):
        writer.put(outcome(number))
    assert dropped(metrics) == 5
    writer.stop()
    eventually(lambda: dropped(metrics) == 9)
    writer.put(outcome(9))
    assert dropped(metrics) == 10
    assert caplog.text.count("disk is full") == 1
