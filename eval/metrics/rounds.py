"""The machine's noise in costs and delays: what only a repeated run shows.

Two runs of the same code differ by more than chance of speakers: memory lies elsewhere, other tenants come and go.
The recordings of one run share that, so no resampling of speakers sees it. A run with `--repeats` recognises everything
several times, each time with reloaded engines and all models in turns; one such repeat is a round.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from eval.metrics.resampling import ALPHA, Difference
from eval.metrics.scored_trace import ScoredTrace

MIN_ROUNDS = 3
"""The spread of two rounds is a single number: its t quantile (12.7) would hide a difference of factor two."""


def with_noise_of_rounds(change: Difference, rounds: Sequence[float], comparisons: int = 1) -> Difference:
    """The difference or quotient with an interval that covers speakers and machine; without p.

    ``change`` is of all rounds together, its interval from speakers and corrected for ``comparisons``; ``rounds`` has
    the same figure of each round. Both uncertainties are independent, so their half-widths add as squares. Without an
    interval where there are fewer than `MIN_ROUNDS`.
    """
    bare = replace(change, low=None, high=None, p=None, error=None)
    if len(rounds) < MIN_ROUNDS or change.value is None or change.low is None or change.high is None:
        return bare
    error = statistics.stdev(rounds) / math.sqrt(len(rounds))
    machine = student_t_quantile(1 - ALPHA / comparisons / 2, len(rounds) - 1) * error
    low = change.value - math.hypot(change.value - change.low, machine)
    high = change.value + math.hypot(change.high - change.value, machine)
    return Difference(change.value, low, high, None, math.hypot(change.error or 0.0, error))


def in_turns(left: Sequence[Sequence[ScoredTrace]], right: Sequence[Sequence[ScoredTrace]]) -> bool:
    """True where each round of both began before the next round of either: the machine's hours fell on both alike."""
    starts = [[scored.trace.began_s for scored in (*a, *b)] for a, b in zip(left, right, strict=True)]
    return all(max(now) < min(later) for now, later in pairwise(starts))


def student_t_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t with ``freedom`` degrees, for probabilities above 0.5 (by bisection)."""
    low, high = 0.0, 1.0
    while _central(high, freedom) < 2 * probability - 1:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _central(middle, freedom) < 2 * probability - 1 else (low, middle)
    return high


def _central(t: float, freedom: int) -> float:
    """P(-t <= T <= t) (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine, 0.0) if odd else (1.0, 0.0)
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
