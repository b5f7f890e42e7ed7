"""`asr bench coverage`: how often intervals hold the truth, where the speakers of finished runs are the population.

Speakers are drawn with replacement, as a test set of fewer people would be; the figure over all of them is the truth.
What is drawn has the errors, delays and unequal speakers of real recognition, which made-up worlds only imitate.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from asr.errors import ConfigError
from eval.bench.shares import Result, Share, table
from eval.metrics.catalogue import COMMITTED_P95, STABLE_AUDIO_P95, WER
from eval.metrics.estimates import statistic_of
from eval.metrics.resampling import ALPHA, Ratio, Statistic, difference, interval, p_values
from eval.report.systems import System, on_common, systems_of
from eval.runs.folder import read_run
from eval.trace import OFFLINE

SPLITS = 4_999
"""For the share of exchanged systems that are called different."""


def run(paths: Sequence[Path], speakers: Sequence[int], samples: int, seed: int) -> None:
    """Prints a table for each number of speakers. Raises `ConfigError` where no run has a trace."""
    systems = systems_of([read_run(path) for path in paths])
    if not systems:
        raise ConfigError(f"found no traces in {', '.join(map(str, paths))}; wanted a run that has begun")
    print(f"{samples} samples, seed {seed}; in brackets exact 95 % intervals.\n")
    for number in speakers:
        print(f"{number} speakers:\n\n{table(list(results(systems, number, samples, seed)))}\n", flush=True)


def results(systems: Sequence[System], speakers: int, samples: int, seed: int) -> Iterator[Result]:
    """The coverage of each system's figures, and of the difference in WER of each two on the same recordings."""
    for system in systems:
        metrics = (WER,) if system.mode == OFFLINE else (WER, STABLE_AUDIO_P95, COMMITTED_P95)
        for metric in metrics:
            shares = _covered(statistic_of(metric, system.scored), speakers, samples, seed)
            yield Result(f"{system.name}, {system.mode}: {metric.title}", shares)
    for pair in combinations(systems, 2):
        left, right = on_common(pair)
        if left.scored:
            names = " and ".join(f"{system.name}, {system.mode}" for system in pair)
            yield Result(f"difference of {names}", _compared(left, right, speakers, samples, seed))


def _covered(statistic: Statistic, speakers: int, samples: int, seed: int) -> dict[str, Share]:
    truth, picked = statistic.value(), _picked(statistic, speakers, samples, seed)
    if truth is None:
        return {}
    found = [interval(statistic.of_units(units)) for units in picked]
    given = [each for each in found if each.low is not None]
    shares = {"given, %": Share(len(given), samples)}
    held = sum(not each.excludes(truth) for each in given)
    return shares | ({"holds the truth, %": Share(held, len(given))} if given else {})


def _compared(left: System, right: System, speakers: int, samples: int, seed: int) -> dict[str, Share]:
    """With the share of samples that are called different where left and right are exchanged at random by speaker."""
    one, other = (statistic_of(WER, system.scored) for system in (left, right))
    if not isinstance(one, Ratio) or not isinstance(other, Ratio) or (value := one.value()) is None:
        return {}
    truth, picked = value - (other.value() or 0.0), _picked(one, speakers, samples, seed)
    found = [difference(one.of_units(units), other.of_units(units)) for units in picked]
    given = [each for each in found if each.low is not None]
    signs = np.random.default_rng(seed).choice([-1, 1], picked.shape)
    wrong = int((p_values(signs * (one.above - other.above)[picked], SPLITS) <= ALPHA).sum())
    shares = {"given, %": Share(len(given), samples)}
    if given:
        shares["holds the truth, %"] = Share(sum(not each.excludes(truth) for each in given), len(given))
    return shares | {"exchanged, called different, %": Share(wrong, samples)}


def _picked(statistic: Statistic, speakers: int, samples: int, seed: int) -> np.ndarray:
    """The units of each sample ``(samples, speakers)``."""
    return np.random.default_rng(seed).integers(0, statistic.units.count, (samples, speakers))
