"""Bootstrap intervals: how far a number would move if other people had been recorded.

Bisani and Ney 2004 ("Bootstrap estimates for confidence intervals in ASR performance evaluation") resample utterances.
Errors of one speaker are alike, so whole speakers are resampled where speakers are known. Each data set is resampled
separately: its size was chosen, not drawn. Two systems on the same recordings are compared on the same resamples (the
paper's section 4), which removes the difficulty that both share.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 1000
SEED = 2004
"""Fixed, so that the same traces give the same interval to the last digit."""

MAX_CELLS = 2_000_000
"""Size of the largest table of resampled values: 16 MB."""

MIN_SPEAKERS = 10
"""With fewer, utterances are resampled: so few speakers are no sample of people. A report says which it was."""


@dataclass(frozen=True, slots=True)
class Units:
    """What is resampled: speakers or utterances.

    Attributes:
        index: The unit of each row ``(rows,)``; a row is an utterance or a segment of one.
        strata: The data set of each unit ``(units,)``.
        note: The units in words, for readers.
    """

    index: np.ndarray
    strata: np.ndarray
    note: str

    @property
    def count(self) -> int:
        """The number of units to resample."""
        return len(self.strata)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its interval; ``low`` and ``high`` are None where there is too little to resample."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Left minus right on the same recordings; all but ``value`` are None where there is too little to resample.

    Attributes:
        value: The difference; None where either side is unknown.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p: Two-sided p-value from the resamples.
        error: Standard error.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    error: float | None = None

    @property
    def excludes_zero(self) -> bool:
        """True where zero lies outside the interval: the difference is beyond chance."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def units_of(datasets: Sequence[str], speakers: Sequence[str], utterances: Sequence[str]) -> Units:
    """The units of rows given by data set, speaker and utterance ``(rows,)`` each.

    Units are the speakers of a data set; its utterances where it has fewer than `MIN_SPEAKERS` or a speaker is unknown.
    A set under conditions ("set+noise@10dB") has the same people and recordings again: it belongs to the original set.
    """
    bases = [dataset.split("+")[0] for dataset in datasets]
    keys: list[tuple[str, str]] = list(zip(bases, utterances, strict=True))
    notes: list[str] = []
    for base in dict.fromkeys(bases):
        mine = [i for i, name in enumerate(bases) if name == base]
        names = {speakers[i] for i in mine}
        by_speaker = "" not in names and len(names) >= MIN_SPEAKERS
        for i in mine if by_speaker else ():
            keys[i] = (base, speakers[i])
        notes.append(_note(base, len({keys[i] for i in mine}), names, by_speaker))
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    strata = np.array([base for base, _ in places])
    return Units(np.array([places[key] for key in keys], dtype=int), strata, "; ".join(notes))


