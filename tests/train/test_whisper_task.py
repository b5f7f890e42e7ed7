"""Fine-tuning Whisper's decoder, on the packaged model and one clip."""

import json
from pathlib import Path

import pytest
import torch

from asr.engine import Engine
from asr.errors import CallerError, ModelError
from asr.models.base import Window
from tests.speech import clip
from tests.train.learned import PLAIN
from train.config import ModelSettings
from train.ctc_task import ctc_task
from train.data import Example
from train.whisper_task import DECODER, WhisperTask, language_of, whisper_files, whisper_task

CPU = torch.device("cpu")
SPOKEN = "hello wurld"


@pytest.fixture(scope="module")
def task() -> WhisperTask:
    return whisper_task(ModelSettings(start="whisper-tiny.en"), CPU, "en")


def test_its_states_are_what_the_engine_encodes(task: WhisperTask, whisper_tiny_float32: Engine) -> None:
    """Of the real audio only: the decoder trains on what it will see in recognition, rounded to half precision."""
    samples = clip("hello_world")
    network = whisper_tiny_float32.recogniser.network
    expected, _, _ = network.encoder.extend(samples, None, 1500, 2400)
    torch.testing.assert_close(task._states_of(Example(samples, "", "")), expected, atol=0.02, rtol=0.01)


@pytest.mark.model
@pytest.mark.slow
def test_a_label_is_learned_and_the_folder_writes_it(task: WhisperTask, tmp_path: Path) -> None:
    """A spelling of our own after a few steps; only the decoder's layers moved; the saved folder is a model."""
    example = Example(clip("hello_world"), SPOKEN, "a")
    before = {name: parameter.clone() for name, parameter in task.model.named_parameters()}
    optimiser = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], lr=3e-4)
    assert task.errors([example]).errors > 0
    for _ in range(40):
        optimiser.zero_grad()
        task.loss([example]).backward()
        optimiser.step()
    assert task.errors([example]).errors == 0
    changed = {name for name, p in task.model.named_parameters() if not torch.equal(p, before[name])}
    assert changed
    assert all(name.startswith(DECODER) for name in changed)
    task.save(tmp_path)
    assert json.loads((tmp_path / "generation_config.json").read_text())["alignment_heads"]
    engine = Engine.load(str(tmp_path), precision="float32")
    (hypothesis,) = engine.recogniser.recognise([Window(example.samples)])
    assert "".join(piece.text for piece in hypothesis.pieces).strip() == SPOKEN


@pytest.mark.model
def test_a_language_may_have_any_of_its_names() -> None:
    """The model's own code begins the text; an unknown language is refused before anything is trained."""
    files = whisper_files("whisper-base", "for a test")
    assert [language_of(files, name) for name in ("English", "zh_TW", "jv", "deu")] == ["en", "zh", "jw", "de"]
    for name, message in (("ain", "does not know language 'ain'"), ("klingon", "found language 'klingon', wanted a")):
        with pytest.raises(CallerError, match=message):
            language_of(files, name)


def test_the_other_kind_of_model_is_refused(tmp_path: Path) -> None:
    """Whisper's files for CTC, and a CTC model's for Whisper: one sentence each."""
    from tests.asr.ctc_models import random_model, save

    with pytest.raises(ModelError, match=r"whisper-tiny\.en cannot be trained further"):
        ctc_task(ModelSettings(start="whisper-tiny.en"), PLAIN, (), CPU)
    folder = save(random_model("wav2vec2 large"), tmp_path)
    with pytest.raises(ModelError, match="is a wav2vec2 model, wanted a Whisper model"):
        whisper_task(ModelSettings(start=str(folder)), CPU, "en")


@pytest.mark.model
def test_other_samples_at_a_freed_address_have_their_own_states(task: WhisperTask) -> None:
    """Augmentation makes new arrays in each epoch. A key by address once gave an array the states of another one."""
    samples = clip("hello_world").copy()
    before = task._states_of(Example(samples, "", ""))
    samples *= 0.0
    assert not torch.equal(task._states_of(Example(samples, "", "")), before)


@pytest.mark.model
def test_the_encoder_learns_where_it_is_named() -> None:
    """Its parameters get gradients, and its states follow its weights."""
    names = ("model.encoder.layers", "model.decoder.layers")
    task = whisper_task(ModelSettings(start="whisper-tiny.en", train_only=names), CPU, "en")
    example = Example(clip("hello_world"), SPOKEN, "a")
    task.loss([example]).backward()
    learns = {name for name, p in task.model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any(name.startswith("model.encoder.layers") for name in learns)
    before = task._states_of(example).detach()
    with torch.no_grad():
        for parameter in task.model.model.encoder.layers.parameters():
            parameter.mul_(1.01)
    assert not torch.equal(task._states_of(example), before)
