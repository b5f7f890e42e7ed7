"""What `scripts/benign_changes.py` counts, on made-up speech: harm starts a training, a lower level starts none."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from asr.vitals import INDEX
from eval.measured_vitals import MeasuredSet, save
from scripts.benign_changes import Worlds, begin, line
from tests.eval.labelled_vitals import labelled


def measured(condition: str, level_db: float = 0.0, error_rate: float = 0.1) -> MeasuredSet:
    """200 recordings of 40 speakers; what is unreal is that errors are drawn."""
    of = labelled(200, 1)
    numbers = of.numbers.copy()
    numbers[:, INDEX["level_db"]] += level_db
    for name, value in {
        "wordless": 0.0,
        "speech_share": 1.0,
        "words_per_s": 2.0,
        "length_s": 5.0,
        "gap_s": 0.0,
    }.items():
        numbers[:, INDEX[name]] = value
    errors = np.random.default_rng(2).binomial(10, error_rate, 200)
    speakers = np.array([f"p{number}" for number in of.speaker])
    return MeasuredSet("own", condition, "en", "", True, speakers, numbers, errors, np.full(200, 10))


@pytest.mark.slow
def test_harm_is_found_and_a_lower_level_is_none(tmp_path: Path) -> None:
    """Both shifts are seen in each trial; only the one with four times as many errors starts a training."""
    sets = [measured(""), measured("gain:-6", -4.0), measured("broken", -4.0, 0.5)]
    save(tmp_path / "known.npz", sets[:1])
    begin(tmp_path / "start0", tmp_path / "known.npz")
    for division in (1, 2):
        shutil.copytree(tmp_path / "start0", tmp_path / f"start{division}")
    worlds = Worlds(sets)
    for change, found in (
        ("gain:-6", "shift in 3, harm in 0, concept confirmed in 0, training in 0"),
        ("broken", "shift in 3, harm in 3, concept confirmed in 3, training in 3"),
    ):
        assert f"of 3 trials {found}" in line(worlds, change, range(3), tmp_path)
