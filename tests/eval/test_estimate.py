"""Errors without text: right on speakers and conditions that were not in the fit, and honest elsewhere."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.audio.files import read_blocks
from asr.engine import Engine
from asr.errors import ConfigError
from asr.self_test import SAMPLE
from asr.vitals import INDEX, NAMES
from eval.estimate import (
    DIRECTIONS,
    FEATURES,
    ErrorModel,
    boosted,
    features_of,
    fit,
    load,
    rate_of_speakers,
    recognised_words,
    save,
)
from eval.recording_vitals import recording_vitals
from tests.eval.labelled_vitals import CONDITIONS, joined, labelled, world


@pytest.fixture(scope="module")
def model() -> ErrorModel:
    return fit(world(), CONDITIONS, {"accepted_wer": 0.2})


def test_trees_predict_as_scikit_learn_does() -> None:
    """Also for unknown numbers: their nodes are read from private arrays."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    data = world()
    predicted = boosted(data).predict(features_of(data.numbers))
    theirs = HistGradientBoostingRegressor(
        loss="poisson",
        max_iter=40,
        learning_rate=0.15,
        max_leaf_nodes=8,
        max_bins=32,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        monotonic_cst=[DIRECTIONS.get(name, 0) for name in FEATURES],
    ).fit(features_of(data.numbers), data.errors / data.recognised, sample_weight=data.recognised)
    np.testing.assert_allclose(predicted, theirs.predict(features_of(data.numbers)), rtol=1e-9)


def test_each_speaker_counts_as_much_as_any_other() -> None:
    """One with half of the recordings too. Speakers who are alike have no spread, whatever the luck of utterances."""
    data = labelled(4000, 7, speakers=40)
    half = replace(data, speaker=np.where(np.arange(4000) < 2000, 0, data.speaker), words=np.full(4000, 10.0))
    rate = np.array([0.5, *np.linspace(0.05, 0.25, 39)])[half.speaker]
    drawn = replace(half, errors=np.random.default_rng(1).binomial(10, rate).astype(float))
    found, spread, speakers = rate_of_speakers(drawn, 0.8)
    assert drawn.wer > 0.3
    assert found == pytest.approx(0.159, abs=0.01)
    assert spread == pytest.approx(0.080, abs=0.01)
    assert speakers == 40
    alike = replace(half, errors=np.random.default_rng(2).binomial(10, 0.2, 4000).astype(float))
    assert rate_of_speakers(alike, 0.8)[1] < 0.02


def test_windows_of_other_speakers_are_estimated(model: ErrorModel) -> None:
    """The truth is drawn from the same world with other speakers; most intervals of 90 % hold it."""
    held = []
    for seed in range(20):
        part = labelled(200, 1000 + seed, speakers=60)
        window = model.window(model.estimate(part.numbers, part.recognised), part.speaker)
        assert abs(window.wer - part.wer) < 0.06
        held.append(window.low <= part.wer <= window.high)
    assert np.mean(held) >= 0.85


def test_a_condition_that_was_left_out_is_estimated(model: ErrorModel) -> None:
    """Its errors show in the model's confidence, as real ones do; the table has one row for each condition."""
    found = {each["condition"]: each for each in model.about["checks"]}
    assert set(found) == set(CONDITIONS)
    assert all(each["error_left_out"] < 0.03 and each["held_left_out"] >= 0.88 for each in found.values())
    assert found["noise:10"]["wer"] > found[""]["wer"] + 0.05


def test_each_set_is_checked_alone() -> None:
    """Where one set has errors that the vitals do not show, and the other few, both together look right."""
    whole = joined(labelled(300, 1), labelled(300, 2))
    whole.errors[:300], whole.errors[300:] = 0.25 * whole.recognised[:300], 0.05 * whole.recognised[300:]
    model = fit(whole, CONDITIONS[:1], {}, data=["a"] * 300 + ["b"] * 300)
    together, *alone = model.about["checks"]
    assert [each.get("data") for each in alone] == ["a", "b"]
    assert all(each["error"] > together["error"] + 0.03 for each in alone)
    assert [each["wer"] for each in alone] == pytest.approx([0.25, 0.05])


def test_an_utterance_unlike_the_labelled_ones_is_outside(model: ErrorModel) -> None:
    """Few of the same world are; a sound far away in many numbers is, and the window says so."""
    same, far = labelled(300, 77), labelled(300, 78)
    far.numbers[:, : INDEX["zeros"] + 1] += 5.0
    inside = model.window(model.estimate(same.numbers, same.recognised), same.speaker)
    outside = model.window(model.estimate(far.numbers, far.recognised), far.speaker)
    assert inside.outside < 0.1 < 0.9 < outside.outside


def test_the_nearest_condition_is_named(model: ErrorModel) -> None:
    for number in range(3):
        part = labelled(100, 300 + number, condition=number)
        found = model.estimate(part.numbers, part.recognised).condition
        assert np.mean(found == number) > 0.8


def test_an_utterance_of_nothing_but_unknown_numbers_has_an_estimate(model: ErrorModel) -> None:
    """A session without a word or sound must not break the monitor."""
    estimate = model.estimate(np.full((1, len(NAMES)), np.nan, np.float32), np.zeros(1))
    assert math.isfinite(estimate.errors[0])
    assert 1 <= estimate.most[0] <= 20


def test_what_is_kept_estimates_the_same(model: ErrorModel, tmp_path: Path) -> None:
    part = labelled(50, 5)
    digest = save(tmp_path / "m.json", model)
    again = load(tmp_path / "m.json")
    one, other = (each.estimate(part.numbers, part.recognised) for each in (model, again))
    np.testing.assert_array_equal(one.errors, other.errors)
    np.testing.assert_array_equal(one.condition, other.condition)
    assert save(tmp_path / "again.json", again) == digest


@pytest.mark.parametrize(
    "change", ["cut", "text", "format", "vitals", "features", "loop", "far", "short", "conditions"]
)
def test_a_broken_file_is_refused_in_a_sentence(model: ErrorModel, tmp_path: Path, change: str) -> None:
    """Among others trees in which a walk would never end."""
    file = tmp_path / "m.json"
    save(file, model)
    table = json.loads(file.read_text())
    trees = table["trees"]
    if change == "loop":
        trees["left"][0] = 0
    elif change == "far":
        trees["right"][0] = 10**6
    elif change == "short":
        trees["value"].pop()
    elif change == "conditions":
        table["conditions"] = ["one"]
    elif change in table:
        table[change] = 99
    elif change == "features":
        table["about"]["features"] = ["pitch"]
    texts = {"cut": file.read_text()[:1000], "text": "not json"}
    file.write_text(texts.get(change, json.dumps(table)))
    with pytest.raises(ConfigError, match=r"is no model of errors .* wanted a new one"):
        load(file)


def test_few_speakers_are_refused() -> None:
    """Folds by speaker need some."""
    with pytest.raises(ConfigError, match="found 300 utterances of 4 speakers, wanted"):
        fit(labelled(300, 1, speakers=4), CONDITIONS[:1], {})


def test_recognised_words_follow_from_the_vitals(whisper_tiny: Engine) -> None:
    """The inverse of what the recorder divides by."""
    sample = np.concatenate(list(read_blocks(SAMPLE)))
    measured, words = recording_vitals(whisper_tiny, np.concatenate([sample, np.zeros(32_000, np.float32), sample]))
    assert len(words) > 3
    numbers = np.array([each.numbers for each in measured], np.float32)
    assert recognised_words(numbers).tolist() == [each.words for each in measured]
