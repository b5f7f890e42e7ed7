"""The training loop on two clips: to zero errors, and to the same weights after an interruption."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file

from asr.engine import Engine
from asr.errors import ConfigError
from asr.models.base import Window
from eval.metrics.word_errors import Counts
from eval.progress import Bar
from tests.train.learned import SETTINGS, examples, training
from train.config import AugmentSettings, LoopSettings, load_settings
from train.ctc_task import CtcTask
from train.loop import CHECKPOINT, RECORD, WORK, is_finished, learning_rate

pytestmark = pytest.mark.slow


def test_a_few_recordings_are_learned_to_zero_errors(
    tmp_path: Path, bar: Bar, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is then found by its name and gives the same texts."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path))
    run = training(tmp_path / "tiny")
    assert run.run(bar)
    assert run.state.best == 0.0
    assert "min left" in messages[0]
    record = json.loads(run.write_record({"commit": "c"}).read_text())
    assert (record["measure"], record["best_dev"]) == ("WER", 0.0)
    assert [row["epoch"] for row in record["curve"]] == list(range(10, 121, 10))
    engine = Engine.load("tiny", precision="float32")
    aligned = engine.recogniser.place(examples()[1].samples, examples()[1].text)
    assert min(word.score for word in aligned) > 0.2
    for example in examples():
        (hypothesis,) = engine.recogniser.recognise([Window(example.samples)])
        assert "".join(piece.text for piece in hypothesis.pieces).strip() == example.text


class Planted:
    """What a pickle may do: it makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("content", ["planted", "no checkpoint", ""])
def test_a_checkpoint_runs_no_code(tmp_path: Path, bar: Bar, content: str) -> None:
    """An output folder may come from somebody else. It is refused in a sentence."""
    path = tmp_path / "out" / WORK / CHECKPOINT
    path.parent.mkdir(parents=True)
    path.write_text(content)
    if content == "planted":
        torch.save({"settings": Planted(tmp_path / "ran")}, path)
    with pytest.raises(ConfigError, match="to be no checkpoint, or a damaged one"):
        training(tmp_path / "out").run(bar)
    assert not (tmp_path / "ran").exists()


def test_an_interrupted_training_continues_with_the_same_weights(tmp_path: Path, bar: Bar) -> None:
    """Stopped after each step and started again: bit for bit the weights of an uninterrupted training."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=3, dev_every=1), augment=AugmentSettings(join=2))
    whole = training(tmp_path / "whole", short)
    assert whole.run(bar)
    slices = 1
    while not (part := training(tmp_path / "part", short)).run(bar, stop_after_s=1e-9):
        slices += 1
        assert slices < 50
    assert slices > 3
    for one, other in zip(whole.task.model.parameters(), part.task.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_training_that_stops_before_its_first_evaluation_saves_a_model(
    tmp_path: Path, bar: Bar, keep: Literal["best", "last"]
) -> None:
    """Whoever gives it little time gets what was learnt in it. Later evaluations decide as always."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=2, dev_every=2, keep=keep))
    assert not training(tmp_path, short).run(bar, stop_after_s=1e-9)
    assert (tmp_path / "config.json").is_file()


def test_a_finished_training_is_recognised_without_loading_its_model(tmp_path: Path, bar: Bar) -> None:
    """Finished means all epochs are done; with more epochs it is not; another training's folder is refused."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=2, dev_every=1))
    run = training(tmp_path, short)
    assert not is_finished(tmp_path, short, run.split)
    assert not run.run(bar, stop_after_s=1e-9)
    assert not is_finished(tmp_path, short, run.split)
    assert training(tmp_path, short).run(bar)
    assert is_finished(tmp_path, short, run.split)
    assert not is_finished(tmp_path, replace(short, loop=replace(short.loop, epochs=3)), run.split)
    with pytest.raises(ConfigError, match="other settings or data"):
        is_finished(tmp_path, replace(short, model=replace(short.model, dropout=0.3)), run.split)


def test_another_training_is_not_overwritten(tmp_path: Path, bar: Bar) -> None:
    """A folder with other settings is refused; the sentence says what to do."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=1, dev_every=1))
    training(tmp_path, short).run(bar)
    with pytest.raises(ConfigError, match="other settings or data"):
        training(tmp_path, replace(short, loop=replace(short.loop, seed=9))).run(bar)
    assert (tmp_path / WORK / RECORD).parent.is_dir()


