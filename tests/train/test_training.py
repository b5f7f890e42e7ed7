"""Training from chance on two clips: to zero errors, on the same path after a kill, and used at once by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.engine import Engine
from asr.errors import CallerError, ConfigError
from asr.models.base import Window
from eval.metrics.word_errors import Counts
from eval.progress import Bar
from tests.speech import RATE_HZ, clip
from tests.train.learned import PLAIN, SETTINGS, TINY, examples, training
from train.augment import Augmenter, faster
from train.config import AugmentSettings, DataSettings, LabelSettings, LoopSettings, ModelSettings
from train.ctc_task import CtcTask, case_of, check_labels, ctc_task
from train.data import Example, check_letters, load_split, written
from train.filters import PHASES, mel_filters
from train.loop import RECORD, WORK, is_finished, learning_rate

CPU = torch.device("cpu")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def bar(told: list[str]) -> Bar:
    return Bar(advance=lambda _: None, say=told.append)


def test_a_few_recordings_are_learned_to_zero_errors(
    tmp_path: Path, bar: Bar, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a minute; the model is then found by its name and writes the same."""
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path))
    run = training(tmp_path / "tiny")
    assert run.run(bar)
    assert run.state.best == 0.0
    assert "min left" in told[0]
    record = json.loads(run.write_record({"commit": "c"}).read_text())
    assert (record["measure"], record["best_dev"]) == ("WER", 0.0)
    assert [row["epoch"] for row in record["curve"]] == list(range(10, 121, 10))
    engine = Engine.load("tiny", precision="float32")
    heard = engine.recogniser.place(examples()[1].samples, examples()[1].text)
    assert min(word.score for word in heard) > 0.2
    for example in examples():
        (hypothesis,) = engine.recogniser.recognise([Window(example.samples)])
        assert "".join(piece.text for piece in hypothesis.pieces).strip() == example.text


def test_a_killed_training_goes_on_where_it_was(tmp_path: Path, bar: Bar) -> None:
    """Stopped after each step and begun again: the same weights, bit by bit, as without a stop."""
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


def test_a_training_that_is_done_is_known_without_its_model(tmp_path: Path, bar: Bar) -> None:
    """Done is what has all its epochs; with more of them it goes on; another's folder is refused."""
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


def test_another_training_is_not_written_over(tmp_path: Path, bar: Bar) -> None:
    """A folder with other settings is refused; the sentence says what to do."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=1, dev_every=1))
    training(tmp_path, short).run(bar)
    with pytest.raises(ConfigError, match="other settings or data"):
        training(tmp_path, replace(short, loop=replace(short.loop, seed=9))).run(bar)
    assert (tmp_path / WORK / RECORD).parent.is_dir()


def test_a_training_may_go_on_for_longer_than_it_was_told(tmp_path: Path, bar: Bar) -> None:
    """The number of epochs is the one setting that may change."""
    short = replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=1, dev_every=1))
    training(tmp_path, short).run(bar)
    longer = training(tmp_path, replace(short, loop=replace(short.loop, epochs=2)))
    assert longer.run(bar)
    assert [row["epoch"] for row in longer.state.curve] == [1, 2]


def test_training_stops_early_when_nothing_gets_better(tmp_path: Path, bar: Bar) -> None:
    """With a learning rate of nothing the second look is no better than the first."""
    loop = LoopSettings(epochs=50, learning_rate=0.0, patience=1, seed=1)
    run = training(tmp_path, replace(SETTINGS, loop=loop))
    assert run.run(bar)
    assert run.state.epoch == 2


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_best_weights_or_the_last_are_kept(
    tmp_path: Path, bar: Bar, keep: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three looks the second is the best; the last is kept where the settings ask for it."""
    rates = iter([3, 1, 2])
    monkeypatch.setattr(CtcTask, "errors", lambda self, batch: Counts(hits=2, substitutions=next(rates)))
    saved: list[int] = []
    run = training(tmp_path, replace(SETTINGS, loop=LoopSettings(epochs=3, batch_s=60.0, keep=keep)))
    monkeypatch.setattr(run.task, "save", lambda folder: saved.append(run.state.epoch))
    run.run(bar)
    assert saved == ([1, 2] if keep == "best" else [1, 2, 3])
    assert run.state.best == 1 / 3


