"""The encoder of the real default model over a window that grows."""

import numpy as np
import pytest

from asr.engine import Engine
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
