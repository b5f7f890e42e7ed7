"""A student that starts as Whisper's encoder: it learns the teacher's states, and its folder is a start for CTC."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from asr.errors import ConfigError, ModelError
from asr.model_files import list_models
from asr.models.whisper.encoder import FRAME_SAMPLES
from eval.progress import Bar
from tests.speech import RATE_HZ, clip
from tests.train.learned import PLAIN, SETTINGS, TINY, examples
from train.augment import Augmenter, faster
from train.config import AugmentSettings, LoopSettings, ModelSettings, TeacherSettings, TrainSettings, load_settings
from train.ctc_task import ctc_task
from train.data import Example, Split, TeacherStates
from train.distil_task import DistilTask, Student, distil_task, first_centre, targets
from train.loop import Training
from train.teacher import LAYERS, Teacher, load_teacher

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
FRONT = ("wavlm.feature_extractor", "wavlm.feature_projection")


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return load_teacher(TeacherSettings())


def student(
    teacher: Teacher, model: ModelSettings = TINY, augment: AugmentSettings = PLAIN
) -> tuple[DistilTask, tuple[Example, ...]]:
    """A student from a fixed seed, and its examples."""
    torch.manual_seed(1)
    task, split = distil_task(model, augment, teacher, Split(examples(), examples(), "data"), CPU)
    return task, split.train


def learned(folder: Path, task: DistilTask, data: tuple[Example, ...], epochs: int) -> tuple[Training, list[str]]:
    loop = LoopSettings(epochs=epochs, batch_s=4.0, learning_rate=2e-3, dev_every=epochs)
    settings: TrainSettings = replace(SETTINGS, kind="distil", loop=loop)
    messages: list[str] = []
    run = Training(settings, task, Split(data, data, "data"), Augmenter(PLAIN), folder)
    assert run.run(Bar(advance=lambda _: None, say=messages.append))
    return run, messages


def test_a_student_learns_its_teachers_states_and_is_a_start_for_ctc(
    tmp_path: Path, teacher: Teacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First its front-end alone, then all of it; the CTC model starts with its weights and new letters."""
    front, data = student(teacher, replace(TINY, train_only=FRONT))
    layers = {name: tensor.clone() for name, tensor in front.model.state_dict().items() if "encoder.layers" in name}
    unlearned = front.loss(data).item()
    learned(tmp_path / "front", front, data, 60)
    assert front.loss(data).item() < unlearned / 4
    for name, tensor in layers.items():
        assert torch.equal(front.model.state_dict()[name], tensor)
    whole, data = student(teacher, replace(TINY, start=str(tmp_path / "front")))
    begun = whole.loss(data).item()
    run, messages = learned(tmp_path / "start", whole, data, 40)
    assert whole.loss(data).item() < begun / 2
    assert run.state.best < 0.25
    assert "dev frame error rate" in messages[0]
    task = ctc_task(ModelSettings(start=str(tmp_path / "start")), PLAIN, ("a", "b"), CPU)
    assert task.letters == ("a", "b")
    kept = load_file(tmp_path / "start/model.safetensors")
    for name, parameter in task.model.wavlm.state_dict().items():
        assert torch.equal(parameter, kept[name])
    samples = clip("hello_world")
    np.testing.assert_array_equal(task._scaled(samples), samples)  # unscaled, as the student received them
    monkeypatch.setenv("STEADYWORD_MODELS", str(tmp_path))
    descriptions = {status.name: status.description for status in list_models()}
    assert descriptions["start"] == "trained on this machine: a start for training, no output layer"


def test_the_students_transformer_is_the_teachers_but_for_positions(
    teacher: Teacher,
) -> None:
    """Given the teacher's front-end and no positions in either, each layer gives the teacher's output."""
    body = student(teacher)[0].model.eval().wavlm
    with torch.no_grad():
        body.encoder.layers[0].attention.rel_attn_embed.weight.zero_()
        x = teacher.front(examples()[0].samples)[None]
        mine, bias, theirs = x, None, x
        for own, other in zip(body.encoder.layers, teacher.encoder.layers, strict=True):
            mine, bias = own(mine, position_bias=bias)
            theirs = other(theirs, None)
            theirs = theirs[0] if isinstance(theirs, tuple) else theirs
            torch.testing.assert_close(mine, theirs, atol=2e-4, rtol=1e-4)


