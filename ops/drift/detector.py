"""Bets on the share of units beyond the order statistics of a frozen reference.

For each number of a unit there are four events: it is above the reference's 90 % (or 98 %) order statistic, or below
the 10 % (or 2 %). While nothing moved, the probability that a new unit is beyond the k-th of n reference values is
itself random, Beta(n + 1 - k, k) (David and Nagaraja 2003, "Order Statistics"). Bets are made against several upper
quantiles of it (levels), plus a dead zone: so an unlucky reference raises no alarm, and a small shift never adds up.
A higher level asks for less evidence, since fewer references are so unlucky (`Detector.masses`). An alarm needs the
evidence against all levels, so the chance of a false one is at most the sum over the levels of share times chance.

Bets start again before every unit, with the weight of one unit of a month (a Shiryaev-Roberts e-detector: Shin, Ramdas
and Rinaldo 2024, "E-detectors", NEJSDS). All numbers share one budget: with the probability `ALPHA` at most there is a
false alarm within a month's units.
"""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from scipy import stats

from asr.vitals import GROUPS, INDEX, NAMES

ALPHA = 0.05
"""Chance of a false alarm in a month, over all numbers and models: four fifths for the bets, one for the reference."""
TOLERANCE = 0.05
"""The share of units beyond an order statistic may be so much larger than in the reference."""
SHARES = (0.1, 0.02)
"""Of the reference's units beyond the order statistics."""
LEVELS = 5
"""Quantiles that are granted, from the least to the most unlucky reference."""
MOST_WEALTH = 1e100
"""Beyond it nothing is counted."""
STAKES = np.array([0.2, 0.5, 0.95])
"""What each bet risks of its wealth, in equal parts."""
LEAST_UNITS = 100
"""Of a reference, or of one stratum of it; a smaller stratum is compared with the whole reference."""
LEAST_UNITS_A_MONTH = 3000
RECENT = 100
"""Units that are remembered."""
LEAST_SINCE = 5
"""So many of the last units count for a shift at least, however new it is."""
BLOCK = 500
"""Units that are taken in one step."""
CAUSE = 0.5
"""Of an alarm's evidence: a number of the sound with so much of it names an alarm that is not of the sound."""
DAY_S = 86_400.0
MISSED_TERMS = "terms_missed"
SIGNALS = (*(name for name in NAMES if name not in ("terms_asked", "terms_given", "finalized")), MISSED_TERMS)
"""The numbers that are watched; the last one is the share of the terms asked for (`keyterm`) that did not come."""
LEAST_CERTAIN = {"confidence": 0.0, "low_confidence": 0.0, "unsure_share": 1.0}
"""The numbers of speech without a word."""
EVENTS = tuple((signal, side, share) for signal in SIGNALS for side in ("above", "below") for share in SHARES)
SIGNAL_OF = np.array([SIGNALS.index(signal) for signal, _, _ in EVENTS])
_SIGN = np.array([1.0 if side == "above" else -1.0 for _, side, _ in EVENTS])
_COLUMNS = [INDEX[name] for name in SIGNALS[:-1]]


@dataclass(frozen=True)
class Bounds:
    """Of one stratum: limits ``(len(EVENTS),)``, signed so that "beyond" is "greater", and the granted probabilities
    ``(LEVELS, len(EVENTS))``. NaN where the reference has too few values."""

    limits: np.ndarray
    granted: np.ndarray

    @cached_property
    def growth(self) -> np.ndarray:
        """By what each bet grows where a unit is beyond the limit, less what it loses elsewhere:
        ``(LEVELS, len(STAKES), len(EVENTS))``."""
        return np.asarray(STAKES[:, None] / self.granted[:, None])


def signals_of(numbers: np.ndarray) -> np.ndarray:
    """Vitals ``(n, len(NAMES))`` -> the watched numbers ``(n, len(SIGNALS))``.

    Speech in which the model found no word counts as the least certain: unknown, it would hide another language, of
    which a model for English leaves out every second stream.
    """
    watched = numbers[:, _COLUMNS].astype(float)
    wordless = numbers[:, INDEX["wordless"]] == 1
    for name, value in LEAST_CERTAIN.items():
        watched[wordless, SIGNALS.index(name)] = value
    asked, given = (numbers[:, INDEX[name]].astype(float) for name in ("terms_asked", "terms_given"))
    is_asked = asked > 0
    missed = np.where(is_asked, 1 - given / np.where(is_asked, asked, 1.0), math.nan)
    return np.column_stack([watched, missed])


