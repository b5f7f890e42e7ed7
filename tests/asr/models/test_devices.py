"""Models on a second device: nothing is left on the CPU by mistake, and the texts are the same. No GPU is needed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from asr.engine import Engine
from asr.errors import ConfigError
from asr.events import text_of
from asr.models.base import Hypothesis, Window
from asr.models.registry import find_model
from tests.asr.models.two_devices import TwoDevices
from tests.properties import run
from tests.speech import clip, silence


@pytest.mark.parametrize(
    ("device", "precision", "sentence"),
    [
        ("gpu", "auto", "unknown device 'gpu'; use cpu, cuda, or cuda:1 for the second GPU"),
        ("cuda:x", "auto", "unknown device 'cuda:x'"),
        ("cuda:", "auto", "unknown device 'cuda:'"),
        ("cpu:1", "auto", "unknown device 'cpu:1'"),
        ("", "auto", "unknown device ''"),
        ("cuda:99", "auto", "device cuda:99 is not here: found"),
    ],
)
def test_a_device_that_cannot_be_used_is_named(device: str, precision: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        Engine.load("whisper-tiny.en", device=device, precision=precision)
    assert sentence in str(error.value)


def test_int8_is_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="int8 is computed on CPUs only; on a GPU use bfloat16 or float32"):
        Engine.load("whisper-tiny.en", device="cuda", precision="int8")


def windows() -> list[Window]:
    sound = np.concatenate([silence(0.3), clip("quick_brown_fox"), silence(0.5), clip("hello_world"), silence(0.3)])
    part = len(sound) // 2
    return [Window(sound), Window(clip("hello_world")), Window(sound[:part], hotwords=("Foxx",))]


def texts(hypotheses: list[Hypothesis]) -> list[str]:
    return ["".join(piece.text for piece in hypothesis.pieces) for hypothesis in hypotheses]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whisper-tiny.en", "whisper-base", "learned"])
def test_a_model_computes_on_one_device(name: str, learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that grow, in batches of unequal lengths, with hotwords and a language to be found: as on the CPU."""
    monkeypatch.setattr("asr.models.whisper.network.scripted", lambda module: module)  # a script calls no Python
    architecture, source = find_model(str(learned) if name == "learned" else name)
    files = architecture.load_files(name, source)
    here = architecture.recogniser(files, "float32")
    with TwoDevices() as devices:
        there = architecture.load(name, source, "float32", "cuda")
        devices.calls = 0
        for some in (windows(), windows()[:1]):
            assert texts(there.recognise(some)) == texts(here.recognise(some)) != [""] * len(some)
        if name != "learned":
            assert there.place(clip("hello_world"), "hello world")
        assert devices.calls > 300


@pytest.mark.slow
def test_a_stream_on_another_device_has_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.models.whisper.network.scripted", lambda module: module)
    sound = np.concatenate([silence(0.3), clip("quick_brown_fox"), silence(0.8), clip("hello_world"), silence(0.8)])
    architecture, source = find_model("whisper-tiny.en")
    with TwoDevices():
        there = streamed(Engine(architecture.load("whisper-tiny.en", source, "float32", "cuda")), sound)
    here = Engine(architecture.recogniser(architecture.load_files("whisper-tiny.en", source), "float32"))
    assert there == streamed(here, sound) != ""


def streamed(engine: Engine, sound: np.ndarray) -> str:
    return text_of(run(engine, sound, engine.open()))
