"""The whole loop with real parts: speech from a telephone, an alarm, what it is like, a training, a gate, a promotion.

`asr serve`, `asr monitor --pipeline` and what that starts are processes, and clients speak to the server. The first
training spoils the weights and is rejected at the gate; the second one, with small steps, is promoted after its trial.
`tests.ops.rollouts` says what is unreal; here all recordings are one clip at different levels over different noise.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr import cli
from asr.config import SAMPLE_RATE_HZ
from asr.ledger import Pipelines
from asr.ledger.pipelines import DONE, REJECTED, STEPS, StepRow
from eval.data.effects import CODECS, coded, telephone
from ops.drift.detector import LEAST_UNITS
from server.client.protocol import pcm16
from tests.ops.rollouts import BATCH, NAME, Said, World
from tests.server.running import FOX
from tests.speech import clip, silence

pytestmark = [pytest.mark.slow, pytest.mark.model, pytest.mark.timeout(1800)]

LIKE = "telephone+mulaw"
LABELS = 9
"""New labels that start a run."""
SPOILT, SMALL = 0.01, 1e-7
"""Learning rates: of a training that ruins the weights, and of one that hardly changes them."""
TRAINING = """
name = "loop"
kind = "whisper"
[data]
train = ["{folder}/training"]
dev_share = 0.2
[labels]
case = "lower"
[model]
start = "{name}@champion"
[loop]
epochs = 1
learning_rate = {rate}
warmup_share = 0.0
keep = "last"
threads = 1
"""
PIPELINE = """
name = "{name}"
work = "work"
rollout = "policy.toml"
[train]
config = "train.toml"
[eval]
data = ["standing"]
mode = "offline"
[audit]
refuse_leaks = false
[gate]
max_wer_rise = 5.0
[shadow]
share = 1.0
[triggers]
labels = {labels}
cooldown_hours = 0
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    for name, speakers in (("training", 5), ("standing", 14)):
        written(tmp_path / name, speakers)
    train_with(tmp_path, SPOILT)
    start_after(tmp_path, LABELS)
    made = World(tmp_path, "--pipeline", tmp_path / "pipeline.toml")
    try:
        yield made
    finally:
        made.stop()


def test_a_telephone_is_found_explained_trained_for_gated_and_promoted(world: World) -> None:
    become_usual(world)
    said = speak_by_telephone_until_an_alarm(world)
    assert not Pipelines(world.ledger).runs(NAME)  # a shift alone starts nothing

    label(world, said)
    rejected = end_of_run(world, 1)
    assert (rejected.step, rejected.state) == ("gate", REJECTED)
    assert "worse" in rejected.why
    assert world.champion == 1
    assert len(world.ledger.releases(NAME)) == 1

    train_with(world.folder, SMALL)
    label(world, world.speak(LABELS))
    world.until(lambda: "shadow" in made(world, 2) or has_ended(world, 2))
    assert made(world, 2)[:6] == list(STEPS[:6]), Pipelines(world.ledger).steps(NAME)[-1].why
    start_after(world.folder, 0)  # else the labels of the trial start a third run, which outlives this test
    world.errors[2] = world.errors[1]
    assert world.speak_until_verdict(2) == ["canary", "promoted"]
    assert end_of_run(world, 2).step == "promote"
    assert made(world, 2) == list(STEPS)
    world.settle()
    assert world.speak(1)[0].release == f"{NAME}/2"
    condition = {run.settings["condition"] for run in Pipelines(world.ledger).runs(NAME)}
    assert condition == {LIKE}


def become_usual(world: World) -> None:
    """Streams of wide-band speech become the reference; the same kind of speech is measured under two conditions."""
    world.say([pcm16(recording(number)) for number in range(20)], FOX)
    for _ in range(-(-LEAST_UNITS // BATCH)):
        world.speak(BATCH)
    world.until(lambda: len(world.ledger.vitals(NAME)) >= LEAST_UNITS)
    at = ["--ledger", str(world.place)]
    assert cli.run(["drift", "reference", NAME, *at]) == 0
    assert cli.run(["drift", "conditions", NAME, "--data", str(world.folder / "standing"), *at]) == 0


def speak_by_telephone_until_an_alarm(world: World) -> list[Said]:
    """The alarm names what the shift is like, what that costs, and the command that repeats it."""
    world.say([pcm16(by_telephone(recording(number))) for number in range(6)], FOX)
    world.know(1, world.tiny)
    said = list[Said]()
    while not world.ledger.alarms(NAME):
        assert len(said) < LEAST_UNITS, "no alarm"
        said += world.speak(BATCH)
    first = world.ledger.alarms(NAME)[0]
    assert first.kind == "shift"
    assert first.evidence["nearest"] == LIKE
    assert f"most like {LIKE}: the own sets" in first.sentence
    assert f"--condition {LIKE}" in first.evidence["command"]
    return said


def label(world: World, said: list[Said]) -> None:
    """What was said by telephone gets labels, enough for a run."""
    world.label((one.stream_id, 1) for one in said[:LABELS])


def end_of_run(world: World, run: int) -> StepRow:
    """Its last step."""
    world.until(lambda: has_ended(world, run))
    return [row for row in Pipelines(world.ledger).steps(NAME) if row.run == run][-1]


def has_ended(world: World, run: int) -> bool:
    rows = [row for row in Pipelines(world.ledger).steps(NAME) if row.run == run]
    return bool(rows) and (rows[-1].state not in (DONE, "started", "waiting") or made(world, run) == list(STEPS))


def made(world: World, run: int) -> list[str]:
    """The steps that are done."""
    return [row.step for row in Pipelines(world.ledger).steps(NAME) if (row.run, row.state) == (run, DONE)]


def train_with(folder: Path, rate: float) -> None:
    (folder / "train.toml").write_text(TRAINING.format(folder=folder, name=NAME, rate=rate))


def start_after(folder: Path, labels: int) -> None:
    """How many new labels start a run; 0: none do. The monitor reads the file again."""
    temporary = folder / "pipeline.tmp"
    temporary.write_text(PIPELINE.format(name=NAME, labels=labels))
    temporary.replace(folder / "pipeline.toml")


def written(folder: Path, speakers: int) -> None:
    """A labelled set: one recording for each speaker."""
    folder.mkdir()
    lines = []
    for number in range(speakers):
        samples = recording(1000 * speakers + number)
        soundfile.write(folder / f"{number}.wav", samples, SAMPLE_RATE_HZ)
        row = {"audio_filepath": f"{number}.wav", "text": FOX, "duration": len(samples) / SAMPLE_RATE_HZ}
        lines.append(json.dumps(row | {"speaker": f"{folder.name} {number}"}) + "\n")
    (folder / "manifest.jsonl").write_text("".join(lines))


def recording(number: int) -> np.ndarray:
    """The clip at some level over noise at some level."""
    random = np.random.default_rng(number)
    samples = np.concatenate([silence(0.3), clip("quick_brown_fox"), silence(0.3)]) * random.uniform(0.5, 1.0)
    snr_db = random.uniform(10, 25)
    noise = random.standard_normal(len(samples)) * np.sqrt(np.mean(samples**2) / 10 ** (snr_db / 10))
    return (samples + noise).astype(np.float32)


def by_telephone(samples: np.ndarray) -> np.ndarray:
    return coded(telephone(samples), CODECS["mulaw"], None)
