"""What a sample of few speakers cannot show by itself: arms of intervals that rest on a model.

Half-samples see only what the sample holds. Where two of forty speakers have any error at all, the next sample may have
six such speakers; where ten speakers were recorded, the slowest one in twenty is probably not among them.
"""

from collections.abc import Callable

import numpy as np
from scipy import special, stats

TAIL = 0.025
"""Chance beyond each end of a 95 % interval."""
VALUES_A_UNIT = 3
"""So many independent values a unit counts for in `highest_order_end`."""
MIN_FREEDOM = 6.0
"""Of the variance between units. One speaker with half of the words leaves one or two degrees, with which the upper end
of a p95 of 2 s was millions of seconds; with six, the worst kinds of made-up speakers are still covered in 99 %."""
LINEAR_PART = 0.1
"""Of the median: below this size delays are taken as they are, above it as logarithms. Some are zero or negative."""


def binomial_bounds(count: int, of: int, tail: float = TAIL) -> tuple[float, float]:
    """Clopper and Pearson's exact bounds (1934) of a probability, with the chance ``tail`` beyond each."""
    low = float(special.betaincinv(count, of - count + 1, tail)) if count else 0.0
    return low, float(special.betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0


def rare_arm(parts: np.ndarray) -> float:
    """How far a sum over units may lie above its expectation, or below, because few of them have a part in it.

    ``parts`` is what each unit adds ``(units,)``. The share of units with a part is at most Clopper and Pearson's upper
    bound; units that had none by chance would have had parts of the mean size, of one error where no unit has any.
    """
    sizes = np.abs(parts[parts != 0])
    most = len(parts) * binomial_bounds(len(sizes), len(parts))[1]
    return float((most - len(sizes)) * (sizes.mean() if len(sizes) else 1.0))


def highest_order_end(values: np.ndarray, units: int, share: float) -> float:
    """The upper end of a percentile of values ``(values,)``, in order, without any model of their distribution.

    The rank by the binomial distribution (David and Nagaraja 2003, "Order statistics", section 7.1), as if each unit
    had `VALUES_A_UNIT` values: those of one voice are alike. The largest value where that is not enough to rank.
    """
    count = VALUES_A_UNIT * units
    rank = float(stats.binom.ppf(1 - TAIL, count, share)) + 1
    return float(values[-1] if rank > count else np.quantile(values, (rank - 0.5) / count))


def log_normal_ends(
    values: np.ndarray, units: np.ndarray, share: float, high_tail: float = TAIL
) -> tuple[float, float]:
    """The interval of a percentile of values ``(values,)`` of ``units``, if logarithms are normal.

    The chance below it is `TAIL`, the chance above it ``high_tail``.

    Each unit's own percentile is one draw. Their mean has Student's interval, their variance that of the chi-squared
    distribution; both arms add as squares (Zou and Donner 2008, "Construction of confidence limits about effect
    measures"). For units of different size their effective number counts (Kish 1965).
    """
    value = float(np.quantile(values, share))
    scale = LINEAR_PART * float(np.median(np.abs(values)))
    if not scale:
        return value, value
    logs = np.arcsinh(values / scale)
    places = np.unique(units)
    sizes = np.bincount(units)[places]
    own = _quantiles(logs[np.lexsort((logs, units))], sizes, share)
    count = sizes.sum() ** 2 / (sizes**2).sum()
    freedom = max(count - 1, MIN_FREEDOM)
    between = float(np.average((own - np.average(own, weights=sizes)) ** 2, weights=sizes)) * count / freedom
    within = max(0.0, float(logs.var()) - between)
    deviate = float(special.ndtri(share))

    def arm(tail: float, longest: Callable[[list[float]], float]) -> float:
        mean_arm = float(special.stdtrit(freedom, 1 - tail)) * np.sqrt(between / count)
        changes = [deviate * _change_of_deviation(between, within, freedom, end) for end in (tail, 1 - tail)]
        return float(np.hypot(mean_arm, longest(changes)))

    low, high = arm(TAIL, min), arm(high_tail, max)
    middle = np.arcsinh(value / scale)
    return float(np.sinh(middle - low) * scale), float(np.sinh(middle + high) * scale)


def _quantiles(values: np.ndarray, sizes: np.ndarray, share: float) -> np.ndarray:
    """The quantile of each run of values, which are in order within it; ``sizes`` are the runs' lengths."""
    place = (sizes - 1) * share
    first, part = np.cumsum(sizes) - sizes, place - np.floor(place)
    low, high = (values[first + whole(place).astype(int)] for whole in (np.floor, np.ceil))
    between: np.ndarray = low + (high - low) * part
    return between


def _change_of_deviation(between: float, within: float, freedom: float, tail: float) -> float:
    """The whole standard deviation with the variance between units at this end of its interval, minus the estimate."""
    end = between * freedom / float(special.chdtri(freedom, 1 - tail))
    return float(np.sqrt(end + within) - np.sqrt(between + within))
