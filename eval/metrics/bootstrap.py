"""Intervals by resampling speakers: how far a figure would move if other people had been recorded.

Bisani and Ney 2004 ("Bootstrap estimates for confidence intervals in ASR performance evaluation") resample utterances;
utterances of one speaker err alike, so the speaker is resampled whole where speakers are known. Each data set is
resampled by itself: how much of each there is was chosen, not drawn. Two systems on the same recordings are compared on
the same resamples (the paper's section 4), which leaves out what both find hard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.95
RESAMPLES = 1000
SEED = 2004
"""Fixed, so that the same traces give the same interval to the last digit."""

CELLS = 2_000_000
"""Of the largest table that is made at once: 16 MB."""

MIN_SPEAKERS = 10
"""With fewer, resampled speakers say less than resampled utterances do; a report says which was done."""


@dataclass(frozen=True, slots=True)
class Units:
    """What is resampled: ``index`` is the unit of each utterance ``(n,)``, ``strata`` the data set of each unit
    ``(u,)``, ``note`` says it in words.
    """

    index: np.ndarray
    strata: np.ndarray
    note: str

    @property
    def count(self) -> int:
        return len(self.strata)


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it may lie; ``low`` and ``high`` are None where there is too little to resample."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Left minus right on the same recordings.

    ``p``: two-sided, from the resamples. ``error``: standard error. All None where there is too little to resample.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    error: float | None = None

    @property
    def clear(self) -> bool:
        """The interval leaves out zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def units_of(datasets: Sequence[str], speakers: Sequence[str], utterances: Sequence[str]) -> Units:
    """Speakers within each data set; utterances where a set tells fewer than `MIN_SPEAKERS`, or not of each one.

    A set under conditions ("set+noise@10dB") is the same people and recordings again: it belongs to its set.
    """
    bases = [dataset.split("+")[0] for dataset in datasets]
    keys: list[tuple[str, str]] = list(zip(bases, utterances, strict=True))
    notes: list[str] = []
    for base in dict.fromkeys(bases):
        mine = [i for i, name in enumerate(bases) if name == base]
        known = {speakers[i] for i in mine}
        by_speaker = "" not in known and len(known) >= MIN_SPEAKERS
        for i in mine if by_speaker else ():
            keys[i] = (base, speakers[i])
        notes.append(_note(base, len({keys[i] for i in mine}), known, by_speaker))
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    strata = np.array([base for base, _ in places])
    return Units(np.array([places[key] for key in keys], dtype=int), strata, "; ".join(notes))


def weights(units: Units, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """How often each unit is in each resample: ``(resamples, units)``; of each set as many as it has."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros((resamples, units.count))
    for name in dict.fromkeys(units.strata.tolist()):
        mine = np.flatnonzero(units.strata == name)
        drawn[:, mine] = rng.multinomial(len(mine), np.full(len(mine), 1 / len(mine)), size=resamples)
    return drawn


class Ratio:
    """Sums over sums: error rates, costs, means. ``above`` and ``below`` are ``(n,)``, one of each utterance."""

    def __init__(self, above: Sequence[float], below: Sequence[float], units: Units) -> None:
        self._above = np.bincount(units.index, np.asarray(above, float), units.count)
        self._below = np.bincount(units.index, np.asarray(below, float), units.count)

    def once(self) -> float | None:
        """The figure itself; None where there is nothing to divide by."""
        return float(self._above.sum() / self._below.sum()) if self._below.sum() else None

    def resampled(self, drawn: np.ndarray) -> np.ndarray:
        """The figure in each resample ``(resamples,)``; NaN where there was nothing to divide by."""
        above, below = drawn @ self._above, drawn @ self._below
        figures: np.ndarray = np.divide(above, below, out=np.full(len(drawn), np.nan), where=below > 0)
        return figures


class Percentile:
    """A percentile of values pooled over utterances (delays of words); ``owners`` is the utterance of each value."""

    def __init__(self, values: Sequence[float], owners: Sequence[int], q: float, units: Units) -> None:
        order = np.argsort(np.asarray(values, float), kind="stable")
        self._values = np.asarray(values, float)[order]
        self._units = units.index[np.asarray(owners, int)[order]] if len(values) else np.zeros(0, int)
        self._share = q / 100

    def once(self) -> float | None:
        """Linear interpolation between closest ranks (Hyndman and Fan 1996, definition 7)."""
        return float(np.percentile(self._values, 100 * self._share)) if len(self._values) else None

    def resampled(self, drawn: np.ndarray) -> np.ndarray:
        """The same of the values as often as each was drawn."""
        if not len(self._values):
            return np.full(len(drawn), np.nan)
        rows = max(1, CELLS // len(self._values))
        return np.concatenate([self._of(drawn[at : at + rows]) for at in range(0, len(drawn), rows)])

    def _of(self, drawn: np.ndarray) -> np.ndarray:
        reached = np.cumsum(drawn[:, self._units], axis=1)  # (rows, values): how many values there are up to each
        place = (reached[:, -1] - 1) * self._share
        below, above = ((reached <= whole(place)[:, None]).sum(axis=1) for whole in (np.floor, np.ceil))
        values = np.append(self._values, np.nan)  # nothing was drawn: beyond the last
        low, high = values[below], values[above]
        found: np.ndarray = low + (high - low) * (place - np.floor(place))
        return np.where(reached[:, -1] > 0, found, np.nan)


Figure = Ratio | Percentile


def interval(figure: Figure, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """The figure and its percentile interval."""
    spread = figure.resampled(drawn)
    return Interval(figure.once(), *_bounds(spread, level))


def difference(left: Figure, right: Figure, drawn: np.ndarray, level: float = LEVEL) -> Difference:
    """Paired: both figures of the same resamples."""
    values = (left.once(), right.once())
    if values[0] is None or values[1] is None:
        return Difference(None)
    spread = left.resampled(drawn) - right.resampled(drawn)
    low, high = _bounds(spread, level)
    known = spread[~np.isnan(spread)]
    if low is None:
        return Difference(values[0] - values[1])
    return Difference(values[0] - values[1], low, high, _p_value(known), float(known.std(ddof=1)))


def quotient(left: Figure, right: Figure, drawn: np.ndarray, level: float = LEVEL) -> Interval:
    """Paired: left over right (how many times the cost)."""
    above, below = left.once(), right.once()
    if above is None or not below:
        return Interval(None)
    under = right.resampled(drawn)
    spread = np.divide(left.resampled(drawn), under, out=np.full(len(drawn), np.nan), where=under != 0)
    return Interval(above / below, *_bounds(spread, level))


def _p_value(spread: np.ndarray) -> float:
    """Twice the share of resamples on the rarer side of zero; one is added, so that it is never nought
    (Davison and Hinkley 1997, section 4.2)."""
    rarer = min(int((spread <= 0).sum()), int((spread >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(spread) + 1))


def _bounds(spread: np.ndarray, level: float) -> tuple[float | None, float | None]:
    """None where half of the resamples say nothing; a spread of nought is one unit drawn again and again."""
    known = spread[~np.isnan(spread)]
    if len(known) < len(spread) / 2 or not len(known):
        return None, None
    low, high = np.percentile(known, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _note(dataset: str, utterances: int, known: set[str], by_speaker: bool) -> str:
    if by_speaker:
        return f"{dataset}: {len(known)} speakers"
    told = len(known - {""})
    why = "speakers not told" if "" in known else f"only {told} speaker{'' if told == 1 else 's'}"
    return f"{dataset}: {utterances} utterance{'' if utterances == 1 else 's'} ({why})"
