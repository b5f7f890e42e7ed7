"""CTC models in training: frozen layers, starts, vocabularies, masks."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import CallerError, ConfigError
from eval.progress import Bar
from tests.speech import clip
from tests.train.learned import PLAIN, SETTINGS, TINY, training
from train.config import LabelSettings, ModelSettings
from train.ctc_task import check_labels, ctc_task
from train.data import Example, label_of

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


def test_frozen_layers_stay_as_they_are(tmp_path: Path, bar: Bar) -> None:
    """By prefixes of their names; a prefix without a parameter is refused."""
    frozen = replace(TINY, freeze=("wav2vec2.feature_extractor",))
    settings = replace(SETTINGS, model=frozen, loop=replace(SETTINGS.loop, epochs=2, dev_every=2))
    run = training(tmp_path, settings)
    before = {name: parameter.clone() for name, parameter in run.task.model.named_parameters()}
    run.run(bar)
    changed = {name for name, p in run.task.model.named_parameters() if not torch.equal(p, before[name])}
    assert "lm_head.weight" in changed
    assert not any("feature_extractor" in name for name in changed)
    with pytest.raises(ConfigError, match="no parameter's name begins with 'nothing'"):
        training(tmp_path, replace(SETTINGS, model=replace(TINY, freeze=("nothing",))))


def test_a_trained_model_is_a_start_for_another(tmp_path: Path, bar: Bar) -> None:
    """It keeps its vocabulary; labels with other letters are refused with a list, or mapped by a rule."""
    run = training(tmp_path / "a", replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=1, dev_every=1)))
    run.run(bar)
    task = ctc_task(ModelSettings(start=str(tmp_path / "a")), PLAIN, (), CPU)
    assert task.letters == run.task.letters
    strange = [Example(clip("hello_world"), "héllo world 7", "a")]
    with pytest.raises(CallerError, match=r"2 letters that .* does not have: 'é' \(1\), '7' \(1\)"):
        check_labels(task, strange, LabelSettings(), "the model")
    rules = LabelSettings(replace=("é=e", "7=seven"), drop="!")
    assert label_of("Héllo 7!", replace(rules, case="upper")) == "HELLO SEVEN"


@pytest.mark.parametrize("layout", ["wav2vec2 large", "hubert large", "wavlm large"])
def test_every_family_trains_with_masks_in_both_directions(tmp_path: Path, layout: str) -> None:
    """SpecAugment in time and in features, on a start of each kind: the loss is a number and has a gradient."""
    from tests.asr.ctc_models import random_model, save

    folder = save(random_model(layout), tmp_path)
    masked = replace(PLAIN, mask_time_prob=0.2, mask_time_length=2, mask_feature_prob=0.2, mask_feature_length=4)
    task = ctc_task(ModelSettings(start=str(folder)), masked, (), CPU)
    task.model.train()
    loss = task.loss([Example(clip("hello_world"), "hello world", "a")])
    loss.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(loss)
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in task.model.lm_head.parameters())
