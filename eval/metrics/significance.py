"""Significance: the matched-pairs test, the correction for several tests, and the smallest detectable difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from statistics import NormalDist

from eval.metrics.resampling import ALPHA, caution, loop_allowance
from eval.metrics.word_errors import EQUAL, INSERT, Edit

GOOD_WORDS = 2
"""This many consecutive words that both systems have right separate two segments (sc_stats: `min_num_good`)."""

POWER = 0.8

MOST_UNITS = 1_000_000
"""More speakers than this are no plan."""


@dataclass(frozen=True, slots=True)
class Mapsswe:
    """Result of the matched-pairs test.

    Attributes:
        segments: Number of segments with an error.
        mean: Mean difference of errors per segment, left minus right.
        variance: Its variance over the segments.
        z: The test statistic.
        p: Two-sided p-value.
    """

    segments: int
    mean: float
    variance: float
    z: float
    p: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What a comparison says of the data that it was made on.

    Attributes:
        units: Number of speakers, or of recordings whose speaker is unknown.
        error: Standard error of the difference, as a share of the words: `eval.metrics.resampling.Ratio.flip_error`.
        length: Reference words, or characters.
    """

    units: int
    error: float
    length: int


def mapsswe(pairs: Sequence[tuple[Sequence[Edit], Sequence[Edit]]]) -> Mapsswe | None:
    """The matched-pairs sentence-segment word error test, two-sided, as in NIST's sc_stats.

    Gillick and Cox 1989 ("Some statistical issues in the comparison of speech recognition algorithms"), section 4.
    `pairs` holds for each utterance both systems' edits of the same reference. None where fewer than two segments have
    an error, or where all segments differ by the same amount: there is no variance then.
    """
    differences = [left - right for pair in pairs for left, right in segments(*pair)]
    if len(differences) < 2:
        return None
    mean = sum(differences) / len(differences)
    variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
    if not variance:
        return None
    z = mean / math.sqrt(variance / len(differences))
    return Mapsswe(len(differences), mean, variance, z, 2 * NormalDist().cdf(-abs(z)))


def segments(left: Sequence[Edit], right: Sequence[Edit]) -> tuple[tuple[int, int], ...]:
    """The errors of both systems in each segment with errors; `GOOD_WORDS` words that both have right end a segment.

    Errors within a segment depend on each other; those of two segments count as independent.
    """
    sums: list[list[int]] = []
    good = GOOD_WORDS
    for place, errors in enumerate(zip(_errors(left), _errors(right), strict=True)):
        if any(errors):
            if good >= GOOD_WORDS:
                sums.append([0, 0])
            sums[-1] = [a + b for a, b in zip(sums[-1], errors, strict=True)]
            good = 0
        else:
            good += place % 2
    return tuple((a, b) for a, b in sums)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """The p-values adjusted for the number of tests (Holm 1979), in their order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return tuple(adjusted)


def holm_comparisons(p_values: Sequence[float]) -> tuple[int, ...]:
    """The number of comparisons by which Holm's method divides alpha for each p-value, in their order.

    From the first that fails on, it is that one's number: no later p is tested at all. An interval with this correction
    excludes zero exactly where the adjusted p is at most alpha.
    """
    adjusted = holm(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    counts = [0] * len(p_values)
    for rank, i in enumerate(order):
        failed = rank > 0 and adjusted[order[rank - 1]] > ALPHA
        counts[i] = counts[order[rank - 1]] if failed else len(p_values) - rank
    return tuple(counts)


def smallest_difference(low: float, high: float, error: float) -> float:
    """The true difference that a test with this interval and standard error finds with power 0.8.

    Half of the interval's width, which the observed difference must exceed, and 0.84 standard errors, which four of
    five observed differences reach (Cohen 1988, chapter 2).
    """
    return (high - low) / 2 + NormalDist().inv_cdf(POWER) * error


def units_needed(wanted: float, now: Sample, comparisons: float = 1) -> int | None:
    """So many units of this kind show a true difference of ``wanted`` with power 0.8; None for more than `MOST_UNITS`.

    Errors of speakers are independent, so the standard error falls with the root of their number; more recordings of
    the same speakers would make it smaller by their own part of the variance only. `caution` and `loop_allowance` are
    those of the larger number.
    """
    enough = 1
    while _found_by(enough, now, comparisons) > wanted:
        enough *= 2
        if enough > MOST_UNITS:
            return None
    fewest = enough // 2
    while enough - fewest > 1:
        middle = (fewest + enough) // 2
        fewest, enough = (fewest, middle) if _found_by(middle, now, comparisons) <= wanted else (middle, enough)
    return enough


def fewest_units(comparisons: float = 1) -> int:
    """The smallest number of units from which a result can be beyond chance."""
    return next(units for units in count(1) if not too_few_units(units, comparisons))


def _found_by(units: int, now: Sample, comparisons: float) -> float:
    """The true difference that `units` would show with power 0.8. The allowed loop is in one half at random."""
    factor, normal, times = caution(units, of_errors=True), NormalDist(), units / now.units
    deviates = normal.inv_cdf(1 - ALPHA / factor / comparisons / 2) + normal.inv_cdf(POWER)
    loop = loop_allowance(units) / now.length / times
    return deviates * math.hypot(now.error / math.sqrt(times), loop) + loop


def too_few_units(units: int, comparisons: float = 1) -> bool:
    """True where no data from so few units can pass: the smallest p is `caution` times 2 / 2 ** units."""
    return comparisons * caution(units) * 2.0 ** (1 - units) > ALPHA


def _errors(edits: Sequence[Edit]) -> list[int]:
    """Errors at each place: gaps (even) hold insertions, reference words (odd) a substitution or deletion."""
    places = [0]
    for edit in edits:
        if edit.kind == INSERT:
            places[-1] += 1
        else:
            places += [int(edit.kind != EQUAL), 0]
    return places
