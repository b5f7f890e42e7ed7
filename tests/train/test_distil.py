"""A student that Whisper's encoder teaches: told in time with what it hears, it learns; its folder is a start."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.errors import ConfigError, ModelError
from asr.models.whisper_encoder import FRAME_SAMPLES
from eval.progress import Bar
from tests.speech import RATE_HZ, clip
from tests.train.learned import PLAIN, SETTINGS, TINY, examples
from train.augment import Augmenter, faster
from train.config import AugmentSettings, LoopSettings, ModelSettings, TeacherSettings, TrainSettings, load_settings
from train.ctc import ctc_task
from train.data import Example, Heard, Split
from train.distil import Unexplained, distil_task, frame_centres, targets
from train.loop import Training
from train.teacher import Teacher, taught, teacher_of

CPU = torch.device("cpu")
DISTIL = replace(SETTINGS, kind="distil", loop=LoopSettings(epochs=30, batch_s=4.0, learning_rate=3e-3, dev_every=15))


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return teacher_of(TeacherSettings(layer=2))


def distilling(folder: Path, teacher: Teacher, settings: TrainSettings = DISTIL) -> Training:
    torch.manual_seed(1)
    split = taught(Split(examples(), examples(), "data"), teacher)
    task = distil_task(settings.model, settings.augment, teacher.width, CPU)
    return Training(settings, task, split, Augmenter(settings.augment), folder)


def test_a_student_learns_what_its_teacher_hears_and_is_a_start_for_ctc(tmp_path: Path, teacher: Teacher) -> None:
    """The unexplained variance falls; what it heard with is what the CTC model begins with, letters are the labels'."""
    told: list[str] = []
    run = distilling(tmp_path / "start", teacher)
    assert run.run(Bar(advance=lambda _: None, say=told.append))
    first, last = (row["dev"] for row in run.state.curve)
    assert last < first < 1
    assert last < 0.7
    assert "dev unexplained variance" in told[0]
    task = ctc_task(ModelSettings(start=str(tmp_path / "start")), PLAIN, ("a", "b"), CPU)
    assert task.letters == ("a", "b")
    student = run.task.model.state_dict()
    kept = {name: p for name, p in task.model.state_dict().items() if not name.startswith("lm_head")}
    assert kept.keys() == {name for name in student if not name.startswith("head")}
    assert all(torch.equal(p, student[name]) for name, p in kept.items())
    (samples,) = (task._scaled(clip("hello_world")),)
    np.testing.assert_array_equal(samples, clip("hello_world"))  # the start was told to take samples as they are


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
    """A teacher whose state is the time in seconds: at each centre it is the time in the recording as it was spoken."""
    times_s = (np.arange(150) * FRAME_SAMPLES / RATE_HZ).astype(np.float16)[:, None]
    spoken = Example(np.zeros(3 * RATE_HZ, np.float32), "", "a", Heard(times_s, 3 * RATE_HZ))
    played = replace(spoken, samples=faster(spoken.samples, speed))
    centres = frame_centres((400, 3), (160, 2), 60)
    told_s = targets(played, centres)[:, 0]
    np.testing.assert_allclose(told_s, centres / RATE_HZ * speed, atol=0.003)


def test_the_teachers_states_are_in_time_with_its_sound(teacher: Teacher) -> None:
    """A click's state moves most where the click is."""
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32)
    click = quiet.copy()
    click[RATE_HZ : RATE_HZ + 160] += 0.5
    shallow = replace(teacher, layer=1)
    moved = np.abs(shallow.states(click) - shallow.states(quiet)).mean(1)
    assert len(moved) == 100
    assert abs(int(moved.argmax()) - 50) <= 2


def test_taught_states_have_one_scale(teacher: Teacher) -> None:
    """Mean 0 and spread 1 over the training part, whatever Whisper's own are."""
    split = taught(Split(examples(), examples()[:1], "data"), teacher)
    states = np.concatenate([e.heard.states.astype(np.float32) for e in split.train if e.heard])
    assert states.shape[1] == teacher.width
    np.testing.assert_allclose(states.mean(0), 0, atol=5e-3)
    np.testing.assert_allclose(states.std(0), 1, atol=5e-3)


def test_unexplained_variance_adds_up() -> None:
    """The rate is derived last; of nothing there is none."""
    assert (Unexplained(1.0, 4.0) + Unexplained(2.0, 2.0)).rate == 0.5
    assert Unexplained().rate is None


def test_a_teacher_that_cannot_teach_is_refused(tmp_path: Path, teacher: Teacher) -> None:
    """A CTC model, a layer that is not there, joined recordings, a start: one sentence each."""
    from tests.asr.ctc_models import random_model, save

    folder = save(random_model("wav2vec2 large"), tmp_path)
    with pytest.raises(ModelError, match=r"is a wav2vec2 model, wanted a Whisper model as teacher\.model"):
        teacher_of(TeacherSettings(model=str(folder)))
    with pytest.raises(ConfigError, match=r"teacher\.layer is 9, wanted 1 to 4 for whisper-tiny\.en"):
        teacher_of(TeacherSettings(layer=9))
    with pytest.raises(ConfigError, match=r"augment\.join is 2 .* the teacher heard no joined recordings"):
        distil_task(TINY, AugmentSettings(join=2), teacher.width, CPU)
    with pytest.raises(ConfigError, match=r"model\.start is 'whisper-tiny\.en', wanted random"):
        distil_task(replace(TINY, start="whisper-tiny.en"), PLAIN, teacher.width, CPU)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """The kinds are named."""
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\nkind = "gan"\n[data]\ntrain = []\n')
    with pytest.raises(ConfigError, match="kind is 'gan', wanted ctc, whisper or distil"):
        load_settings(path)