def test_frozen_layers_stay_as_they_are(tmp_path: Path, bar: Bar) -> None:
    """By the beginning of their names; a name that nothing has is refused."""
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
    """Its vocabulary stays; labels with other letters are listed and refused, or mapped by a rule."""
    run = training(tmp_path / "a", replace(SETTINGS, loop=replace(SETTINGS.loop, epochs=1, dev_every=1)))
    run.run(bar)
    task = ctc_task(ModelSettings(start=str(tmp_path / "a")), PLAIN, (), CPU)
    assert task.letters == run.task.letters
    strange = [Example(clip("hello_world"), "héllo world 7", "a")]
    with pytest.raises(CallerError, match=r"2 letters that .* does not have: 'é' \(1\), '7' \(1\)"):
        check_labels(task, strange, LabelSettings(), "the model")
    rules = LabelSettings(replace=("é=e", "7=seven"), drop="!")
    assert written("Héllo 7!", replace(rules, case="upper")) == "HELLO SEVEN"


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


def test_letters_are_counted_where_they_are_refused() -> None:
    """The most frequent first."""
    with pytest.raises(CallerError, match=r"'x' \(3\), 'y' \(1\)"):
        check_letters(["xx y", "ax"], "a", "here")
    assert (case_of(["A", "B", "|", "<pad>"]), case_of(["a", "|"]), case_of(["a", "B"])) == ("upper", "lower", "keep")


def test_speakers_that_are_left_out_are_left_out(tmp_path: Path) -> None:
    """And a speaker who is not there is a mistake."""
    import soundfile

    rows = []
    for i, speaker in enumerate("aabbcc"):
        soundfile.write(tmp_path / f"{i}.wav", clip("hello_world"), RATE_HZ)
        rows.append(json.dumps({"audio_filepath": f"{i}.wav", "text": "Hi", "speaker": speaker}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(rows))
    settings = DataSettings(train=(str(tmp_path),), left_out_speakers=("a",), dev_speakers=("c",))
    split = load_split(settings, LabelSettings(case="lower"), 0)
    assert ([e.speaker for e in split.train], [e.speaker for e in split.dev]) == (["b", "b"], ["c", "c"])
    assert split.train[0].text == "hi"
    with pytest.raises(ConfigError, match="no recording is by speaker 'd'; the speakers are a, b, c"):
        load_split(replace(settings, left_out_speakers=("d",)), LabelSettings(), 0)


def test_speed_moves_pitch_and_length() -> None:
    """A tone of 400 Hz played 1.25 times as fast is one of 500 Hz, and shorter."""
    tone = np.sin(2 * np.pi * 400 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    fast = faster(tone, 1.25)
    assert len(fast) == RATE_HZ / 1.25
    assert np.abs(np.fft.rfft(fast)).argmax() * RATE_HZ / len(fast) == pytest.approx(500)


def test_augmentation_grows_over_its_ramp() -> None:
    """At the beginning single clean examples, at the end of the ramp what the settings say."""
    augmenter = Augmenter(AugmentSettings(ramp=0.5, join=5, speed=(0.8, 1.2), gain_db=(-10.0, 10.0), noise_share=0.6))
    start, half, end = (augmenter.at(progress).settings for progress in (0.0, 0.25, 0.9))
    assert (start.join, start.speed, start.noise_share) == (1, (1.0, 1.0), 0.0)
    assert (half.join, half.speed, half.noise_share) == (3, pytest.approx((0.9, 1.1)), pytest.approx(0.3))
    assert end == augmenter.settings
    (batch,) = augmenter.epoch(examples(), 100.0, np.random.default_rng(0))
    assert sorted(word for e in batch for word in e.text.split()) == sorted(
        " ".join(e.text for e in examples()).split()
    )


def test_mel_filters_tell_a_tone_whatever_its_phase() -> None:
    """The four phases of a band, rectified, sum to about the same for a tone that begins anywhere."""
    filters = mel_filters(40 * PHASES, 400)[:, 0].numpy()
    sums = []
    for phase in np.linspace(0, 2 * np.pi, 9):
        tone = np.sin(2 * np.pi * 1000 * np.arange(400) / RATE_HZ + phase)
        sums.append(np.maximum(filters @ tone, 0).reshape(-1, PHASES).sum(1))
    strength = np.array(sums)
    band = strength.mean(0).argmax()
    assert strength[:, band].max() / strength[:, band].min() < 1.02 * np.sqrt(2)  # |sin| + |cos| lies in [1, sqrt 2]
    assert strength.mean(0)[[2, -2]].max() < 0.2 * strength.mean(0)[band]


def test_the_learning_rate_rises_and_falls() -> None:
    """Up to the peak at the end of the warm-up, down to nothing at the end."""
    rates = [learning_rate(progress, 1.0, 0.1) for progress in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert rates[0] < rates[1] < rates[2]
    assert rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(0.0)
