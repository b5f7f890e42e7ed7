"""Intervals and tests from half-samples of speakers: how far a number would move if other people had been recorded.

Errors of one speaker are alike, so whole speakers are the units; a recording whose speaker is unknown is a unit by
itself. The units are split at random into a half and its complement, and the figure is computed on both. Hartigan
(1969, "Using subsample values as typical values") proved for sums over units with symmetric errors: half and complement
enclose a value with the probability that a random sign-flip is as extreme as the data. So the share of splits whose two
figures enclose zero *is* the p-value of the sign-flip test on speakers (exact where all splits are enumerated), and the
interval holds exactly the values which that test does not reject. Unlike the bootstrap's percentiles, it holds its
level with few speakers and with speakers of very unequal size. It takes errors as symmetric, which loops are not, so
p is multiplied by `caution`, and a difference in errors must be larger than a loop that the sample may lack
(`loop_allowance`). What too few speakers cannot show comes from models (`eval.metrics.few_speakers`).

A recording without a speaker's name is a unit by itself, but it may be of a voice that others have too. So the same is
computed without such recordings, and the wider interval counts.

Two systems on the same recordings are compared on the same splits, which removes the difficulty that both share.
Simulations with a known truth: `asr bench verdicts`, docs/log/evaluation.md.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from scipy import special

from eval.metrics.few_speakers import highest_order_end, log_normal_ends, rare_arm

ALPHA = 0.05
CAUTION = (1.5, 3.0)
"""The p of a comparison is the share of splits times `caution`, which is between these. Real differences are skewed:
where one of two equal systems loops, the bare test calls them different in 6 to 12 %, most often where the sample has
no loop by chance. Few speakers show only large differences: 1.5 is enough for them, and six must suffice
(1.5 * 2 / 2 ** 6 is less than 0.05)."""
ERRORS_CAUTION = 2.0
"""The most of it for rates of errors, where `loop_allowance` does the rest."""
UNITS_A_CAUTION = 10
"""Units for each 1.0 of it: 1.5 up to 15 units, 2 from 20 on, 3 from 30 on."""
LOOP_WORDS = 12
"""Words of a loop that the better system may have been spared by chance: 12 hold the level where loops have 30."""
LOOP_UNITS = (12, 30)
"""Up to so many units there is no such allowance; from the second number on it is whole."""
MIN_NAMED = 6
"""So many named speakers of a data set give an interval without the recordings whose speaker is unknown."""
SPLITS = 19_999
"""For comparisons of sums. Holm divides alpha by the number of comparisons: with fifty of them, twenty splits are still
beyond what is left of it. All splits are enumerated where there are no more."""
PERCENTILE_SPLITS = 1_999
"""For comparisons of percentiles: each split needs a pass over all values."""
INTERVAL_SPLITS = 999
"""For the interval of one system, which is corrected for nothing."""
SEED = 2004
"""Fixed, so that the same traces give the same interval to the last digit."""
MAX_CELLS = 20_000_000
"""Size of the largest table of splits: 20 MB."""
BLOCK_CELLS = 2_000_000
BLOCK_SAMPLES = 100
"""Columns of one product of splits and samples: with `BLOCK_CELLS` it stays in the processor's cache."""

HIGH_ALPHA = 0.04
"""For the upper end of an error rate: loops make it too low more often than too high. With 0.05, 93.1 % of 1,000
intervals held the truth where a system loops in 2 % of 100 x 2 recordings, with this 93.6 %; they are 3 % wider."""
TAIL_ALPHA = 0.01
"""For the upper end of percentiles above `TAIL`. Ten speakers seldom include the slowest one in twenty: the 95th
percentile of such a sample is too low more often than too high, and half-samples cannot show it."""
MODEL_TAIL = 0.004
"""Chance above the modelled upper end of such a percentile. Delays of speakers have longer tails than log-normal ones:
with 0.025 ten speakers of en-accented hold the p95 of the final delay in 82 %, with this in 95 %."""
TAIL = 0.75


