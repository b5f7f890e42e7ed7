"""The encoder of the real default model over a window that grows."""

import numpy as np
import pytest
import torch

from asr.engine import Engine
from asr.models.base import Window
from asr.models.whisper.network import WhisperNetwork
from tests.speech import RATE_HZ, speech

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def network(whisper_tiny_float32: Engine) -> WhisperNetwork:
    return whisper_tiny_float32.recogniser.network


def test_an_extended_window_equals_a_whole_one_when_nothing_settles(network: WhisperNetwork) -> None:
    """If no frame is settled, the memory of a shorter window changes nothing: numerically the same keys."""
    samples = speech()[: 6 * RATE_HZ]
    whole = network.encode(samples)
    grown = network.encode(samples[: 4 * RATE_HZ])
    grown = network.encode(samples, grown, settle_frames=1500)
    for a, b in zip(whole.layers, grown.layers, strict=True):
        np.testing.assert_allclose(a.keys.numpy(), b.keys.numpy(), atol=1e-5)


def test_settled_frames_approach_the_whole_encoding_as_more_audio_follows_them(network: WhisperNetwork) -> None:
    """Settled after 3 s, the states are nearer to the published encoder's than settled after 0.5 s."""
    samples = speech()[: 7 * RATE_HZ]
    whole = network.encode(samples).layers[0].values

    def distance(settle_s: float) -> float:
        memory = None
        for end_s in (3, 4, 5, 6, 7):
            memory = network.encode(samples[: end_s * RATE_HZ], memory, round(settle_s / 0.02))
        assert memory is not None
        return float((memory.layers[0].values - whole).norm() / whole.norm())

    near, far = distance(3.0), distance(0.5)
    assert near < far
    assert near < 0.1


def test_a_compiled_decoder_gives_the_same_bits(whisper_tiny: Engine) -> None:
    """A short recording is decoded without compiling, a long one with it: words, times and confidences are equal."""
    compiled, plain = whisper_tiny.recogniser, Engine.load("whisper-tiny.en", compiled=False).recogniser
    assert not isinstance(plain.network._decoder, torch.jit.ScriptModule)
    assert isinstance(compiled.network._decoder, torch.jit.ScriptModule)
    windows = [Window(speech()), Window(speech()[: 3 * RATE_HZ])]
    assert [h.pieces for h in plain.recognise(windows)] == [h.pieces for h in compiled.recognise(windows)]
    plain.compile()
    assert [h.pieces for h in plain.recognise(windows)] == [h.pieces for h in compiled.recognise(windows)]
