"""A student that Whisper's encoder teaches: told in time with what it hears, it learns; its folder is a start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from asr.errors import ConfigError, ModelError
from asr.models.whisper_encoder import FRAME_SAMPLES
from eval.progress import Bar
from tests.speech import RATE_HZ, clip
from tests.train.learned import PLAIN, SETTINGS, TINY, examples
from train.augment import Augmenter, faster
from train.config import AugmentSettings, LoopSettings, ModelSettings, TeacherSettings, TrainSettings, load_settings
from train.ctc import ctc_task
from train.data import Example, Heard, Split
from train.distil import distil_task, frame_centres, targets
from train.loop import Training
from train.teacher import Teacher, clusters, taught, teacher_of

CPU = torch.device("cpu")
UNITS = 12
TEACHER = TeacherSettings(layer=2, units=UNITS)
DISTIL = replace(SETTINGS, kind="distil", loop=LoopSettings(epochs=30, batch_s=4.0, learning_rate=3e-3, dev_every=2))


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return teacher_of(TEACHER)


def distilling(folder: Path, settings: TrainSettings = DISTIL) -> Training:
    torch.manual_seed(1)
    split = taught(Split(examples(), examples(), "data"), TEACHER, 0, folder / "units.npz")
    task = distil_task(settings.model, settings.augment, UNITS, CPU)
    return Training(settings, task, split, Augmenter(settings.augment), folder)


def test_a_student_learns_what_its_teacher_hears_and_is_a_start_for_ctc(tmp_path: Path) -> None:
    """The frame error rate falls; what it heard with is what the CTC model begins with, letters are the labels'."""
    told: list[str] = []
    run = distilling(tmp_path / "start")
    assert run.run(Bar(advance=lambda _: None, say=told.append))
    rates = [row["dev"] for row in run.state.curve]
    assert 0.5 < rates[0] < 1
    assert rates[-1] < 0.1
    assert "dev frame error rate" in told[0]
    task = ctc_task(ModelSettings(start=str(tmp_path / "start")), PLAIN, ("a", "b"), CPU)
    assert task.letters == ("a", "b")
    student = load_file(tmp_path / "start/model.safetensors")
    for name, parameter in task.model.wav2vec2.state_dict().items():
        assert torch.equal(parameter, student[name])
    samples = clip("hello_world")
    np.testing.assert_array_equal(task._scaled(samples), samples)  # as they are: so the student heard them


def test_a_frames_centre_is_the_middle_of_the_samples_that_move_it() -> None:
    """By the gradient of one frame of a random stack of convolutions."""
    body = distil_task(replace(TINY, filters="random"), PLAIN, 4, CPU).model.eval().wav2vec2
    samples = torch.randn(1, 8000, requires_grad=True)
    body.feature_extractor(samples)[0, :, 5].sum().backward()
    assert samples.grad is not None
    moved = samples.grad[0].nonzero()[:, 0]
    centre = frame_centres(TINY.conv_kernel, TINY.conv_stride, 6)[5]
    assert centre == (int(moved[0]) + int(moved[-1])) / 2


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_targets_stay_in_time_with_a_recording_played_faster(speed: float) -> None:
    """A teacher whose unit is the number of its frame: each centre has that of its time in the recording as spoken."""
    spoken = Example(np.zeros(3 * RATE_HZ, np.float32), "", "a", Heard(np.arange(150), 3 * RATE_HZ))
    played = replace(spoken, samples=faster(spoken.samples, speed))
    centres = frame_centres((400, 3), (160, 2), 60)
    told = targets(played, centres)
    np.testing.assert_allclose(told, centres * speed / FRAME_SAMPLES, atol=0.51)


def test_the_teachers_states_are_in_time_with_its_sound(teacher: Teacher) -> None:
    """A click's state moves most where the click is."""
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32)
    click = quiet.copy()
    click[RATE_HZ : RATE_HZ + 160] += 0.5
    shallow = replace(teacher, layer=1)
    moved = (shallow.states(click) - shallow.states(quiet)).abs().mean(1)
    assert len(moved) == 100
    assert abs(int(moved.argmax()) - 50) <= 2


def test_units_are_clusters_whatever_a_dimensions_scale() -> None:
    """Three heaps of points that only the narrower of two dimensions tells apart."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600)
    points = np.stack([truth * 0.1 + 0.003 * rng.standard_normal(600), 10 * rng.standard_normal(600) ** 0], 1)
    (found, again) = clusters([torch.from_numpy(points).float()] * 2, 1, 3, 1)
    pairs = {*zip(truth.tolist(), found.tolist(), strict=True)}
    assert len(pairs) == 3
    np.testing.assert_array_equal(found, again)


def test_a_training_that_goes_on_need_not_listen_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Units are kept in a file, for the same teacher, seed and data only."""
    split, kept = Split(examples(), examples()[:1], "data"), tmp_path / "units.npz"
    first = taught(split, TEACHER, 0, kept)
    listening: list[TeacherSettings] = []
    monkeypatch.setattr("train.teacher.teacher_of", lambda settings: listening.append(settings) or teacher_of(settings))
    again = taught(split, TEACHER, 0, kept)
    assert not listening
    for one, other in zip((*first.train, *first.dev), (*again.train, *again.dev), strict=True):
        assert one.heard is not None
        assert other.heard is not None
        assert one.heard.samples == other.heard.samples
        np.testing.assert_array_equal(one.heard.units, other.heard.units)
    taught(replace(split, sha256="other"), TEACHER, 0, kept)
    assert listening == [TEACHER]


def test_a_teacher_that_cannot_teach_is_refused(tmp_path: Path) -> None:
    """A CTC model, a layer that is not there, joined recordings, a start: one sentence each."""
    from tests.asr.ctc_models import random_model, save

    folder = save(random_model("wav2vec2 large"), tmp_path)
    with pytest.raises(ModelError, match=r"is a wav2vec2 model, wanted a Whisper model as teacher\.model"):
        teacher_of(TeacherSettings(model=str(folder)))
    with pytest.raises(ConfigError, match=r"teacher\.layer is 9, wanted 1 to 4 for whisper-tiny\.en"):
        teacher_of(TeacherSettings(layer=9))
    with pytest.raises(ConfigError, match=r"have \d+ frames, wanted at least teacher\.units = 5000"):
        taught(Split(examples(), (), "data"), TeacherSettings(units=5000), 0, tmp_path / "units.npz")
    with pytest.raises(ConfigError, match=r"augment\.join is 2 .* the teacher heard no joined recordings"):
        distil_task(TINY, AugmentSettings(join=2), UNITS, CPU)
    with pytest.raises(ConfigError, match=r"model\.start is 'whisper-tiny\.en', wanted random"):
        distil_task(replace(TINY, start="whisper-tiny.en"), PLAIN, UNITS, CPU)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """The kinds are named."""
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\nkind = "gan"\n[data]\ntrain = []\n')
    with pytest.raises(ConfigError, match="kind is 'gan', wanted ctc, whisper or distil"):
        load_settings(path)