@dataclass(frozen=True, slots=True)
class Units:
    """What is resampled: speakers, and recordings whose speaker is unknown.

    Attributes:
        index: The unit of each row ``(rows,)``; a row is an utterance or a segment of one.
        strata: The data set of each unit ``(units,)``.
        nameless: True for units that are recordings of an unknown speaker ``(units,)``; empty where none is.
        note: The units in words, for readers.
    """

    index: np.ndarray
    strata: np.ndarray
    nameless: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    note: str = ""

    @property
    def count(self) -> int:
        """The number of units to resample."""
        return len(self.strata)

    @property
    def unknown(self) -> int:
        """Number of units that are recordings of an unknown speaker."""
        return int(self.nameless.sum())

    @property
    def taken_as_speakers(self) -> int:
        """Number of recordings of unknown speakers that count as if each were of another speaker."""
        return (
            self.unknown if self.of_known_speakers is None else self.unknown - self.count + len(self.of_known_speakers)
        )

    @property
    def of_known_speakers(self) -> np.ndarray | None:
        """The units without recordings of unknown speakers; None where there are none, or nothing to go by.

        A data set with fewer than `MIN_NAMED` named speakers keeps all of its units.
        """
        if not self.unknown:
            return None
        named = Counter(self.strata[~self.nameless].tolist())
        keeps = np.array([named[name] < MIN_NAMED for name in self.strata.tolist()])
        kept = np.flatnonzero(~self.nameless | keeps)
        return kept if len(kept) < self.count else None


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its interval; ``low`` and ``high`` are None where there is too little to resample."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def excludes(self, value: float) -> bool:
        """True where there is an interval and the value lies outside."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """Left minus right on the same recordings; all but ``value`` are None where there is too little to resample.

    Attributes:
        value: The difference; None where either side is unknown.
        low: Lower end of the interval.
        high: Upper end of the interval.
        p: Two-sided p-value of the same splits: at most alpha exactly where the interval excludes zero.
        error: Standard error.
        tied: True where half-samples show no difference at all. There is no interval then: how small a true difference
            this data could show is unknown.
    """

    p: float | None = None
    error: float | None = None
    tied: bool = False

    @property
    def excludes_zero(self) -> bool:
        """True where zero lies outside the interval: the difference is beyond chance."""
        return self.excludes(0)


def units_of(datasets: Sequence[str], speakers: Sequence[str], utterances: Sequence[str]) -> Units:
    """The units of rows given by data set, speaker ("" where unknown) and utterance ``(rows,)`` each.

    A set under conditions ("set+noise@10dB") has the same people and recordings again: it belongs to the original set.
    """
    bases = [dataset.split("+")[0] for dataset in datasets]
    keys = [
        (base, speaker, "" if speaker else utterance)
        for base, speaker, utterance in zip(bases, speakers, utterances, strict=True)
    ]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    notes = [_note(base, [key for key in places if key[0] == base]) for base in dict.fromkeys(bases)]
    return Units(
        index=np.array([places[key] for key in keys], dtype=int),
        strata=np.array([base for base, *_ in places]),
        nameless=np.array([not speaker for _, speaker, _ in places], dtype=bool),
        note="; ".join(notes),
    )


def caution(units: int, *, of_errors: bool = False) -> float:
    """By what the share of splits is multiplied, for this many units; ``of_errors``: there is a `loop_allowance`."""
    least, most = CAUTION
    return float(np.clip(units / UNITS_A_CAUTION, least, ERRORS_CAUTION if of_errors else most))


def loop_allowance(units: int) -> float:
    """Words of a loop by which a difference in errors must be larger, for this many units."""
    least, whole = LOOP_UNITS
    return LOOP_WORDS * float(np.clip((units - least) / (whole - least), 0, 1))


def splits(units: int, wanted: int) -> np.ndarray:
    """Halves of the units ``(splits, units)``, True for the members; the first half is empty: the data as it is.

    All ``2 ** (units - 1)`` splits where that is at most ``wanted``; else ``wanted`` at random, the empty one included.
    """
    if units <= 1 or 2 ** (units - 1) <= wanted:
        return _all_splits(units)
    return _random_splits(units, min(wanted, max(INTERVAL_SPLITS, MAX_CELLS // units)))


class Ratio:
    """A sum over a sum: error rates, costs, means. ``above`` and ``below`` are ``(rows,)`` each.

    ``loops``: one recording may add a loop to the numerator, which counts words or characters.
    """

    def __init__(self, above: Sequence[float], below: Sequence[float], units: Units, *, loops: bool = False) -> None:
        self.loops = loops
        self._above = np.bincount(units.index, np.asarray(above, float), units.count)
        self._below = np.bincount(units.index, np.asarray(below, float), units.count)
        self.units = units

    def value(self) -> float | None:
        """The ratio; None where the denominator is zero."""
        return float(self._above.sum() / self._below.sum()) if self._below.sum() else None

    def split(self, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """The ratio in each half and in its complement ``(splits,)``; NaN where nothing is in it."""
        return self._rates(self._sums_of_halves(wanted), 0.0)

    def tested_ends(self, wanted: int) -> tuple[np.ndarray, np.ndarray, float]:
        """What half and complement enclose, with a loop that would undo the difference, and the standard error.

        The lower ends ``(splits,)`` are with a loop of the right side, the upper ends with one of the left side.
        """
        sums = self._sums_of_halves(wanted)
        loop = loop_allowance(self.units.count) if self.loops and self._above.any() else 0.0
        lows, highs = (_enclosed(*self._rates(sums, words)) for words in (-loop, loop))
        return lows[0], highs[1], _error(*self._rates(sums, 0.0))

    def _sums_of_halves(self, wanted: int) -> np.ndarray:
        """Numerator and denominator of each half ``(2, splits)``."""
        sums = np.stack([self._above, self._below], axis=1).astype(np.float32)  # whole numbers stay exact to 16 million
        return np.concatenate([block @ sums for block in _weights(self.units.count, wanted)]).astype(float).T

    def _rates(self, sums: np.ndarray, loop: float) -> tuple[np.ndarray, np.ndarray]:
        """The ratio in each half and in its complement; ``loop`` is added to the numerator of one of them at random."""
        above, below = sums
        mine = loop * _loop_is_in_half(len(above))
        with np.errstate(divide="ignore", invalid="ignore"):
            half = (above + mine) / below
            return half, (self._above.sum() - above + loop - mine) / (self._below.sum() - below)

    def minus(self, other: "Ratio") -> "Ratio | None":
        """The difference as one ratio, where both have the same denominators: it stays exact where a half has none."""
        if not np.array_equal(self._below, other._below):
            return None
        one_row_each = replace(self.units, index=np.arange(self.units.count))
        return Ratio((self._above - other._above).tolist(), self._below.tolist(), one_row_each, loops=self.loops)

    @property
    def is_positive(self) -> bool:
        """True where no sample can have a value below zero."""
        return bool((self._above >= 0).all())

    @property
    def flip_error(self) -> float:
        """The standard deviation of the ratio if each unit's sign were drawn by lot: what sign-flips compare it with.

        Unlike the error of `Difference`, which is robust, a single wild unit counts in full.
        """
        count, whole = self.units.count, float(self._below.sum())
        return float(np.sqrt(count / (count - 1) * (self._above**2).sum())) / whole if count > 1 and whole else 0.0

    @property
    def rare_arm(self) -> float:
        """`eval.metrics.few_speakers.rare_arm` of the numerators, as a ratio."""
        return rare_arm(self._above) / float(self._below.sum())

    @property
    def loop_arm(self) -> float:
        """The loop that this sample may lack (`loop_allowance`), as a ratio."""
        return loop_allowance(self.units.count) / float(self._below.sum()) if self.loops else 0.0

    @property
    def above(self) -> np.ndarray:
        """The numerator of each unit ``(units,)``."""
        return self._above

    def of_units(self, picked: np.ndarray) -> "Ratio":
        """The ratio over these units ``(picked,)``, each as often as it is named."""
        units = _as_units(self.units, picked)
        return Ratio(self._above[picked].tolist(), self._below[picked].tolist(), units, loops=self.loops)

    def centred(self) -> "Ratio":
        """The same ratio without what differs between data sets: their sizes were chosen, not drawn.

        A set's own rate follows its few speakers, so what is left of them is made larger: by n / (n - 1) of the
        variance, and by Student's t for what all sets leave, as far as both are more than for a single set. The only
        speaker of a set leaves nothing; it counts as far from its set's rate as the others are from theirs, as a share
        of the rate: speakers of a harder set lie further apart.
        """
        value, count = self.value(), self.units.count
        names, place, sizes = np.unique(self.units.strata, return_inverse=True, return_counts=True)
        freedom = count - len(names)
        if value is None or len(names) < 2 or not freedom:
            return self
        above, below = (np.bincount(place, sums) for sums in (self._above, self._below))
        own = np.divide(above, below, out=np.zeros(len(names)), where=below > 0)
        larger = special.stdtrit(freedom, 1 - ALPHA / 2) / special.stdtrit(count - 1, 1 - ALPHA / 2)
        larger = larger * np.sqrt((1 - 1 / count) / np.where(sizes > 1, 1 - 1 / sizes, 1))
        rest = larger[place] * (self._above - own[place] * self._below)
        expected = np.where(own > 0, own, value)[place] * self._below
        alone = (sizes == 1)[place] & (self._below > 0)
        spread = np.sqrt((rest[~alone] ** 2).sum() / max(1e-9, (expected[~alone] ** 2).sum()))
        rest[alone] = special.stdtrit(freedom, 1 - ALPHA / 2) * spread * expected[alone]
        rest[~alone] -= rest[alone].sum() / max(1e-9, self._below[~alone].sum()) * self._below[~alone]
        one_row_each = replace(self.units, index=np.arange(count))
        return Ratio((value * self._below + rest).tolist(), self._below.tolist(), one_row_each)


class Percentile:
    """A percentile of values pooled over rows, such as delays of words; ``owners`` is the row of each value."""

    def __init__(self, values: Sequence[float], owners: Sequence[int], q: float, units: Units) -> None:
        order = np.argsort(np.asarray(values, float), kind="stable")
        self._values = np.asarray(values, float)[order]
        self._units = units.index[np.asarray(owners, int)[order]] if len(values) else np.zeros(0, int)
        self.share = q / 100
        self.units = units

    @property
    def is_positive(self) -> bool:
        """True where no sample can have a value below zero."""
        return bool((self._values >= 0).all())

    def value(self) -> float | None:
        """Linear interpolation between closest ranks (Hyndman and Fan 1996, definition 7)."""
        return float(np.percentile(self._values, 100 * self.share)) if len(self._values) else None

    def of_units(self, picked: np.ndarray) -> "Percentile":
        """The percentile over these units ``(picked,)``, each as often as it is named."""
        values = [self._values[self._units == unit] for unit in picked]
        owners = np.repeat(np.arange(len(picked)), [len(mine) for mine in values])
        pooled = np.concatenate([np.zeros(0), *values])
        return Percentile(pooled.tolist(), owners.tolist(), 100 * self.share, _as_units(self.units, picked))

    @property
    def modelled_ends(self) -> tuple[float, float]:
        """The interval if logarithms are normal; in the tail also as the ranks of the values have it."""
        if self.share <= TAIL:
            return log_normal_ends(self._values, self._units, self.share)
        low, high = log_normal_ends(self._values, self._units, self.share, MODEL_TAIL)
        return low, max(high, highest_order_end(self._values, self.units.count, self.share))

    def split(self, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """The percentile in each half and in its complement ``(splits,)``; NaN where no value is in it."""
        halves = splits(self.units.count, wanted)
        if not len(self._values):
            return (np.full(len(halves), np.nan),) * 2
        table = self._cells()
        in_half = np.concatenate([block @ table for block in _weights(self.units.count, wanted)])
        return self._of(halves, in_half), self._of(~halves, table.sum(axis=0) - in_half)

    def _cells(self) -> np.ndarray:
        """How many of each unit's values are in the first cell, in the first two ... ``(units, cells)``.

        A cell is a run of `_cell_length` values in order; whole numbers stay exact to 16 million.
        """
        count = -(-len(self._values) // self._cell_length)
        cell = np.arange(len(self._values)) // self._cell_length
        numbers = np.bincount(self._units * count + cell, minlength=self.units.count * count)
        cells: np.ndarray = numbers.reshape(self.units.count, count).cumsum(axis=1).astype(np.float32)
        return cells

    @property
    def _cell_length(self) -> int:
        return math.isqrt(len(self._values)) + 1

    def _of(self, members: np.ndarray, reached: np.ndarray) -> np.ndarray:
        """The percentile of the units that are ``members`` ``(splits, units)``; ``reached`` is theirs of `_cells`."""
        place = (reached[:, -1].astype(float) - 1) * self.share
        low, high = (self._ranked(members, reached, whole(place)) for whole in (np.floor, np.ceil))
        percentiles: np.ndarray = low + (high - low) * (place - np.floor(place))
        return np.where(reached[:, -1] > 0, percentiles, np.nan)

    def _ranked(self, members: np.ndarray, reached: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """The value of each split's members that has this rank, from 0; NaN where there are fewer.

        Only the cell that it lies in is searched: nearly all splits have it in a few cells.
        """
        cells = (reached <= rank[:, None]).sum(axis=1)
        before = np.where(cells > 0, reached[np.arange(len(cells)), cells - 1], 0)
        found = np.full(len(cells), np.nan)
        for cell in np.unique(cells[cells < reached.shape[1]]):
            mine = np.flatnonzero(cells == cell)
            start = cell * self._cell_length
            units = self._units[start : start + self._cell_length]
            passed = members[np.ix_(mine, units)].cumsum(axis=1) <= (rank - before)[mine, None]
            found[mine] = self._values[start + passed.sum(axis=1)]
        return found


Statistic = Ratio | Percentile


def interval(statistic: Statistic) -> Interval:
    """The value of one system and its interval.

    Errors and delays of speakers are skewed to the right, so that an interval of equal arms is missed above four times
    as often as below. The upper arm is lengthened as if the interval were of the logarithm, to second order. Where a
    model of few speakers asks for more, its ends count. There is no interval where nothing differs between units.
    """
    whole, known = _interval(statistic), statistic.units.of_known_speakers
    if known is None or whole.value is None or whole.low is None or whole.high is None:
        return whole
    named = _interval(statistic.of_units(known))
    if named.value is None or named.low is None or named.high is None:
        return whole
    low = min(whole.low, whole.value - (named.value - named.low))
    low = max(low, 0.0) if statistic.is_positive else low
    return Interval(whole.value, low, max(whole.high, whole.value + named.high - named.value))


def _interval(statistic: Statistic) -> Interval:
    """The same, of all units alike."""
    value = statistic.value()
    if value is None:
        return Interval(None)
    drawn = statistic.centred() if isinstance(statistic, Ratio) else statistic
    is_tail = isinstance(statistic, Percentile) and statistic.share > TAIL
    loops = isinstance(statistic, Ratio) and statistic.loops
    lows, highs = _enclosed(*drawn.split(INTERVAL_SPLITS))
    low, high = _low_end(lows, ALPHA), _high_end(highs, TAIL_ALPHA if is_tail else HIGH_ALPHA if loops else ALPHA)
    if low is None or high is None:
        return Interval(value)
    high += (high - value) ** 2 / (2 * value) if value > 0 and high > value else 0.0
    low, high = _with_model(statistic, value, low, high)
    low = max(low, 0.0) if statistic.is_positive else low
    return Interval(value, min(low, value), max(high, value)) if high > low else Interval(value)


def difference(left: Statistic, right: Statistic, comparisons: float = 1) -> Difference:
    """Left minus right, paired, with a 95 % interval that is corrected for this number of comparisons."""
    return _with_slower_speakers(_without_unknown_speakers(_difference, left, right, comparisons), left, right)


def _difference(left: Statistic, right: Statistic, comparisons: float, centre: float | None = None) -> Difference:
    """The same, of all units alike; the interval is moved to be around ``centre``."""
    values = (left.value(), right.value())
    if values[0] is None or values[1] is None:
        return Difference(None)
    value, units = values[0] - values[1], left.units.count
    change = left.minus(right) if isinstance(left, Ratio) and isinstance(right, Ratio) else None
    if change is not None:
        factor = caution(units, of_errors=change.loops)
        return _tested(value, change.tested_ends(SPLITS), 0.0, comparisons, factor, change.rare_arm, centre)
    halves, rests = _split_both(left, right)
    with np.errstate(invalid="ignore"):  # infinite on both sides where a half has no denominator
        sides = halves[0] - halves[1], rests[0] - rests[1]
    return _tested(value, (*_enclosed(*sides), _error(*sides)), 0.0, comparisons, caution(units), centre=centre)


def p_values(changes: np.ndarray, wanted: int = SPLITS) -> np.ndarray:
    """The p of `difference` for many samples at once ``(samples,)``, where both systems have the same denominators.

    ``changes`` is what each unit adds to the difference of the numerators ``(samples, units)``, in whole numbers of
    words or characters; ``wanted`` is the number of splits.
    """
    samples, units = changes.shape
    same_sign = np.ascontiguousarray((changes * np.sign(changes.sum(axis=1, keepdims=True))).T, dtype=np.float32)
    loop = np.where(same_sign.any(axis=0), loop_allowance(units), 0.0)
    total, enclosed, count = same_sign.sum(axis=0) - loop, np.zeros(samples), 0
    blocks = _weights(units, wanted)
    in_half = _loop_is_in_half(sum(map(len, blocks)))
    for block in blocks:
        for at in range(0, samples, BLOCK_SAMPLES):
            some = slice(at, at + BLOCK_SAMPLES)
            halves = block @ same_sign[:, some] - in_half[count : count + len(block), None] * loop[some]
            enclosed[some] += ((halves <= 0) | (halves >= total[some])).sum(axis=0)
        count += len(block)
    return np.minimum(1.0, caution(units, of_errors=True) * enclosed / count)


def quotient(left: Statistic, right: Statistic, comparisons: float = 1) -> Difference:
    """Left over right, paired, as `difference`; ``p`` is of the hypothesis that it is one."""
    return _without_unknown_speakers(_quotient, left, right, comparisons)


def _quotient(left: Statistic, right: Statistic, comparisons: float, centre: float | None = None) -> Difference:
    """The same, of all units alike; the interval is moved to be around ``centre``."""
    above, below = left.value(), right.value()
    if above is None or not below:
        return Difference(None)
    halves, rests = _split_both(left, right)
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = halves[0] / halves[1], rests[0] / rests[1]
    ends = (*_enclosed(*sides), _error(*sides))
    return _tested(above / below, ends, 1.0, comparisons, caution(left.units.count), centre=centre)


def _without_unknown_speakers(
    test: Callable[..., Difference], left: Statistic, right: Statistic, comparisons: float
) -> Difference:
    """The test of all units and that without recordings of unknown speakers, which may be of one voice: the wider."""
    whole, known = test(left, right, comparisons), left.units.of_known_speakers
    if known is None or whole.value is None or whole.tied:
        return whole
    named = test(left.of_units(known), right.of_units(known), comparisons, whole.value)
    if named.value is None or named.tied:
        return whole
    p = max(whole.p or 0.0, named.p or 0.0)
    if whole.low is None or whole.high is None or named.low is None or named.high is None:
        return Difference(whole.value, p=p)
    error = max(whole.error or 0.0, named.error or 0.0)
    return Difference(whole.value, min(whole.low, named.low), max(whole.high, named.high), p, error)


def _with_slower_speakers(found: Difference, left: Statistic, right: Statistic) -> Difference:
    """A difference of tail percentiles with its arm away from zero as long as slower speakers would make it.

    Ten speakers seldom include the slowest one in twenty, for whom a difference is larger in the same proportion as the
    delay: half-samples alone held it in 90 % of worlds with speakers a factor of 2 apart. The verdict stays.
    """
    if not isinstance(left, Percentile) or left.share <= TAIL or not found.value or found.low is None:
        return found
    slower = interval(max(left, right, key=lambda each: each.value() or 0.0))
    if slower.high is None or not slower.value or slower.value <= 0 or found.high is None:
        return found
    far = found.value * slower.high / slower.value
    return replace(found, low=min(found.low, far), high=max(found.high, far))


def _with_model(statistic: Statistic, value: float, low: float, high: float) -> tuple[float, float]:
    """The ends, further out where few speakers cannot show them."""
    if isinstance(statistic, Ratio):
        longest = max(high + statistic.loop_arm if high > value else high, value + statistic.rare_arm)
        return low, longest if statistic.is_positive else high
    modelled = statistic.modelled_ends
    return min(low, modelled[0]), max(high, modelled[1])


def _split_both(left: Statistic, right: Statistic) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Left and right of each half, left and right of each complement, ``(splits,)`` each."""
    wanted = SPLITS if isinstance(left, Ratio) else PERCENTILE_SPLITS
    halves, rests = zip(left.split(wanted), right.split(wanted), strict=True)
    return halves, rests