def test_the_number_of_epochs_may_grow(tmp_path: Path, bar: Bar) -> None:
    """It is the one setting that may change between two calls."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=1, dev_every=1))
    training(tmp_path, short).run(bar)
    longer = training(tmp_path, replace(short, loop=replace(short.loop, epochs=2)))
    assert longer.run(bar)
    assert [row["epoch"] for row in longer.state.curve] == [1, 2]


def test_training_stops_early_when_nothing_gets_better(tmp_path: Path, bar: Bar) -> None:
    """With a learning rate of 0 the second evaluation is no better than the first."""
    loop = LoopSettings(epochs=50, learning_rate=0.0, patience=1, seed=1)
    run = training(tmp_path, replace(SETTINGS, loop=loop))
    assert run.run(bar)
    assert run.state.epoch == 2


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_weights_or_the_last_are_kept(
    tmp_path: Path, bar: Bar, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of three evaluations is the best; `keep = "last"` keeps the third."""
    rates = iter([3, 1, 2])
    monkeypatch.setattr(CtcTask, "errors", lambda self, batch: Counts(hits=2, substitutions=next(rates)))
    saved: list[int] = []
    run = training(tmp_path, replace(SETTINGS, loop=LoopSettings(epochs=3, batch_s=60.0, keep=keep)))
    monkeypatch.setattr(run.task, "save", lambda folder: saved.append(run.state.epoch))
    run.run(bar)
    assert saved == ([1, 2] if keep == "best" else [1, 2, 3])
    assert run.state.best == 1 / 3


def test_the_saved_model_has_its_share_of_the_start(tmp_path: Path, bar: Bar) -> None:
    """What is learned is the same without it, also by a training that was interrupted."""
    loop = replace(SETTINGS.loop, epochs=4, dev_every=2, keep="last")
    shared = replace(SETTINGS, model=replace(SETTINGS.model, start_share=0.25), loop=loop)
    whole, other, alone = training(tmp_path / "a", shared), training(tmp_path / "b", shared), training(tmp_path / "c")
    alone.settings = replace(SETTINGS, loop=loop)
    start = {name: each.detach().clone() for name, each in whole.task.model.named_parameters()}
    assert whole.run(bar)
    assert not other.run(bar, stop_after_s=1e-9)
    other = training(tmp_path / "b", shared)
    assert other.run(bar)
    assert alone.run(bar)
    saved, resumed = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    learned = dict(alone.task.model.named_parameters())
    for name, each in whole.task.model.named_parameters():
        torch.testing.assert_close(each, learned[name])
        torch.testing.assert_close(saved[name], learned[name].lerp(start[name], 0.25))
        torch.testing.assert_close(resumed[name], saved[name])
        assert not torch.equal(saved[name], start[name])


@pytest.mark.parametrize("model", ["start_share = 0.4", 'start = "somewhere"\nstart_share = 1.0', "start_share = -0.1"])
def test_a_share_of_the_start_that_cannot_be_is_refused(tmp_path: Path, model: str) -> None:
    """A random start is nothing to keep, and all of it is no training."""
    path = tmp_path / "a.toml"
    path.write_text(f'name = "a"\n[data]\ntrain = ["x"]\n[model]\n{model}\n')
    with pytest.raises(ConfigError, match=r"start_share is .*wanted a share"):
        load_settings(path)


def test_the_learning_rate_rises_and_falls() -> None:
    """Up to the peak at the end of the warm-up, down to 0 at the end."""
    rates = [learning_rate(progress, 1.0, 0.1) for progress in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(0.0)
