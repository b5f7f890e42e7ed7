"""The monitor's watcher of drift: an alarm for each number that moved, once for each reference.

Its place, how far it has read and the wealth of its bets, is also a file beside the reference. So a monitor that
starts again goes on there, and whoever only looks reads no million of rows. Without the file it reads all of them
again, `MOST_ROWS` in a round, and comes to the same end.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from asr.errors import AsrError
from asr.ledger import Alarm, Ledger, VitalsRow
from ops.drift.detector import ALPHA, DAY_S, EVENTS, LEVELS, SIGNALS, STAKES, Detector, detector_of
from ops.drift.nearest import Candidate, evidence_of, known_candidates, nearest, shift_of
from ops.drift.reference import Reference, drift_folder, frozen, units_of
from ops.drift.units import PAGE_ROWS, Units, stratum, values_of
from ops.raised import Raised

MOST_ROWS = 40_000
"""Read in one round: so that it takes two seconds at most."""
_LAYOUT = str((EVENTS, STAKES.tolist(), LEVELS))
"""Of what a place means: one of another version of this program is not read."""

_KEPT = ("wealth", "recent", "values")
"""Attributes of the detector that are kept."""


@dataclass(slots=True)
class State:
    """How far the rows of one model were read, and what they say.

    ``of_reference``: rows of the reference that were read for it in this round.
    """

    reference: Reference
    detector: Detector
    units: Units
    read_id: int
    of_reference: int = 0


class DriftWatcher:
    """Bets on each model's new vitals against its reference, and raises alarms; keeps its place on disk."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Raised]:
        """Reads the new rows of a model, and adds alarms to the ledger. Raises `LedgerError`."""
        state = self.state(ledger, name)
        if state is None:
            return
        known = {alarm.signal for alarm in alarms_since(ledger, name, state.reference)}
        before = state.read_id
        for rows in _pages(ledger, name, state, MOST_ROWS - state.of_reference):
            values, places = values_of(rows), [stratum(row) for row in rows]
            while places:
                taken = state.detector.receive(values, places, known)
                row, values, places = rows[taken - 1], values[taken:], places[taken:]
                rows = rows[taken:]
                for value, event in state.detector.alarming():
                    signal = EVENTS[event][0]
                    if signal in known:
                        continue
                    known.add(signal)
                    alarm = _alarm(ledger, name, now_s, state, value, event, row.id)
                    if added := ledger.add_alarm(alarm, f"reference {state.reference.until_id} {signal}"):
                        yield Raised(added)
        state.of_reference = 0
        if state.read_id != before or not _shown_file(ledger, name).is_file():
            _keep(ledger, name, state)

    def read_on(self, ledger: Ledger, name: str) -> State | None:
        """The detector of a model as of the last row; adds nothing to the ledger. None without a reference."""
        state = self.state(ledger, name)
        while state is not None and (pages := list(_pages(ledger, name, state, MOST_ROWS))):
            for rows in pages:
                values, places = values_of(rows), [stratum(row) for row in rows]
                while places:
                    taken = state.detector.receive(values, places, SIGNALS)
                    values, places = values[taken:], places[taken:]
        return state

    def state(self, ledger: Ledger, name: str) -> State | None:
        """The detector of a model as of the rows read so far; None without a reference."""
        reference = frozen(ledger, name)
        if reference is None:
            return None
        state = self._states.get(name)
        if state is None or state.reference != reference:
            state = self._states[name] = _begun(ledger, name, reference)
        return state


def like(ledger: Ledger, name: str, detector: Detector, event: int) -> Candidate | None:
    """The measured condition that the shift is most like. A file that is broken must not hide an alarm."""
    try:
        among = known_candidates(ledger, name)
    except AsrError:
        return None
    return nearest(shift_of(detector.since(event), detector.reference), among)


def alarms_since(ledger: Ledger, name: str, reference: Reference) -> list[Alarm]:
    """The alarms of this reference."""
    return [alarm for alarm in ledger.alarms(name) if alarm.evidence.get("until_id") == reference.until_id]


