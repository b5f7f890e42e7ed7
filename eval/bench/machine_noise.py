"""Made-up noise of machines: how often cost and delay of the same code are called different from a few repeats."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from eval.bench.shares import Result, Share
from eval.metrics.resampling import Difference
from eval.metrics.rounds import with_noise_of_rounds

ROUNDS = (3, 5, 7)

Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
"""Draws the figure of one name in each round ``(2, samples, rounds)``, relative to its mean."""


def _two_values(often: float) -> Noise:
    return lambda rng, size: 0.1 * (rng.random(size) < often) + 0.002 * rng.normal(size=size)


def _sticky(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Two values, each name keeps the one it has from round to round in 70 %."""
    is_high = rng.random(size) < 0.5
    for place in range(1, size[-1]):
        changes = rng.random(size[:-1]) < 0.3
        is_high[..., place] = is_high[..., place - 1] ^ changes
    return 0.1 * is_high + 0.002 * rng.normal(size=size)


def _drift(rng: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """A walk that both names share, as they take turns recording by recording."""
    shared = 0.1 * np.cumsum(rng.normal(size=(1, *size[1:])), axis=-1)
    drifted: np.ndarray = shared + 0.03 * rng.normal(size=size)
    return drifted


NOISES: dict[str, Noise] = {
    "normal": lambda rng, size: 0.05 * rng.normal(size=size),
    "two values, each half of the time": _two_values(0.5),
    "two values, one in a fifth": _two_values(0.2),
    "two values, one in a tenth": _two_values(0.1),
    "heavy tails (t, 2 degrees of freedom)": lambda rng, size: 0.05 * rng.standard_t(2, size),
    "log-normal": lambda rng, size: 0.05 * np.exp(rng.normal(size=size)),
    "drift that both share": _drift,
    "bursts in a tenth": lambda rng, size: (
        0.01 * rng.normal(size=size) + (rng.random(size) < 0.1) * rng.exponential(0.2, size)
    ),
}
"""Rounds are independent: each loads its own engines."""
KEPT: dict[str, Noise] = {"two values that a name keeps in 70 %, which no few repeats show": _sticky}
"""What stays with a name from repeat to repeat looks like a difference."""


def noise_results(rounds: Sequence[int], samples: int, seed: int) -> Iterator[Result]:
    """Speakers show no difference at all, which leaves the machine's noise alone in the interval: the worst case."""
    for name, noise in (NOISES | KEPT).items():
        for count in rounds:
            drawn = noise(np.random.default_rng(seed), (2, samples, count))
            changes = 1 + drawn[0] - drawn[1]
            wrong = sum(_is_called_different(each) for each in changes)
            column = "different, %" if name in NOISES else "different where noise is kept, %"
            yield Result(f"{count} repeats, {name}", {column: Share(wrong, samples)})


def _is_called_different(rounds: np.ndarray) -> bool:
    equal = Difference(float(rounds.mean()), p=1.0, tied=True)
    return with_noise_of_rounds(equal, rounds.tolist()).excludes(1.0)