def bounds(
    values: np.ndarray, alpha: float = ALPHA / 5, tolerance: float = TOLERANCE, clients: Sequence[str] = ()
) -> Bounds:
    """The bounds of reference values ``(n, len(SIGNALS))``. They are all true with the probability 1 - ``alpha``.

    ``clients`` ``(n,)``: where one came on several days its values depend on each other, so the reference counts as
    one with as many values as there are clients.
    """
    most = len(set(clients)) if clients else len(values)
    limits, granted = np.full(len(EVENTS), math.nan), np.full((LEVELS, len(EVENTS)), math.nan)
    share_of = _ratio(alpha)
    for event, (_, _, share) in enumerate(EVENTS):
        known = values[:, SIGNAL_OF[event]]
        known = np.sort(_SIGN[event] * known[~np.isnan(known)])
        count = len(known)
        if count < LEAST_UNITS:
            continue
        limits[event] = known[math.ceil((1 - share) * count) - 1]
        count = min(count, most)
        rank = math.ceil((1 - share) * count)
        chances = [_largest_chance(count, rank, share_of ** (level + 1)) for level in range(LEVELS)]
        granted[:, event] = np.minimum(0.9, np.array(chances) + tolerance)
    return Bounds(limits, granted)


def _ratio(alpha: float) -> float:
    """Each level is needed by so small a share of the references that need the one before."""
    return float((alpha / len(EVENTS)) ** (1 / LEVELS))


@cache
def _largest_chance(count: int, rank: int, alpha: float) -> float:
    """Of a value beyond the order statistic `rank` of `count`, but with the probability `alpha`."""
    return float(stats.beta.ppf(1 - alpha, count + 1 - rank, rank))


@dataclass(slots=True)
class Detector:
    """The bets of one model. ``months_units``: units in a month; ``alpha``: the model's part of the budget.

    Attributes:
        masses: The share of the references that need each level, ``(LEVELS,)``.
        wealth: ``(LEVELS, len(STAKES), len(EVENTS))``.
        recent: Whether each of the last `RECENT` units was beyond each limit, NaN where unknown: ``(n, len(EVENTS))``.
        values: The watched numbers of these units: ``(n, len(SIGNALS))``.
        reference: Those of the reference.
    """

    whole: Bounds
    strata: Mapping[str, Bounds]
    months_units: int
    reference: np.ndarray
    masses: np.ndarray
    alpha: float = 0.8 * ALPHA
    units: int = 0
    wealth: np.ndarray = field(default_factory=lambda: np.zeros((LEVELS, len(STAKES), len(EVENTS))))
    recent: np.ndarray = field(default_factory=lambda: np.zeros((0, len(EVENTS))))
    values: np.ndarray = field(default_factory=lambda: np.zeros((0, len(SIGNALS))))

    @property
    def threshold(self) -> float:
        """The logarithm of the evidence at which an event is an alarm."""
        return math.log(len(EVENTS) * LEVELS / self.alpha)

    def receive(self, values: np.ndarray, places: Sequence[str], known: Collection[str] = ()) -> int:
        """Bets on units ``(n, len(SIGNALS))`` of strata ``(n,)``, until a signal outside of ``known`` is an alarm.

        Returns how many units it took: at most `BLOCK`. A number that is unknown changes nothing.
        """
        values, own = values[:BLOCK], [self.strata.get(place, self.whole) for place in places[:BLOCK]]
        limits = np.array([each.limits for each in own])
        signed = _SIGN * values[:, SIGNAL_OF]
        is_known = ~np.isnan(signed) & ~np.isnan(limits)
        hit = is_known & (signed > limits)
        is_new = ~np.isin(SIGNAL_OF, [SIGNALS.index(signal) for signal in known])
        taken = self._bet(own, hit, is_known, is_new)
        beyond = np.where(is_known, hit, np.nan)
        self.recent = np.concatenate([self.recent, beyond[:taken]])[-RECENT:]
        self.values = np.concatenate([self.values, values[:taken]])[-RECENT:]
        self.units += taken
        return taken

    def _bet(self, own: Sequence[Bounds], hit: np.ndarray, is_known: np.ndarray, is_new: np.ndarray) -> int:
        """W(t) = (W(t - 1) + 1 / M) * step(t) for unit after unit, until a new event crosses the threshold."""
        loses, start = -STAKES[:, None], 1 / self.months_units
        for unit, bounds_of_unit in enumerate(own):
            gains = np.where(hit[unit], bounds_of_unit.growth, 0.0) + loses
            grown = (self.wealth + start) * (1 + gains)
            self.wealth = np.where(is_known[unit], np.minimum(grown, MOST_WEALTH), self.wealth)
            if (self.evidence()[is_new] >= self.threshold).any():
                return unit + 1
        return len(own)

    def evidence(self) -> np.ndarray:
        """The logarithm of the evidence for each of `EVENTS`: that of the level that has least of what it needs."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((self.wealth.mean(axis=1) / self.masses[:, None]).min(axis=0)))

    def strongest(self) -> list[tuple[float, int]]:
        """Log evidence and number of each signal's strongest event, the strongest first."""
        best: dict[int, tuple[float, int]] = {}
        for event, value in enumerate(self.evidence().tolist()):
            signal = int(SIGNAL_OF[event])
            best[signal] = max(best.get(signal, (-math.inf, 0)), (value, event))
        return sorted(best.values(), reverse=True)

    def alarming(self) -> list[tuple[float, int]]:
        """Those of `strongest` that are alarms: an accent, then the sound, and of it the number that moved farthest.

        Noise fills digital silence, hides pauses and lowers the modulation, all in the same streams: whose evidence is
        larger by a hair is luck.
        """
        found = [each for each in self.strongest() if each[0] >= self.threshold]
        if len(found) < 2:
            return found
        moved = self._moved(found[0][1])
        return sorted(
            found, key=lambda each: (not _is_accent(each[1]), not _is_sound(each[1]), -moved[SIGNAL_OF[each[1]]])
        )

    def named(self, event: int) -> int:
        """The event that tells what moved, beside one that is an alarm: the cause, where that is known.

        What a room does to the sound makes the model unsure, and which of the two is an alarm first is luck. So an
        alarm that is not of the sound is named by the number of the sound that moved farthest, if one has `CAUSE` of
        the evidence. An accent with that share names any alarm: no line and no noise moves it, and speakers with
        an accent have other microphones too.
        """
        wanted = CAUSE * self.threshold
        if accents := [each for value, each in self.strongest() if value >= wanted and _is_accent(each)]:
            return accents[0]
        sound = [each for value, each in self.strongest() if value >= wanted and _is_sound(each)]
        if _is_sound(event) or not sound:
            return event
        moved = self._moved(event)
        return max(sound, key=lambda each: moved[SIGNAL_OF[each]])

    def _moved(self, event: int) -> np.ndarray:
        """How far each number moved since this shift began, in the reference's deviations; 0 where unknown."""
        change = (medians(self.since(event)) - medians(self.reference)) / deviations(self.reference)
        return np.asarray(np.nan_to_num(np.abs(change)))

    def since(self, event: int) -> np.ndarray:
        """The values ``(n, len(SIGNALS))`` of the units since the shift began, as the bets on this event say."""
        return self.values[self._began(event) :]

    def _began(self, event: int) -> int:
        """Which of the remembered units is the first from which on a bet on the event gained most."""
        hits, granted = self.recent[:, event], self.whole.granted[-1, event]
        gains = np.where(hits == 1, math.log1p(0.5 * (1 / granted - 1)), np.where(hits == 0, math.log1p(-0.5), 0.0))
        before = np.concatenate([[0.0], np.cumsum(gains)])[: len(gains)]
        return min(int(before.argmin()), len(gains) - LEAST_SINCE) if len(gains) > LEAST_SINCE else 0

    def sentence(self, event: int) -> str:
        """A number that moved and its direction, as an alarm says it."""
        signal, side, share = EVENTS[event]
        seen = self.recent[self._began(event) :, event]
        seen = seen[~np.isnan(seen)]
        limit = _SIGN[event] * self.whole.limits[event]
        found = f"{np.mean(seen):.0%} of the last {len(seen)} streams" if len(seen) else "no stream"
        return f"{signal}: {found} are {side} {limit:.3g}, and {share:.0%} of the reference's"

    def kind(self, event: int) -> str:
        """Texts that move while the sound stands still are suspected to mean something new."""
        signal = EVENTS[event][0]
        if signal == MISSED_TERMS:
            return "concept suspected"
        sound = [value for value, other in self.strongest() if _is_sound(other)]
        is_still = max(sound, default=-math.inf) < 0
        return "concept suspected" if signal in GROUPS["text"] and is_still else "shift"


