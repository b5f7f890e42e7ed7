"""Drift: has live speech moved away from a frozen reference? Bets on the share of units beyond its order statistics.

A unit is a client's first utterance with speech of a day, or the first of a stream whose client is unknown: what one
client says later depends on it. For each number of a unit there are four events: it is above the reference's 90 %
(or 98 %) order statistic, or below the 10 % (or 2 %). While nothing moved, the probability that a new unit is beyond
the k-th of n reference values is itself random, Beta(n + 1 - k, k) (David and Nagaraja 2003, "Order Statistics"). Its
upper quantile, plus a dead zone, is what the bets grant; so an unlucky reference raises no alarm, and a small shift
never adds up.

Bets start again before every unit, with the weight of one unit of a month (a Shiryaev-Roberts e-detector: Shin, Ramdas
and Rinaldo 2024, "E-detectors", NEJSDS). All numbers share one budget: with the probability `ALPHA` at most there is a
false alarm within a month's units.
"""

import json
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from asr.errors import LedgerError
from asr.ledger import Alarm, Ledger, VitalsRow
from asr.vitals import GROUPS, INDEX, NAMES

ALPHA = 0.05
"""Chance of a false alarm in a month, over all numbers and models: four fifths for the bets, one for the reference."""
TOLERANCE = 0.05
"""The share of units beyond an order statistic may be so much larger than in the reference."""
SHARES = (0.1, 0.02)
"""Of the reference's units beyond the order statistics."""
STAKES = np.array([0.2, 0.5, 0.8])
"""What each bet risks of its wealth, in equal parts."""
LEAST_UNITS = 100
"""Of a reference, or of one stratum of it; a smaller stratum is compared with the whole reference."""
LEAST_UNITS_A_MONTH = 3000
RECENT = 30
"""Units that the sentence counts."""
PAGE_ROWS = 20_000
DAY_S, PART_S = 86_400.0, 21_600.0
MISSED_TERMS = "terms_missed"
SIGNALS = (*(name for name in NAMES if name not in ("terms_asked", "terms_given", "finalized")), MISSED_TERMS)
"""The numbers that are watched; the last one is the share of the terms asked for (`keyterm`) that did not come."""
EVENTS = tuple((signal, side, share) for signal in SIGNALS for side in ("above", "below") for share in SHARES)
_SIGNAL_OF = np.array([SIGNALS.index(signal) for signal, _, _ in EVENTS])
_SIGN = np.array([1.0 if side == "above" else -1.0 for _, side, _ in EVENTS])


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one stratum: limits, signed so that "beyond" is "greater", and the granted probabilities; ``(len(EVENTS),)``.

    NaN where the reference has too few values.
    """

    limits: np.ndarray
    granted: np.ndarray


def signals_of(row: VitalsRow) -> np.ndarray:
    """The watched numbers of an utterance, in the order of `SIGNALS`."""
    asked, given = (float(row.numbers[INDEX[name]]) for name in ("terms_asked", "terms_given"))
    values = [row.numbers[INDEX[name]] for name in SIGNALS[:-1]]
    return np.array([*values, 1 - given / asked if asked > 0 else math.nan], float)


def stratum(row: VitalsRow) -> str:
    """What is known before any audio: how it is sent, and the part of the day (UTC)."""
    return f"{row.codec} {int(row.at_s % DAY_S // PART_S)}"


class Units:
    """Finds the rows that are units, in their order."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], None] = {}

    def is_one(self, row: VitalsRow) -> bool:
        """Whether the row is the first with speech of its client's day, or of its stream."""
        if not row.numbers[INDEX["speech_share"]] > 0:
            return False
        key = (row.client, int(row.at_s // DAY_S)) if row.client else (row.stream_id, 0)
        if key in self._seen:
            return False
        self._seen[key] = None
        while len(self._seen) > 200_000:
            del self._seen[next(iter(self._seen))]
        return True


def bounds(values: np.ndarray, alpha: float = ALPHA / 5, tolerance: float = TOLERANCE) -> Bounds:
    """The bounds of reference values ``(n, len(SIGNALS))``. They are all true with the probability 1 - ``alpha``."""
    limits, granted = np.full(len(EVENTS), math.nan), np.full(len(EVENTS), math.nan)
    for event, (_, _, share) in enumerate(EVENTS):
        known = values[:, _SIGNAL_OF[event]]
        known = np.sort(_SIGN[event] * known[~np.isnan(known)])
        count = len(known)
        if count < LEAST_UNITS:
            continue
        rank = math.ceil((1 - share) * count)
        limits[event] = known[rank - 1]
        granted[event] = min(0.9, _largest_chance(count, rank, alpha / len(EVENTS)) + tolerance)
    return Bounds(limits, granted)


@cache
def _largest_chance(count: int, rank: int, alpha: float) -> float:
    """Of a value beyond the order statistic `rank` of `count`, but with the probability `alpha`."""
    return float(stats.beta.ppf(1 - alpha, count + 1 - rank, rank))


@dataclass(slots=True)
class Detector:
    """The bets of one model. ``months_units``: units in a month; ``alpha``: the model's part of the budget."""

    whole: Bounds
    strata: Mapping[str, Bounds]
    months_units: int
    alpha: float = 0.8 * ALPHA
    units: int = 0
    log_wealth: np.ndarray = field(default_factory=lambda: np.full((len(EVENTS), len(STAKES)), -math.inf))
    recent: "deque[np.ndarray]" = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def threshold(self) -> float:
        """The logarithm of the evidence at which an event is an alarm."""
        return math.log(len(EVENTS) / self.alpha)

    def receive(self, values: np.ndarray, place: str) -> None:
        """Bets on one unit ``(len(SIGNALS),)`` of a stratum. A number that is unknown changes nothing."""
        own = self.strata.get(place, self.whole)
        signed = _SIGN * values[_SIGNAL_OF]
        known = ~np.isnan(signed) & ~np.isnan(own.limits)
        is_beyond = np.where(known, signed > own.limits, np.nan)
        granted = np.where(known, own.granted, 0.5)[:, None]
        hit = (signed > own.limits)[:, None]
        step = np.where(hit, np.log1p(STAKES * (1 / granted - 1)), np.log1p(-STAKES))
        bet = np.logaddexp(self.log_wealth, -math.log(self.months_units)) + step
        self.log_wealth = np.where(known[:, None], bet, self.log_wealth)
        self.recent.append(is_beyond)
        self.units += 1

    def evidence(self) -> np.ndarray:
        """The logarithm of the evidence for each of `EVENTS`."""
        top = self.log_wealth.max(axis=1)
        safe = np.where(np.isinf(top), 0.0, top)
        mean = np.exp(self.log_wealth - safe[:, None]).mean(axis=1)
        return np.asarray(np.where(np.isinf(top), -math.inf, safe + np.log(np.maximum(mean, 1e-300))))

    def strongest(self) -> list[tuple[float, int]]:
        """Log evidence and number of each signal's strongest event, the strongest first."""
        best: dict[int, tuple[float, int]] = {}
        for event, value in enumerate(self.evidence().tolist()):
            signal = int(_SIGNAL_OF[event])
            best[signal] = max(best.get(signal, (-math.inf, 0)), (value, event))
        return sorted(best.values(), reverse=True)

    def alarming(self) -> list[tuple[float, int]]:
        """Those of `strongest` that are alarms."""
        if self.log_wealth.max() < self.threshold:
            return []
        return [each for each in self.strongest() if each[0] >= self.threshold]

    def sentence(self, event: int) -> str:
        """What moved, in words."""
        signal, side, share = EVENTS[event]
        seen = np.array([unit[event] for unit in self.recent])
        seen = seen[~np.isnan(seen)]
        limit = _SIGN[event] * self.whole.limits[event]
        found = f"{np.mean(seen):.0%} of the last {len(seen)} streams" if len(seen) else "no stream"
        return f"{signal}: {found} are {side} {limit:.3g}, and {share:.0%} of the reference's"

    def kind(self, event: int) -> str:
        """Texts that move while the sound stands still are suspected to mean something new."""
        signal = EVENTS[event][0]
        if signal == MISSED_TERMS:
            return "concept suspected"
        sound = [value for value, other in self.strongest() if EVENTS[other][0] in GROUPS["acoustic"]]
        is_still = max(sound, default=-math.inf) < 0
        return "concept suspected" if signal in GROUPS["text"] and is_still else "shift"


@dataclass(frozen=True, slots=True)
class Reference:
    """Which rows of the ledger are the reference: those after ``after_id`` up to ``until_id``."""

    after_id: int
    until_id: int
    at_s: float


def reference_file(ledger: Ledger, name: str) -> Path:
    """Where the choice of the reference is kept."""
    return ledger.releases_folder.parent / "drift" / f"{name}.json"


def freeze(ledger: Ledger, name: str, now_s: float, units: int) -> Reference:
    """Makes the last ``units`` units of the ledger the reference. Raises `LedgerError` if there are too few."""
    counted, ids = Units(), [0]
    for row in rows_after(ledger, name, 0):
        if counted.is_one(row):
            ids.append(row.id)
    if len(ids) <= LEAST_UNITS:
        raise LedgerError(f"found {len(ids) - 1} streams with speech of {name}, wanted {LEAST_UNITS} or more")
    reference = Reference(ids[max(0, len(ids) - 1 - units)], ids[-1], now_s)
    file = reference_file(ledger, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    table = {"after_id": reference.after_id, "until_id": reference.until_id, "at_s": now_s}
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(table) + "\n")
    temporary.replace(file)
    return reference


def frozen(ledger: Ledger, name: str) -> Reference | None:
    """The reference of a model; None before `freeze`. Raises `LedgerError` for a broken file."""
    file = reference_file(ledger, name)
    if not file.is_file():
        return None
    try:
        table: dict[str, Any] = json.loads(file.read_text())
        return Reference(int(table["after_id"]), int(table["until_id"]), float(table["at_s"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise LedgerError(f"{file} is no reference; wanted a new one: asr drift reference {name}") from None


def rows_after(ledger: Ledger, name: str, after_id: int) -> Iterator[VitalsRow]:
    """All rows after one, page by page."""
    while page := ledger.vitals(name, after_id, PAGE_ROWS):
        yield from page
        after_id = page[-1].id


def detector_of(rows: Sequence[VitalsRow], alpha: float) -> Detector:
    """A detector that has seen nothing, for the reference's units. ``alpha``: the model's part of `ALPHA`."""
    values = np.array([signals_of(row) for row in rows])
    places = [stratum(row) for row in rows]
    large = {place for place, count in Counter(places).items() if count >= LEAST_UNITS}
    part = alpha / 5 / (len(large) + 1)
    strata = {place: bounds(values[[p == place for p in places]], part) for place in sorted(large)}
    days = max(1.0, (rows[-1].at_s - rows[0].at_s) / DAY_S)
    months_units = max(LEAST_UNITS_A_MONTH, round(30 * len(rows) / days))
    return Detector(bounds(values, part), strata, months_units, 0.8 * alpha)


@dataclass(frozen=True, slots=True)
class Moved:
    """A finding of the watcher: an alarm that is now in the ledger."""

    alarm: Alarm

    @property
    def name(self) -> str:
        return self.alarm.name

    def __str__(self) -> str:
        return f"{self.alarm.name}: {self.alarm.kind}: {self.alarm.sentence}"

    def as_dict(self) -> dict[str, Any]:
        """For a program: one JSON object."""
        alarm = self.alarm
        return {"name": alarm.name, "kind": alarm.kind, "signal": alarm.signal, "sentence": alarm.sentence}


@dataclass(slots=True)
class State:
    """How far the rows of one model were read, and what they say."""

    reference: Reference
    detector: Detector
    units: Units
    read_id: int


class DriftWatcher:
    """The watcher of drift: an alarm for each number that moved, once for each reference."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Moved]:
        """Reads the new rows of a model, and adds alarms to the ledger. Raises `LedgerError`."""
        state = self.state(ledger, name)
        if state is None:
            return
        until_id, detector = state.reference.until_id, state.detector
        known = {alarm.signal for alarm in ledger.alarms(name) if alarm.evidence.get("until_id") == until_id}
        for row in rows_after(ledger, name, state.read_id):
            state.read_id = row.id
            if not state.units.is_one(row):
                continue
            detector.receive(signals_of(row), stratum(row))
            for value, event in detector.alarming():
                signal = EVENTS[event][0]
                if signal not in known:
                    known.add(signal)
                    yield Moved(ledger.add_alarm(_alarm(name, now_s, state, value, event)))

    def state(self, ledger: Ledger, name: str) -> State | None:
        """The detector of a model as of the rows read so far; None without a reference."""
        reference = frozen(ledger, name)
        if reference is None:
            return None
        state = self._states.get(name)
        if state is None or state.reference != reference:
            state = self._states[name] = _begun(ledger, name, reference)
        return state


def _begun(ledger: Ledger, name: str, reference: Reference) -> State:
    units, chosen = Units(), []
    for row in rows_after(ledger, name, reference.after_id):
        if row.id > reference.until_id:
            break
        if units.is_one(row):
            chosen.append(row)
    if len(chosen) < LEAST_UNITS:
        raise LedgerError(f"the reference of {name} has lost its rows; wanted a new one: asr drift reference {name}")
    detector = detector_of(chosen, ALPHA / max(1, len(ledger.names())))
    return State(reference, detector, units, reference.until_id)


def _alarm(name: str, now_s: float, state: State, value: float, event: int) -> Alarm:
    signal, side, share = EVENTS[event]
    evidence = {
        "log_evidence": round(value, 3),
        "log_threshold": round(state.detector.threshold, 3),
        "side": side,
        "share": share,
        "units": state.detector.units,
        "row": state.read_id,
        "until_id": state.reference.until_id,
    }
    detector = state.detector
    return Alarm(now_s, name, detector.kind(event), signal, detector.sentence(event), evidence)


def reports(ledger: Ledger, explain: bool) -> Iterator[str]:
    """Lines for people: each model's state, its alarms since the reference, and on demand each number's evidence."""
    for name in ledger.names():
        watcher = DriftWatcher()
        state = watcher.state(ledger, name)
        if state is None:
            yield f"{name}: no reference; make one from normal speech: asr drift reference {name}"
            continue
        for row in rows_after(ledger, name, state.read_id):
            state.read_id = row.id
            if state.units.is_one(row):
                state.detector.receive(signals_of(row), stratum(row))
        detector = state.detector
        alarms = [a for a in ledger.alarms(name) if a.evidence.get("until_id") == state.reference.until_id]
        yield f"{name}: {detector.units} streams since the reference, {len(alarms)} alarms"
        yield from (f"  {alarm.kind}: {alarm.sentence}" for alarm in alarms)
        if explain:
            for value, event in detector.strongest():
                share = max(0.0, value) / detector.threshold
                yield f"  {share:6.1%} of an alarm's evidence: {detector.sentence(event)}"
