"""`asr bench same-code`: how often cost and delay are called different between two runs of the same code.

The run holds one model under two names, in turns and with many repeats. Smaller runs of three repeats and fewer
speakers are drawn from it and compared as a report compares them; each "different" is a false alarm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.errors import ConfigError
from eval.bench.shares import Result, Share, table
from eval.metrics.catalogue import CPU, STABLE_AUDIO_P95, STABLE_P95
from eval.metrics.resampling import Difference
from eval.metrics.rounds import MIN_ROUNDS
from eval.report.systems import System, metric_difference, on_common, part_of, rounds_in_turns, systems_of, timed
from eval.runs.folder import read_run
from eval.trace import OFFLINE


def run(path: Path, speakers: Sequence[int], samples: int, seed: int) -> None:
    """Prints the table. Raises `ConfigError` where the run has not two systems with enough repeats in turns."""
    left, right = _two_systems(path)
    count = rounds_in_turns(left, right)
    print(f"{samples} runs of {MIN_ROUNDS} of {count} repeats, which they share; seed {seed}.\n")
    print(table([result for number in speakers for result in results(left, right, number, samples, seed)]))


def results(left: System, right: System, speakers: int, samples: int, seed: int) -> Iterator[Result]:
    """The share of smaller runs in which each figure is called different, of those in which it is judged."""
    rng = np.random.default_rng(seed)
    drawn = [_differences(*_smaller(left, right, speakers, rng)) for _ in range(samples)]
    for name, null in (("CPU time", 1.0), ("shown for good, p95", 0.0), ("the same, computing left out", 0.0)):
        mine = [each[name] for each in drawn if name in each and (each[name].low is not None or each[name].tied)]
        if mine:
            wrong = sum(each.excludes(null) for each in mine)
            shares = {"judged, %": Share(len(mine), samples), "called different, %": Share(wrong, len(mine))}
            yield Result(f"{speakers} speakers: {name}", shares)


def _two_systems(path: Path) -> tuple[System, System]:
    systems = systems_of([read_run(path)])
    if len(systems) != 2 or systems[0].mode != systems[1].mode:
        raise ConfigError(f"{path} has {len(systems)} systems, wanted one model under two names in one mode")
    left, right = on_common(systems)
    if rounds_in_turns(left, right) < MIN_ROUNDS:
        raise ConfigError(f"{path}: wanted {MIN_ROUNDS} repeats or more in turns; raise --repeats of `asr eval run`")
    return left, right


def _smaller(left: System, right: System, speakers: int, rng: np.random.Generator) -> tuple[System, System]:
    """Both on the recordings of some speakers, in three of their repeats; the order of the repeats stays."""
    names = sorted({scored.trace.speaker or scored.trace.utterance for scored in left.scored})
    picked = set(rng.choice(names, min(speakers, len(names)), replace=False).tolist())
    keys = {s.key for s in left.scored if (s.trace.speaker or s.trace.utterance) in picked}
    repeats = sorted(rng.choice(rounds_in_turns(left, right), MIN_ROUNDS, replace=False).tolist())
    one, other = (
        replace(part, scored=part.rounds[repeats[0]], repeats=tuple(part.rounds[place] for place in repeats[1:]))
        for part in (part_of(left, keys), part_of(right, keys))
    )
    return one, other


def _differences(left: System, right: System) -> dict[str, Difference]:
    found = {"CPU time": timed(CPU, left, right, 1, as_ratio=True)}
    if left.mode != OFFLINE:
        found["shown for good, p95"] = timed(STABLE_P95, left, right, 1)
        found["the same, computing left out"] = metric_difference(STABLE_AUDIO_P95, left, right)
    return found