def _tested(
    value: float,
    ends: tuple[np.ndarray, np.ndarray, float],
    null: float,
    comparisons: float,
    factor: float,
    rare: float = 0.0,
    centre: float | None = None,
) -> Difference:
    """The difference with its interval, from what its halves and complements enclose, and its standard error.

    ``factor`` is the `caution`; ``rare`` the least length of an arm, unless it would reach the null. The interval is
    moved to ``centre``.
    """
    moved = 0.0 if centre is None else centre - value
    value, lows, highs = value + moved, ends[0] + moved, ends[1] + moved
    p = min(1.0, factor * float(min((lows <= null).mean(), (highs >= null).mean())))
    alpha = ALPHA / factor / comparisons
    low, high = _low_end(lows, alpha), _high_end(highs, alpha)
    if low is None or high is None:
        return Difference(value, p=p)
    if low == high == null:
        return Difference(value, p=p, tied=True)
    low, high = min(low, value), max(high, value)
    beyond_chance = not low <= null <= high
    low = low if beyond_chance and value > null else min(low, value - rare)
    high = high if beyond_chance and value < null else max(high, value + rare)
    return Difference(value, low, high, p, ends[2])


def _enclosed(halves: np.ndarray, rests: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What half and complement enclose: the lower ends and the upper ends; everything where one is empty."""
    empty = np.isnan(halves) | np.isnan(rests)
    lows = np.where(empty, -np.inf, np.minimum(halves, rests))
    highs = np.where(empty, np.inf, np.maximum(halves, rests))
    return lows, highs


def _low_end(lows: np.ndarray, alpha: float) -> float | None:
    """The smallest value that more than ``alpha`` of the splits reach down to."""
    place = int(alpha * len(lows))
    end = float(np.partition(lows, place)[place])
    return end if np.isfinite(end) else None


def _high_end(highs: np.ndarray, alpha: float) -> float | None:
    """The largest value that more than ``alpha`` of the splits reach up to."""
    place = len(highs) - 1 - int(alpha * len(highs))
    end = float(np.partition(highs, place)[place])
    return end if np.isfinite(end) else None


def _error(halves: np.ndarray, rests: np.ndarray) -> float:
    """Half of the middle 68 % of (half - complement) / 2: the standard error, robust to lopsided splits."""
    spread = (halves - rests)[1:] / 2
    spread = spread[np.isfinite(spread)]
    if not len(spread):
        return 0.0
    low, high = np.percentile(np.concatenate([spread, -spread]), [15.87, 84.13])
    return float(high - low) / 2


@lru_cache(maxsize=16)
def _all_splits(units: int) -> np.ndarray:
    """By the bits of a counter; the last unit is never in the half, so that no split comes twice."""
    numbers = np.arange(2 ** max(0, units - 1))
    halves: np.ndarray = (numbers[:, None] >> np.arange(units)) & 1 == 1
    return halves


@lru_cache(maxsize=4)
def _weights(units: int, wanted: int) -> tuple[np.ndarray, ...]:
    """`splits` as factors 0 and 1, in blocks of rows."""
    halves = splits(units, wanted)
    rows = max(1, BLOCK_CELLS // max(1, units))
    return tuple(halves[at : at + rows].astype(np.float32) for at in range(0, len(halves), rows))


@lru_cache(maxsize=16)
def _random_splits(units: int, wanted: int) -> np.ndarray:
    halves: np.ndarray = np.random.default_rng(SEED).integers(0, 2, (wanted, units), dtype=np.int8) == 1
    halves[0] = False
    return halves


@lru_cache(maxsize=16)
def _loop_is_in_half(count: int) -> np.ndarray:
    """For this many splits, whether the loop of an unseen recording is in the half ``(splits,)``: half of the time."""
    return np.random.default_rng(SEED + 1).random(count) < 0.5


def _as_units(units: Units, picked: np.ndarray) -> Units:
    """One row for each of these units."""
    nameless = units.nameless[picked] if units.unknown else units.nameless
    return Units(np.arange(len(picked)), units.strata[picked], nameless)


def _note(dataset: str, units: Sequence[tuple[str, str, str]]) -> str:
    named = sum(bool(speaker) for _, speaker, _ in units)
    unknown = len(units) - named
    parts = [f"{named} speaker{'' if named == 1 else 's'}"] if named else []
    parts += [f"{unknown} recording{'' if unknown == 1 else 's'} of unknown speakers"] if unknown else []
    return f"{dataset}: {' and '.join(parts)}"
