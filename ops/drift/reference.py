"""The reference: which streams of the ledger are speech as it should be."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr.errors import LedgerError
from asr.ledger import Ledger, VitalsRow
from ops.drift.detector import LEAST_UNITS
from ops.drift.units import Units, rows_after


@dataclass(frozen=True, slots=True)
class Reference:
    """Which rows of the ledger are the reference: those after ``after_id`` up to ``until_id``.

    ``ids``: of its units, so that nobody has to look for them among a hundred times as many rows; () in older files.
    """

    after_id: int
    until_id: int
    at_s: float
    ids: tuple[int, ...] = ()


def drift_folder(ledger: Ledger) -> Path:
    """Where references, measured conditions and the places of watchers are kept."""
    return ledger.releases_folder.parent / "drift"


def freeze(ledger: Ledger, name: str, now_s: float, units: int) -> Reference:
    """Makes the last ``units`` units of the ledger the reference. Raises `LedgerError` if there are too few."""
    counted, ids = Units(), [0]
    for row in rows_after(ledger, name, 0):
        if counted.is_one(row):
            ids.append(row.id)
    if len(ids) <= LEAST_UNITS:
        raise LedgerError(f"found {len(ids) - 1} streams with speech of {name}, wanted {LEAST_UNITS} or more")
    reference = Reference(ids[max(0, len(ids) - 1 - units)], ids[-1], now_s)
    chosen, _ = units_of(ledger, name, reference)
    reference = replace(reference, ids=tuple(row.id for row in chosen))
    file = _file(ledger, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(reference)) + "\n")
    temporary.replace(file)
    return reference


def frozen(ledger: Ledger, name: str) -> Reference | None:
    """The reference of a model; None before `freeze`. Raises `LedgerError` for a broken file."""
    file = _file(ledger, name)
    if not file.is_file():
        return None
    try:
        table: dict[str, Any] = json.loads(file.read_text())
        ids = tuple(map(int, table.get("ids", ())))
        return Reference(int(table["after_id"]), int(table["until_id"]), float(table["at_s"]), ids)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise LedgerError(f"{file} is no reference; wanted a new one: asr drift reference {name}") from None


def units_of(ledger: Ledger, name: str, reference: Reference) -> tuple[list[VitalsRow], Units]:
    """The reference's units, and who was seen in it. Raises `LedgerError` where its rows are gone."""
    units, chosen = Units(), list[VitalsRow]()
    rows = ledger.vitals_of(reference.ids) if reference.ids else rows_after(ledger, name, reference.after_id)
    for row in rows:
        if row.id > reference.until_id:
            break
        if units.is_one(row):
            chosen.append(row)
    if len(chosen) < LEAST_UNITS:
        raise LedgerError(f"the reference of {name} has lost its rows; wanted a new one: asr drift reference {name}")
    return chosen, units


def _file(ledger: Ledger, name: str) -> Path:
    return drift_folder(ledger) / f"{name}.json"