def draw(units: Units, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """How often each resample contains each unit ``(resamples, units)``. Each set keeps its number of units."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros((resamples, units.count))
    for name in dict.fromkeys(units.strata.tolist()):
        mine = np.flatnonzero(units.strata == name)
        drawn[:, mine] = rng.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=resamples)
    return drawn


class Ratio:
    """A sum over a sum: error rates, costs, means. ``above`` and ``below`` are ``(rows,)`` each."""

    def __init__(self, above: Sequence[float], below: Sequence[float], units: Units) -> None:
        self._above = np.bincount(units.index, np.asarray(above, float), units.count)
        self._below = np.bincount(units.index, np.asarray(below, float), units.count)

    def value(self) -> float | None:
        """The ratio; None where the denominator is zero."""
        return float(self._above.sum() / self._below.sum()) if self._below.sum() else None

    def resampled(self, drawn: np.ndarray) -> np.ndarray:
        """The ratio in each resample ``(resamples,)``; NaN where the denominator is zero."""
        above, below = drawn @ self._above, drawn @ self._below
        ratios: np.ndarray = np.divide(above, below, out=np.full(len(drawn), np.nan), where=below > 0)
        return ratios


class Percentile:
    """A percentile of values pooled over rows, such as delays of words; ``owners`` is the row of each value."""

    def __init__(self, values: Sequence[float], owners: Sequence[int], q: float, units: Units) -> None:
        order = np.argsort(np.asarray(values, float), kind="stable")
        self._values = np.asarray(values, float)[order]
        self._units = units.index[np.asarray(owners, int)[order]] if len(values) else np.zeros(0, int)
        self._share = q / 100

    def value(self) -> float | None:
        """Linear interpolation between closest ranks (Hyndman and Fan 1996, definition 7)."""
        return float(np.percentile(self._values, 100 * self._share)) if len(self._values) else None

    def resampled(self, drawn: np.ndarray) -> np.ndarray:
        """The percentile in each resample ``(resamples,)``; NaN where no value was drawn."""
        if not len(self._values):
            return np.full(len(drawn), np.nan)
        rows = max(1, MAX_CELLS // len(self._values))
        return np.concatenate([self._of(drawn[at : at + rows]) for at in range(0, len(drawn), rows)])

    def _of(self, drawn: np.ndarray) -> np.ndarray:
        reached = np.cumsum(drawn[:, self._units], axis=1)  # (resamples, values): values up to and including each
        place = (reached[:, -1] - 1) * self._share
        below, above = ((reached <= whole(place)[:, None]).sum(axis=1) for whole in (np.floor, np.ceil))
        values = np.append(self._values, np.nan)  # index beyond the last where nothing was drawn
        low, high = values[below], values[above]
        percentiles: np.ndarray = low + (high - low) * (place - np.floor(place))
        return np.where(reached[:, -1] > 0, percentiles, np.nan)


Statistic = Ratio | Percentile


def interval(statistic: Statistic, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """The value and its percentile interval; ``drawn`` is ``(resamples, units)``."""
    spread = statistic.resampled(drawn)
    return Interval(statistic.value(), *_bounds(spread, level))


def difference(left: Statistic, right: Statistic, drawn: np.ndarray, level: float = LEVEL) -> Difference:
    """Left minus right, paired: both on the same resamples ``(resamples, units)``."""
    values = (left.value(), right.value())
    if values[0] is None or values[1] is None:
        return Difference(None)
    spread = left.resampled(drawn) - right.resampled(drawn)
    low, high = _bounds(spread, level)
    valid = spread[~np.isnan(spread)]
    if low is None:
        return Difference(values[0] - values[1])
    return Difference(values[0] - values[1], low, high, _p_value(valid), float(valid.std(ddof=1)))


def quotient(left: Statistic, right: Statistic, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """Left over right, paired: both on the same resamples ``(resamples, units)``."""
    above, below = left.value(), right.value()
    if above is None or not below:
        return Interval(None)
    under = right.resampled(drawn)
    spread = np.divide(left.resampled(drawn), under, out=np.full(len(drawn), np.nan), where=under != 0)
    return Interval(above / below, *_bounds(spread, level))


def _p_value(spread: np.ndarray) -> float:
    """Twice the share of resamples on the rarer side of zero, plus one so that it is never 0 (Davison and Hinkley 1997,
    section 4.2)."""
    rarer = min(int((spread <= 0).sum()), int((spread >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(spread) + 1))


def _bounds(spread: np.ndarray, level: float) -> tuple[float | None, float | None]:
    """The interval's ends; None where more than half of the resamples have no value."""
    valid = spread[~np.isnan(spread)]
    if len(valid) < len(spread) / 2 or not len(valid):
        return None, None
    low, high = np.percentile(valid, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _note(dataset: str, utterances: int, speakers: set[str], by_speaker: bool) -> str:
    if by_speaker:
        return f"{dataset}: {len(speakers)} speakers"
    named = len(speakers - {""})
    why = "speakers unknown" if "" in speakers else f"only {named} speaker{'' if named == 1 else 's'}"
    return f"{dataset}: {utterances} utterance{'' if utterances == 1 else 's'} ({why})"