def _is_accent(event: int) -> bool:
    return EVENTS[event][0] in GROUPS["pronunciation"]


def _is_sound(event: int) -> bool:
    return EVENTS[event][0] in GROUPS["acoustic"]


def medians(values: np.ndarray) -> np.ndarray:
    """Of each column of ``(n, columns)``, without what is unknown."""
    return np.array([np.median(v[~np.isnan(v)]) if (~np.isnan(v)).any() else math.nan for v in values.T])


def deviations(values: np.ndarray) -> np.ndarray:
    """Half of the middle 68 % of each column, or the standard deviation where that is nothing; NaN where all values are
    the same."""
    scales = []
    for column in values.T:
        known = column[~np.isnan(column)]
        if not len(known):
            scales.append(math.nan)
            continue
        low, high = np.quantile(known, [0.16, 0.84])
        scale = float(high - low) / 2 or float(known.std())
        scales.append(scale or math.nan)
    return np.array(scales)


def detector_of(
    values: np.ndarray, places: Sequence[str], days: float, alpha: float, clients: Sequence[str] = ()
) -> Detector:
    """A detector that has seen nothing, for a reference's units ``(n, len(SIGNALS))`` of strata ``(n,)``.

    ``days``: in which they came. ``alpha``: the model's part of `ALPHA`. ``clients``: see `bounds`.
    """
    names = np.array(places)
    large = {place for place, count in Counter(places).items() if count >= LEAST_UNITS}
    part = alpha / 5 / (len(large) + 1)
    known = np.array(clients) if clients else np.arange(len(values)).astype(str)
    strata = {
        place: bounds(values[names == place], part, clients=known[names == place].tolist()) for place in sorted(large)
    }
    months_units = max(LEAST_UNITS_A_MONTH, round(30 * len(values) / max(1.0, days)))
    masses = np.minimum(1.0, (len(large) + 1) * _ratio(part) ** np.arange(LEVELS))
    return Detector(bounds(values, part, clients=clients), strata, months_units, values, masses, 0.8 * alpha)
