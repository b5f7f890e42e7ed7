"""The condition of the evaluation that a shift of live speech is most like, and what it costs on the own sets.

`asr drift conditions` measures the own labelled sets as recorded and under conditions, and other sets. A shift is a
vector: for each number the median of what came since it began, less that of the reference, in the reference's
deviations. The nearest condition has the vector at the smallest distance, half or one and a half times as strong
where that is nearer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr.errors import ConfigError
from asr.ledger import Ledger
from eval.measured_vitals import MeasuredSet, load
from ops.drift.detector import SIGNALS, deviations, medians, signals_of
from ops.drift.reference import drift_folder

MOST_DEVIATIONS = 4.0
"""A number counts no further: a line that cuts the band moves some numbers by twenty deviations."""
WEAKEST, STRONGEST = 0.5, 1.5
"""So strong may a condition be beside the one that was measured: another room has more echo or less."""
_LEFT_OUT = {"length_s", "gap_s", "level_db", "peak_db", "terms_missed", "longest_pause_s"}
"""Of the speaker's manner and distance, not of a condition."""
_USED = [number for number, name in enumerate(SIGNALS) if name not in _LEFT_OUT]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A condition or another set. ``shift`` as `shift_of` gives it; ``points``: rise of the WER on the own sets.

    ``condition`` is "" for another set, whose ``name`` is that of the set. ``command`` replays it.
    """

    name: str
    condition: str
    shift: np.ndarray
    points: float
    command: str

    def __str__(self) -> str:
        """For the sentence of an alarm."""
        change = "lose" if self.points >= 0 else "gain"
        return f"most like {self.name}: the own sets {change} {abs(self.points):.1f} points there"


def shift_of(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The shift of values ``(n, len(SIGNALS))`` from reference values; NaN where a number is unknown."""
    with np.errstate(all="ignore"):
        middle, scale = medians(reference), deviations(reference)
        moved = (medians(values) - middle) / scale
    return np.asarray(np.clip(moved, -MOST_DEVIATIONS, MOST_DEVIATIONS)[_USED])


def candidates(sets: Sequence[MeasuredSet]) -> list[Candidate]:
    """The candidates among measured sets. Raises `ConfigError` if none was measured as recorded."""
    own = [each for each in sets if not each.condition and each.is_own]
    if not own:
        raise ConfigError("found no own set that was measured as recorded, wanted one")
    base, names = _values(own), dict.fromkeys(each.condition or each.data for each in sets if each not in own)
    found = []
    for name in names:
        mine = [each for each in sets if each not in own and name == (each.condition or each.data)]
        same = [each for each in own if each.data in {one.data for one in mine}] or own
        points = wer(mine) - wer(same)
        start = _values(same) if same is not own else base
        found.append(Candidate(name, mine[0].condition, shift_of(_values(mine), start), points, mine[0].command))
    return found


def nearest(shift: np.ndarray, among: Sequence[Candidate]) -> Candidate | None:
    """The candidate at the smallest mean distance, over the numbers that both know. None where there is none.

    A shift that is nearer to none at all than to each candidate is like none of them.
    """
    distances = [(_distance(shift, each.shift), number) for number, each in enumerate(among)]
    distance, best = min(distances, default=(math.inf, 0))
    return among[best] if distance < _distance(shift, np.zeros_like(shift)) else None


def wer(sets: Sequence[MeasuredSet]) -> float:
    """Of all of their words, in per cent."""
    words = sum(int(each.words.sum()) for each in sets)
    return 100 * sum(int(each.errors.sum()) for each in sets) / max(1, words)


def conditions_file(ledger: Ledger, name: str) -> Path:
    """Where the measured sets of a model are kept."""
    return drift_folder(ledger) / f"{name}.conditions.npz"


def known_candidates(ledger: Ledger, name: str) -> list[Candidate]:
    """The candidates of a model; none before `asr drift conditions`. Raises `ConfigError` for a broken file."""
    file = conditions_file(ledger, name)
    return candidates(load(file)) if file.is_file() else []


def evidence_of(candidate: Candidate | None) -> dict[str, Any]:
    """For an alarm: ``nearest`` is a condition that a training can use, ``like`` the name of whatever it is."""
    if candidate is None:
        return {}
    table = {"like": candidate.name, "points": round(candidate.points, 1), "command": candidate.command}
    return table | ({"nearest": candidate.condition} if candidate.condition else {})


def _values(sets: Sequence[MeasuredSet]) -> np.ndarray:
    return signals_of(np.concatenate([each.numbers for each in sets]))


def _distance(shift: np.ndarray, known: np.ndarray) -> float:
    """Of a shift to a known one at the strength at which that is nearest."""
    both = ~np.isnan(shift) & ~np.isnan(known)
    if not both.any():
        return math.inf
    shift, known = shift[both], known[both]
    size = float(known @ known)
    strength = np.clip(shift @ known / size, WEAKEST, STRONGEST) if size else 1.0
    return float(np.sqrt(np.mean((shift - strength * known) ** 2)))