def test_a_frames_centre_is_the_middle_of_the_samples_that_move_it(
    teacher: Teacher,
) -> None:
    """By the gradient of one frame of a random stack of convolutions."""
    body = student(teacher, replace(TINY, filters="random"))[0].model.eval().wavlm
    samples = torch.randn(1, 8000, requires_grad=True)
    body.feature_extractor(samples)[0, :, 5].sum().backward()
    assert samples.grad is not None
    moved = samples.grad[0].nonzero()[:, 0]
    centre = first_centre(TINY.conv_kernel, TINY.conv_stride) + 5 * FRAME_SAMPLES
    assert centre == (int(moved[0]) + int(moved[-1])) / 2


@pytest.mark.parametrize("speed", [1.0, 0.8, 1.25])
def test_targets_stay_in_time_with_a_recording_played_faster(speed: float) -> None:
    """A teacher whose state is the frame's number: each centre has that of its time in the original recording."""
    states = torch.arange(150.0)[:, None, None].expand(-1, LAYERS, 3)
    spoken = Example(np.zeros(3 * RATE_HZ, np.float32), "", "a", TeacherStates(states, 3 * RATE_HZ))
    played = replace(spoken, samples=faster(spoken.samples, speed))
    centres = 519.5 + FRAME_SAMPLES * np.arange(60)
    states_at = targets(played, centres)
    assert states_at.shape == (60, LAYERS, 3)
    np.testing.assert_allclose(states_at[:, 0, 0], centres * speed / FRAME_SAMPLES, atol=0.1)


def test_a_front_is_in_time_with_the_students_frames(teacher: Teacher) -> None:
    """A click changes the teacher's front-end most in the student's frame that is centred on it."""
    task, _ = student(teacher)
    quiet = 1e-3 * np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32)
    click = quiet.copy()
    at = round(first_centre(TINY.conv_kernel, TINY.conv_stride)) + 40 * FRAME_SAMPLES
    click[at - 80 : at + 80] += 0.5
    fronts = [task._teacher_front([Example(samples, "", "a")], [90]) for samples in (quiet, click)]
    assert abs(int((fronts[1] - fronts[0]).abs().mean(1).argmax()) - 40) <= 1


def test_frames_nearest_to_their_own_are_hits(teacher: Teacher) -> None:
    """A student with the teacher's states makes no error, one with the reversed states hardly a hit."""
    task, data = student(teacher)
    expected = task._teacher_states(data, [60, 60])
    for states, fewest, most in ((expected, 12, 12), (expected.flip(0), 0, 2)):
        task._student_outputs = lambda batch, states=states: (states[:, 0], states, [60, 60])  # type: ignore[method-assign]
        assert fewest <= task.errors(data).hits <= most


def test_a_teacher_that_cannot_teach_is_refused(tmp_path: Path, teacher: Teacher) -> None:
    """A CTC model as teacher or start, another frame rate, joined recordings: one sentence each."""
    from tests.asr.ctc_models import random_model, save

    folder = save(random_model("wav2vec2 large"), tmp_path)
    with pytest.raises(ModelError, match=r"is a wav2vec2 model, wanted a Whisper model as teacher\.model"):
        load_teacher(TeacherSettings(model=str(folder)))
    with pytest.raises(ConfigError, match=r"conv_stride \[160, 3\] makes a frame every 480 samples, wanted 320"):
        student(teacher, replace(TINY, conv_stride=(160, 3)))
    with pytest.raises(
        ModelError, match=r"is a wav2vec2 model, wanted random, or the model of an earlier kind = distil"
    ):
        student(teacher, replace(TINY, start=str(folder)))
    with pytest.raises(ConfigError, match=r"augment\.join is 2 .* the teacher's states are of single recordings"):
        student(teacher, augment=replace(PLAIN, join=2))


def test_a_frozen_transformer_needs_no_teacher_states(teacher: Teacher) -> None:
    """The teacher's states are computed only if the student trains on them."""
    task, data = student(teacher, replace(TINY, train_only=FRONT))
    assert all(example.teacher is None for example in data)
    assert isinstance(task.model, Student)
    assert not task.model.trains_transformer
    task, data = student(teacher)
    assert isinstance(task.model, Student)
    assert task.model.trains_transformer
    assert all(example.teacher is not None for example in data)


def test_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    """The kinds are named."""
    path = tmp_path / "x.toml"
    path.write_text('name = "x"\nkind = "gan"\n[data]\ntrain = []\n')
    with pytest.raises(ConfigError, match="kind is 'gan', wanted ctc, whisper or distil"):
        load_settings(path)
