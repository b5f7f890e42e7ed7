"""Drift: shifts are found soon and named, what did not move raises no alarm, and nothing is reported twice."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from asr.engine import Engine
from asr.errors import ConfigError
from asr.ledger import Ledger, LedgerError, VitalsRow
from asr.vitals import INDEX
from eval.measured_vitals import MeasuredSet, load, save
from ops.drift import reference as referring
from ops.drift import watcher as watching
from ops.drift.detector import ALPHA, BLOCK, EVENTS, LEVELS, SHARES, SIGNALS, STAKES, bounds, detector_of, signals_of
from ops.drift.measuring import Plan, measured
from ops.drift.nearest import candidates, conditions_file, evidence_of, nearest, shift_of
from ops.drift.reference import drift_folder, freeze, frozen, units_of
from ops.drift.report import reports
from ops.drift.trial import Trial, quiet_months, summary
from ops.drift.units import Units, stratum, values_of
from ops.drift.watcher import DriftWatcher
from tests.asr.ledger.releases import VITALS
from tests.ops.pipelines import written
from tests.ops.trials import NAME, ledger_with_two, vitals_rows


def delay(reference: Sequence[VitalsRow], live: Sequence[VitalsRow]) -> tuple[int, str]:
    """Streams until the first alarm, and its number; -1: none came."""
    detector = detector_of(values_of(reference), [stratum(row) for row in reference], 1, 0.05)
    values, places = values_of(live), [stratum(row) for row in live]
    while places:
        taken = detector.receive(values, places)
        if found := detector.alarming():
            return detector.units, EVENTS[found[0][1]][0]
        values, places = values[taken:], places[taken:]
    return -1, ""


def test_what_did_not_move_raises_no_alarm() -> None:
    """Twenty worlds of 1,500 streams, each with its own reference of 300: at 5 % more than 5 have p < 0.001."""
    alarms = sum(delay(vitals_rows(300, 2 * seed), vitals_rows(1500, 2 * seed + 1))[0] >= 0 for seed in range(20))
    assert alarms <= 5


@pytest.mark.parametrize(("name", "by", "most"), [("snr_db", -4.0, 15), ("confidence", -2.0, 40), ("high_db", 6.0, 12)])
def test_a_shift_is_found_and_named(name: str, by: float, most: int) -> None:
    """In both directions; the larger, the sooner."""
    found = [delay(vitals_rows(500, 2 * seed), vitals_rows(300, 2 * seed + 1, {name: by})) for seed in range(5)]
    assert {signal for _, signal in found} == {name}
    assert np.median([count for count, _ in found]) <= most


def named(live: Sequence[VitalsRow]) -> tuple[set[str], str]:
    """The numbers that are alarms in the first moment with any, and what names the first of them."""
    reference = vitals_rows(500, 1)
    detector = detector_of(values_of(reference), [stratum(row) for row in reference], 1, 0.05)
    detector.receive(values_of(live), [stratum(row) for row in live])
    found = detector.alarming()
    return {EVENTS[event][0] for _, event in found}, EVENTS[detector.named(found[0][1])][0]


def test_what_moved_farthest_in_the_sound_names_an_alarm() -> None:
    """Of several alarms at once, and of one that only says how sure the model is; alone, that names itself."""
    for seed in range(2, 7):
        found, name = named(vitals_rows(300, seed, {"zeros": -4.0, "noise_db": 9.0, "snr_db": -4.0}))
        assert (len(found) > 1, name) == (True, "noise_db")
        unsure = vitals_rows(300, seed, {"confidence": -6.0})
        assert named(unsure) == ({"confidence"}, "confidence")
        room = vitals_rows(300, seed, {"confidence": -6.0, "modulation": -6.0})
        most = [unsure[i] if i % 5 == 4 else room[i] for i in range(300)]
        assert named(most) == ({"confidence"}, "modulation")


def test_an_accent_names_an_alarm_before_the_sound() -> None:
    """Speakers with an accent have other microphones too, and no microphone moves the number."""
    for seed in range(2, 5):
        assert named(vitals_rows(300, seed, {"accent": 6.0, "holes": 6.0}))[1] == "accent"


def test_a_small_shift_never_adds_up() -> None:
    """A tenth of a deviation lies in the dead zone."""
    assert delay(vitals_rows(2000, 1), vitals_rows(3000, 2, {"snr_db": -0.1})) == (-1, "")


def test_granted_probabilities_hold_for_the_reference_too() -> None:
    """In 2,000 references of 100 values the true probability is beyond each level as seldom as its share says.

    The share of the last level is about 1 in 70,000; the bounds for the others are those of chance at p = 0.001.
    """
    generator = np.random.default_rng(3)
    found = bounds(generator.random((100, 1)).repeat(len(SIGNALS), axis=1), alpha=ALPHA / 5, tolerance=0.0)
    events = [EVENTS.index((SIGNALS[0], side, share)) for side in ("above", "below") for share in SHARES]
    over = np.zeros(LEVELS)
    for _ in range(2000):
        values = np.sort(generator.random(100))
        ranks = [math.ceil((1 - EVENTS[event][2]) * 100) - 1 for event in events]
        over += ((1 - values[ranks]) > found.granted[:, events]).mean(axis=1)
    shares = (ALPHA / 5 / len(EVENTS)) ** (np.arange(1, LEVELS + 1) / LEVELS)
    assert (over <= stats.binom.ppf(0.999, 2000, shares)).all()
    assert over[0] > 0


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
    ledger.add_vitals(vitals_rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    watcher = DriftWatcher()
    assert not list(watcher.look(ledger, NAME, 2.0))
    ledger.add_vitals(vitals_rows(60, 2, {"snr_db": -4.0}, first=300))
    [moved] = watcher.look(ledger, NAME, 3.0)
    assert (moved.alarm.kind, moved.alarm.signal) == ("shift", "snr_db")
    assert "are below" in str(moved)
    assert not list(watcher.look(ledger, NAME, 4.0))
    assert not list(DriftWatcher().look(ledger, NAME, 5.0))
    assert ledger.alarms(NAME) == [moved.alarm]
    assert any("snr_db" in line for line in reports(ledger, True))
    ledger.add_vitals(vitals_rows(300, 3, {"snr_db": -4.0}, first=400))
    freeze(ledger, NAME, 6.0, 200)
    ledger.add_vitals(vitals_rows(60, 4, {"snr_db": -4.0}, first=800))
    assert not list(watcher.look(ledger, NAME, 7.0))


def test_two_monitors_that_see_a_shift_at_once_raise_one_alarm(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither has seen the other's alarm when it raises its own."""
    ledger.add_vitals(vitals_rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    ledger.add_vitals(vitals_rows(60, 2, {"snr_db": -4.0, "noise_db": 3.0}, first=300))
    monkeypatch.setattr(watching, "alarms_since", lambda *_: [])
    found = [[raised.alarm.signal for raised in DriftWatcher().look(ledger, NAME, 3.0)] for _ in range(2)]
    assert sorted(found[0]) == ["noise_db", "snr_db"]
    assert found[1] == []
    assert [alarm.signal for alarm in ledger.alarms(NAME)] == found[0]


def test_texts_that_move_alone_are_suspected(ledger: Ledger) -> None:
    """The sound stands still: people say something new. The same with terms that are asked for and never come."""
    ledger.add_vitals(vitals_rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    ledger.add_vitals(vitals_rows(60, 2, {"compression": 5.0}, first=300))
    [moved] = DriftWatcher().look(ledger, NAME, 3.0)
    assert (moved.alarm.kind, moved.alarm.signal) == ("concept suspected", "compression")


def test_units_in_a_block_bet_as_one_after_the_other() -> None:
    """W(t) = (W(t - 1) + 1 / M) * step(t), in plain numbers; unknown numbers change nothing."""
    reference, live = vitals_rows(300, 1), vitals_rows(BLOCK + 40, 2, {"snr_db": -0.5})
    live[3].numbers[INDEX["snr_db"]] = np.nan
    detector = detector_of(values_of(reference), [stratum(row) for row in reference], 1, 0.05)
    values, places = values_of(live), [stratum(row) for row in live]
    event = EVENTS.index(("snr_db", "below", 0.1))
    own, wealth = detector.strata.get(places[0], detector.whole), np.zeros((LEVELS, len(STAKES)))
    for value in -values[:, SIGNALS.index("snr_db")]:
        if not np.isnan(value):
            odds = 1 / own.granted[:, event] - 1 if value > own.limits[event] else np.full(LEVELS, -1.0)
            wealth = (wealth + 1 / detector.months_units) * (1 + STAKES * odds[:, None])
    while places:
        taken = detector.receive(values, places, SIGNALS)
        values, places = values[taken:], places[taken:]
    np.testing.assert_allclose(detector.wealth[..., event], wealth, rtol=1e-9)
    least = np.log((wealth.mean(axis=1) / detector.masses).min())
    assert detector.evidence()[event] == pytest.approx(least)


def test_a_watcher_goes_on_where_its_file_says(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no row twice, and comes to what one comes to that has read all; a broken file costs only time."""
    ledger.add_vitals(vitals_rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    ledger.add_vitals(vitals_rows(60, 2, {"snr_db": -1.0}, first=300))
    list(DriftWatcher().look(ledger, NAME, 2.0))
    ledger.add_vitals(vitals_rows(60, 3, {"snr_db": -1.0}, first=400))
    read: list[int] = []
    vitals = Ledger.vitals

    def noted(ledger: Ledger, name: str, after_id: int = 0, limit: int | None = None) -> list[VitalsRow]:
        read.append(after_id)
        return vitals(ledger, name, after_id, limit)

    monkeypatch.setattr(Ledger, "vitals", noted)
    watcher = DriftWatcher()
    list(watcher.look(ledger, NAME, 3.0))
    assert [after for after in read if after >= 300] == [360, 420]
    file = drift_folder(ledger) / f"{NAME}.place.npz"
    for content in (b"", b"no numbers", file.read_bytes()[:-200]):
        file.write_bytes(content)
        again = DriftWatcher()
        list(again.look(ledger, NAME, 3.0))
        states = [each.state(ledger, NAME) for each in (watcher, again)]
        assert states[0]
        assert states[1]
        assert states[0].detector.units == states[1].detector.units == 120
        np.testing.assert_allclose(states[0].detector.evidence(), states[1].detector.evidence())


def test_a_reference_names_its_units(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are those that a search finds; it is made only for files without their numbers."""
    rows = vitals_rows(900, 1)
    for i, row in enumerate(rows):
        row.numbers[INDEX["speech_share"]] = 0.7 * (i % 7 > 0)
    ledger.add_vitals([replace(row, client=f"c{i % 290}", utterance=i % 3) for i, row in enumerate(rows)])
    named = freeze(ledger, NAME, 1.0, 150)
    assert frozen(ledger, NAME) == named
    searched, seen = units_of(ledger, NAME, replace(named, ids=()))
    monkeypatch.setattr(referring, "rows_after", lambda *_: pytest.fail("it was searched"))
    found, also_seen = units_of(ledger, NAME, named)
    assert [row.id for row in found] == [row.id for row in searched] == list(named.ids)
    assert list(seen.seen) == list(also_seen.seen)
    np.testing.assert_array_equal(values_of(found), values_of(searched))
    file = drift_folder(ledger) / f"{NAME}.json"
    for broken in ('{"after_id": 1, "until_id": 2, "at_s": 3, "ids": 4}', "[]", "{"):
        file.write_text(broken)
        with pytest.raises(LedgerError, match="is no reference; wanted a new one"):
            frozen(ledger, NAME)


def test_a_reference_of_few_clients_grants_more() -> None:
    """Values of one client depend on each other: 500 streams of 40 clients say as much as 40 streams."""
    values = values_of(vitals_rows(500, 1))
    clients = [str(i % 40) for i in range(500)]
    many, few = bounds(values), bounds(values, clients=clients)
    known = ~np.isnan(many.granted)
    assert (few.granted[known] > many.granted[known]).all()
    assert (few.granted[-1][known[-1]] > many.granted[-1][known[-1]] + 0.05).all()
    np.testing.assert_array_equal(few.limits, many.limits)


def test_speech_without_a_word_is_the_least_certain() -> None:
    """A model for English finds no word in much speech of another language: that must not look like missing numbers."""
    numbers = np.array([row.numbers for row in vitals_rows(2, 1)])
    numbers[0, [INDEX["wordless"], INDEX["confidence"], INDEX["unsure_share"]]] = 1, np.nan, np.nan
    numbers[1, INDEX["wordless"]] = 0
    found = signals_of(numbers)[:, [SIGNALS.index(name) for name in ("confidence", "unsure_share")]]
    assert found.tolist() == [[0, 1], numbers[1, [INDEX["confidence"], INDEX["unsure_share"]]].tolist()]


def test_the_beginning_of_a_shift_is_found() -> None:
    """Its values are those since then, and not those of the streams before."""
    detector = detector_of(values_of(vitals_rows(300, 1)), ["x"] * 300, 1, 0.05)
    detector.receive(values_of(vitals_rows(60, 2)), ["x"] * 60, SIGNALS)
    detector.receive(values_of(vitals_rows(14, 3, {"snr_db": -5.0})), ["x"] * 14, SIGNALS)
    event = EVENTS.index(("snr_db", "below", 0.02))
    assert 12 <= len(detector.since(event)) <= 16
    assert "100% of the last 14 streams" in detector.sentence(event)


def measured_set(condition: str, seed: int, move: dict[str, float], errors: int, data: str = "own") -> MeasuredSet:
    """Recordings of 40 speakers with normal numbers. What is unreal: nobody spoke."""
    numbers = np.array([row.numbers for row in vitals_rows(200, seed, move)], np.float32)
    speakers = np.array([f"p{i % 40}" for i in range(200)])
    counts = np.full(200, errors), np.full(200, 20)
    return MeasuredSet(data, condition, "en", f"replay {condition}", data == "own", speakers, numbers, *counts)


SETS = [
    measured_set("", 11, {}, 2),
    measured_set("telephone+mulaw", 12, {"high_db": -4.0, "low_db": -3.0}, 3),
    measured_set("noise:10", 13, {"snr_db": -4.0, "noise_db": 3.0}, 4),
    measured_set("", 14, {"confidence": -3.0, "unsure_share": 3.0}, 15, "other"),
]


def test_measured_sets_are_kept(tmp_path: Path) -> None:
    """Numbers, speakers, errors and commands come back; a file that is none is refused with a sentence."""
    save(tmp_path / "a" / "sets.npz", SETS)
    for kept, given in zip(load(tmp_path / "a" / "sets.npz"), SETS, strict=True):
        for field in fields(MeasuredSet):
            np.testing.assert_array_equal(getattr(kept, field.name), getattr(given, field.name))
    assert [round(each.wer) for each in SETS] == [10, 15, 20, 75]
    for content in (b"", b"PK", (tmp_path / "a" / "sets.npz").read_bytes()[:-100]):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(ConfigError, match="holds no measured vitals"):
            load(tmp_path / "broken.npz")


@pytest.mark.parametrize(
    ("move", "name"),
    [
        ({"high_db": -3.5, "low_db": -2.5}, "telephone+mulaw"),
        ({"snr_db": -5.0, "noise_db": 3.5}, "noise:10"),
        ({"confidence": -2.0, "unsure_share": 2.5}, "other"),
        ({}, None),
    ],
)
def test_the_nearest_condition_is_named(move: dict[str, float], name: str | None) -> None:
    """From a dozen streams; what has not moved is like none."""
    shift = shift_of(values_of(vitals_rows(12, 5, move)), values_of(vitals_rows(300, 6)))
    found = nearest(shift, candidates(SETS))
    assert (found.name if found else None) == name


def test_an_alarm_names_the_condition_its_cost_and_the_command(ledger: Ledger) -> None:
    """Another set is named too, but is no condition that a training could use."""
    save(conditions_file(ledger, NAME), SETS)
    ledger.add_vitals(vitals_rows(300, 1))
    freeze(ledger, NAME, 1.0, 300)
    ledger.add_vitals(vitals_rows(40, 2, {"snr_db": -4.0, "noise_db": 3.0}, first=300))
    alarm = next(iter(DriftWatcher().look(ledger, NAME, 3.0))).alarm
    assert alarm.sentence.endswith("; most like noise:10: the own sets lose 10.0 points there")
    expected = {"like": "noise:10", "nearest": "noise:10", "points": 10.0, "command": "replay noise:10"}
    assert expected.items() <= alarm.evidence.items()
    assert "    replay noise:10" in list(reports(ledger, False))
    other = next(each for each in candidates(SETS) if each.name == "other")
    assert evidence_of(other) == {"like": "other", "points": 65.0, "command": "replay "}
    conditions_file(ledger, NAME).write_bytes(b"broken")
    freeze(ledger, NAME, 4.0, 300)
    ledger.add_vitals(vitals_rows(60, 4, {"confidence": -4.0}, first=400))
    assert "nearest" not in next(iter(DriftWatcher().look(ledger, NAME, 5.0))).alarm.evidence


OF_ANOTHER = '{"of": "other recordings", "seed": 2, "alarm": true}\n'


def test_a_trial_finds_shifts_and_leaves_quiet_months_alone(tmp_path: Path) -> None:
    """On made-up numbers: each shift is found within 60 streams and named, and of 3 quiet months none has an alarm."""
    trial, kept = Trial(SETS), tmp_path / "months.jsonl"
    assert quiet_months(trial, range(2), kept) == 0
    kept.write_text(kept.read_text().replace('"seed": 1, "alarm": false', '"seed": 1, "alarm": true') + OF_ANOTHER)
    assert quiet_months(trial, range(3), kept) == 1  # a month that is there is not made again
    assert len(kept.read_text().splitlines()) == 4
    for name in ("telephone+mulaw", "noise:10", "other"):
        found = summary(name, [trial.onset(name, seed) for seed in range(3)])
        assert found.median <= 60
        assert (found.missed, found.signal_right, found.nearest_right) == (0, 1, 1)


def test_a_trial_wants_more_than_a_handful_of_speakers() -> None:
    few = replace(SETS[0], speakers=np.array([f"p{i % 4}" for i in range(200)]))
    with pytest.raises(ConfigError, match="found recordings of 4 speakers in the own sets, wanted 30 or more"):
        Trial([few, *SETS[1:]])
    with pytest.raises(ConfigError, match="found no own set"):
        Trial(SETS[1:])


def test_recordings_are_measured_under_conditions(tmp_path: Path, whisper_tiny: Engine) -> None:
    """Of two real clips: a telephone's band shows in the numbers, and the errors are counted after normalisation."""
    written(tmp_path)
    plan = Plan("m@champion", (tmp_path / "data",), chains="telephone+mulaw", limit=2)
    clean, line = measured(whisper_tiny, plan, lambda _: None)
    assert (clean.condition, line.condition) == ("", "telephone+mulaw")
    assert clean.errors.tolist() == [0, 5]  # the text of the second ends five words before the recording
    band = INDEX["rolloff_khz"]
    assert (line.numbers[:, band] < clean.numbers[:, band] - 2).all()
    assert line.command.endswith("--out replay --condition telephone+mulaw --limit 2")