def _pages(ledger: Ledger, name: str, state: State, most_rows: int) -> Iterator[list[VitalsRow]]:
    """The units among the next rows, page by page; pages without one are left out."""
    left = most_rows
    while left > 0 and (page := ledger.vitals(name, state.read_id, min(PAGE_ROWS, left))):
        left -= len(page)
        units = [row for row in page if state.units.is_one(row)]
        state.read_id = page[-1].id
        if units:
            yield units


def _begun(ledger: Ledger, name: str, reference: Reference) -> State:
    chosen, units = units_of(ledger, name, reference)
    days = (chosen[-1].at_s - chosen[0].at_s) / DAY_S
    alpha = ALPHA / max(1, len(ledger.names()))
    clients = [row.client or row.stream_id for row in chosen]
    detector = detector_of(values_of(chosen), [stratum(row) for row in chosen], days, alpha, clients)
    rows = len(reference.ids) or reference.until_id - reference.after_id
    state = State(reference, detector, units, reference.until_id, min(rows, MOST_ROWS))
    _take_up(_place(ledger, name), state)
    return state


def shown(ledger: Ledger, name: str) -> dict[str, Any]:
    """What a monitor's last round said, for a page: ``until_id`` of the reference, ``units``, and for each signal
    ``signal``, ``share`` of an alarm's evidence and ``sentence``, the strongest first. {} before the first round."""
    try:
        table: dict[str, Any] = json.loads(_shown_file(ledger, name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return table


def _shown(state: State) -> dict[str, Any]:
    detector = state.detector
    signals = [
        {
            "signal": EVENTS[event][0],
            "share": max(0.0, value) / detector.threshold,
            "sentence": detector.sentence(event),
        }
        for value, event in detector.strongest()
    ]
    return {"until_id": state.reference.until_id, "units": detector.units, "signals": signals}


def _shown_file(ledger: Ledger, name: str) -> Path:
    return drift_folder(ledger) / f"{name}.shown.json"


def _place(ledger: Ledger, name: str) -> Path:
    return drift_folder(ledger) / f"{name}.place.npz"


def _keep(ledger: Ledger, name: str, state: State) -> None:
    """Replaces both files, each in one step. A disk that is full only costs the next monitor time."""
    file, detector = _place(ledger, name), state.detector
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    numbers = np.array([state.reference.after_id, state.reference.until_id, state.read_id, detector.units])
    seen = np.fromiter(state.units.seen, np.uint64, len(state.units.seen))
    parts: dict[str, Any] = {name: getattr(detector, name) for name in _KEPT} | {"numbers": numbers, "seen": seen}
    try:
        with temporary.open("wb") as output:
            np.savez(output, layout=np.array(_LAYOUT), **parts)
        temporary.replace(file)
        temporary.write_text(json.dumps(_shown(state)), encoding="utf-8")
        temporary.replace(_shown_file(ledger, name))
    except OSError:
        temporary.unlink(missing_ok=True)


def _take_up(file: Path, state: State) -> None:
    """Goes on where the file says; one that is missing, broken or of another reference changes nothing."""
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as kept:
            after_id, until_id, read_id, units = (int(number) for number in kept["numbers"])
            is_mine = (after_id, until_id) == (state.reference.after_id, state.reference.until_id)
            if not is_mine or str(kept["layout"]) != _LAYOUT:
                return
            parts = {name: kept[name] for name in _KEPT}
            seen = kept["seen"].tolist()
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return
    for name, value in parts.items():
        setattr(state.detector, name, value)
    state.detector.units, state.read_id, state.units = units, read_id, Units(seen)


def _alarm(ledger: Ledger, name: str, now_s: float, state: State, value: float, event: int, row: int) -> Alarm:
    signal, side, share = EVENTS[event]
    detector = state.detector
    evidence = {
        "log_evidence": round(value, 3),
        "log_threshold": round(detector.threshold, 3),
        "side": side,
        "share": share,
        "units": detector.units,
        "row": row,
        "until_id": state.reference.until_id,
    }
    most_like = like(ledger, name, detector, event)
    evidence |= evidence_of(most_like)
    named = detector.named(event)
    sentence = detector.sentence(event)
    if named != event:
        sentence = f"{detector.sentence(named)}; proven by {sentence}"
    sentence += f"; {most_like}" if most_like else ""
    return Alarm(now_s, name, detector.kind(event), signal, sentence, evidence)
