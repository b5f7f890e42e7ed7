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

from scipy import special

from eval.metrics.resampling import Difference
from eval.metrics.scored_trace import ScoredTrace

MIN_ROUNDS = 3
"""The spread of two rounds is a single number: its t quantile (12.7) would hide a difference of factor two."""


MACHINE_ALPHA = 0.04
"""Of the rounds' part of the interval: with 0.05 the same code was called different in up to 5.5 % of 2,000 samples
where speakers add nothing and noise is normal; heavy tails, two values and bursts give less."""


def with_noise_of_rounds(change: Difference, rounds: Sequence[float], comparisons: float = 1) -> Difference:
    """The difference or quotient with an interval that covers speakers and machine; without p.

    ``change`` is of all rounds together, its interval from speakers and corrected for ``comparisons``; ``rounds`` has
    the same figure of each round. Both uncertainties are independent, so their half-widths add as squares. Without an
    interval where there are fewer than `MIN_ROUNDS`.
    """
    bare = replace(change, low=None, high=None, p=None, error=None)
    low, high = (change.value, change.value) if change.tied else (change.low, change.high)
    if len(rounds) < MIN_ROUNDS or change.value is None or low is None or high is None:
        return replace(bare, tied=False)
    error = statistics.stdev(rounds) / math.sqrt(len(rounds))
    machine = float(special.stdtrit(len(rounds) - 1, 1 - MACHINE_ALPHA / comparisons / 2)) * error
    if change.tied and not machine:
        return bare
    low = change.value - math.hypot(change.value - low, machine)
    high = change.value + math.hypot(high - change.value, machine)
    return Difference(change.value, low, high, None, math.hypot(change.error or 0.0, error))


def in_turns(left: Sequence[Sequence[ScoredTrace]], right: Sequence[Sequence[ScoredTrace]]) -> bool:
    """True where each round of both began before the next round of either: the machine's hours fell on both alike."""
    starts = [[scored.trace.began_s for scored in (*a, *b)] for a, b in zip(left, right, strict=True)]
    return all(max(now) < min(later) for now, later in pairwise(starts))
