"""Drift: shifts are found soon and named, what did not move raises no alarm, and nothing is reported twice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.ledger import Ledger, LedgerError, VitalsRow
from asr.vitals import INDEX, NAMES
from ops.drift import (
    EVENTS,
    SIGNALS,
    DriftWatcher,
    Units,
    bounds,
    detector_of,
    freeze,
    reports,
    signals_of,
    stratum,
)
from tests.asr.ledger.releases import VITALS
from tests.ops.trials import NAME, ledger_with_two


def rows(count: int, seed: int, move: dict[str, float] | None = None, first: int = 0) -> list[VitalsRow]:
    """Utterances of unknown clients with normal numbers; `move` shifts some, in standard deviations."""
    numbers = np.random.default_rng(seed).standard_normal((count, len(NAMES)))
    for name, by in (move or {}).items():
        numbers[:, INDEX[name]] += by
    numbers[:, INDEX["speech_share"]] = 0.7
    numbers[:, [INDEX["terms_asked"], INDEX["terms_given"]]] = np.nan
    return [
        replace(VITALS, name=NAME, at_s=1000.0 + first + i, client="", stream_id=f"s-{first + i}", numbers=each)
        for i, each in enumerate(numbers)
    ]


def delay(reference: Sequence[VitalsRow], live: Sequence[VitalsRow]) -> tuple[int, str]:
    """Streams until the first alarm, and its number; -1: none came."""
    detector = detector_of(reference, 0.05)
    for count, row in enumerate(live, 1):
        detector.receive(signals_of(row), stratum(row))
        if found := detector.alarming():
            return count, EVENTS[found[0][1]][0]
    return -1, ""


def test_what_did_not_move_raises_no_alarm() -> None:
    """Twenty worlds of 1,500 streams, each with its own reference of 300: at 5 % more than 5 have p < 0.001."""
    alarms = sum(delay(rows(300, 2 * seed), rows(1500, 2 * seed + 1))[0] >= 0 for seed in range(20))
    assert alarms <= 5


@pytest.mark.parametrize(("name", "by", "most"), [("snr_db", -4.0, 15), ("confidence", -2.0, 40), ("high_db", 6.0, 12)])
def test_a_shift_is_found_and_named(name: str, by: float, most: int) -> None:
    """In both directions; the larger, the sooner."""
    found = [delay(rows(500, 2 * seed), rows(300, 2 * seed + 1, {name: by})) for seed in range(5)]
    assert {signal for _, signal in found} == {name}
    assert np.median([count for count, _ in found]) <= most


def test_a_small_shift_never_adds_up() -> None:
    """A tenth of a deviation lies in the dead zone."""
    assert delay(rows(2000, 1), rows(3000, 2, {"snr_db": -0.1})) == (-1, "")


def test_granted_probabilities_hold_for_the_reference_too() -> None:
    """In 400 references of 100 values the true probability beyond a limit is within what is granted."""
    generator = np.random.default_rng(3)
    for _ in range(400):
        values = generator.random((100, 1)).repeat(len(SIGNALS), axis=1)
        found = bounds(values, tolerance=0.0)
        beyond = np.where(found.limits > 0, 1 - found.limits, -found.limits)
        assert (beyond <= found.granted).all()


def test_a_client_counts_once_a_day() -> None:
    """And a stream of an unknown client once; an utterance without speech never does."""
    units = Units()
    silent = VITALS.numbers.copy()
    silent[INDEX["speech_share"]] = 0
    numbers = VITALS.numbers.copy()
    numbers[INDEX["speech_share"]] = 0.5
    known = replace(VITALS, numbers=numbers, client="c")
    unknown = replace(known, client="", stream_id="a")
    assert not units.is_one(replace(known, numbers=silent))
    assert [units.is_one(known), units.is_one(replace(known, stream_id="other"))] == [True, False]
    assert units.is_one(replace(known, at_s=known.at_s + 86_400))
    assert [units.is_one(unknown), units.is_one(unknown), units.is_one(replace(unknown, stream_id="b"))] == [
        True, False, True,
    ]  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_two(tmp_path)


def test_alarms_are_rows_of_the_ledger_and_come_once(ledger: Ledger) -> None:
    """Also from a monitor that starts again; a new reference begins anew."""
    assert list(reports(ledger, False)) == [
        f"{NAME}: no reference; make one from normal speech: asr drift reference {NAME}"
    ]
    with pytest.raises(LedgerError, match=f"found 0 streams with speech of {NAME}, wanted 100 or more"):
        freeze(ledger, NAME, 1.0, 300)
    ledger.add_vitals(rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    watcher = DriftWatcher()
    assert not list(watcher.look(ledger, NAME, 2.0))
    ledger.add_vitals(rows(60, 2, {"snr_db": -4.0}, first=300))
    [moved] = watcher.look(ledger, NAME, 3.0)
    assert (moved.alarm.kind, moved.alarm.signal) == ("shift", "snr_db")
    assert "are below" in str(moved)
    assert not list(watcher.look(ledger, NAME, 4.0))
    assert not list(DriftWatcher().look(ledger, NAME, 5.0))
    assert ledger.alarms(NAME) == [moved.alarm]
    assert any("snr_db" in line for line in reports(ledger, True))
    ledger.add_vitals(rows(300, 3, {"snr_db": -4.0}, first=400))
    freeze(ledger, NAME, 6.0, 200)
    ledger.add_vitals(rows(60, 4, {"snr_db": -4.0}, first=800))
    assert not list(watcher.look(ledger, NAME, 7.0))


def test_texts_that_move_alone_are_suspected(ledger: Ledger) -> None:
    """The sound stands still: people say something new. The same with terms that are asked for and never come."""
    ledger.add_vitals(rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    ledger.add_vitals(rows(60, 2, {"compression": 5.0}, first=300))
    [moved] = DriftWatcher().look(ledger, NAME, 3.0)
    assert (moved.alarm.kind, moved.alarm.signal) == ("concept suspected", "compression")
