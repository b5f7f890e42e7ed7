"""Our network against Transformers', whose log-probabilities are the expected values; then the effect of chunks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from asr.models.ctc.network import CtcNetwork, StreamState
from asr.models.registry import load_model_files
from tests.asr.ctc_models import LAYOUTS, random_model, save
from tests.speech import RATE_HZ, clip

ALL = 10**6


def speech() -> np.ndarray:
    return clip("quick_brown_fox")[: 2 * RATE_HZ]


def expected(model: torch.nn.Module, samples: np.ndarray) -> torch.Tensor:
    """Transformers' log-probabilities ``(n, V)`` of samples as they are."""
    with torch.inference_mode():
        return model(torch.from_numpy(samples)[None]).logits[0].log_softmax(-1)


def network(model: torch.nn.Module, normalise: bool = False) -> CtcNetwork:
    return CtcNetwork(dict(model.state_dict()), model.config.to_dict(), normalise=normalise)


def chunked(net: CtcNetwork, samples: np.ndarray, right: int = ALL, left: int = ALL, chunk: int = 5000) -> torch.Tensor:
    """The settled log-probabilities of all frames ``(n, V)``, fed in chunks."""
    state, at, parts = StreamState(), 0, []
    for end in [*range(chunk, len(samples), chunk), len(samples)]:
        step = net.step([samples[at:end]], [state], [right], [left])[0]
        state, at = step.state, at + step.consumed
        parts.append(step.logprobs[: step.settled])
    return torch.cat([*parts, step.logprobs[step.settled :]])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_whole_recording_is_what_transformers_makes_of_it(layout: str) -> None:
    """wav2vec 2.0, HuBERT and WavLM, group norm and layer norm, before and after the layers."""
    model = random_model(layout)
    torch.testing.assert_close(
        network(model).step([speech()], [StreamState()], [ALL], [ALL])[0].logprobs,
        expected(model, speech()),
        atol=2e-5,
        rtol=0,
    )


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if "large" in name])
@pytest.mark.parametrize("chunk", [700, 5000])
def test_chunked_equals_whole_with_the_whole_recording_as_context(layout: str, chunk: int) -> None:
    """Where norms are a frame's own, chunks change nothing, whatever their length."""
    model = random_model(layout)
    torch.testing.assert_close(
        chunked(network(model), speech(), chunk=chunk), expected(model, speech()), atol=2e-5, rtol=0
    )


def test_the_longer_the_context_the_nearer_the_whole() -> None:
    """The error of the log-probabilities falls as the right context grows, and as the left does."""
    model = random_model("wav2vec2 large")
    net, whole = network(model), expected(model, speech())

    def error(right: int, left: int) -> float:
        return float((chunked(net, speech(), right, left) - whole).abs().mean())

    by_right = [error(right, ALL) for right in (2, 8, 32, ALL)]
    by_left = [error(ALL, ALL), error(32, 60), error(32, 4)]
    assert by_right == sorted(by_right, reverse=True)
    assert by_left == sorted(by_left)
    assert by_right[-1] < 1e-5 < by_right[-2]


def test_norms_over_time_are_those_of_the_audio_up_to_now() -> None:
    """`base` models and `do_normalize` use statistics of a recording, here of the audio up to now: equal in one call,
    near in chunks, and nearer the more audio was fed."""
    model = random_model("wav2vec2 base")
    samples = np.tile(speech(), 4)
    scaled = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)  # Wav2Vec2FeatureExtractor
    whole = expected(model, scaled.astype(np.float32))
    net = network(model, normalise=True)
    at_once = net.step([samples], [StreamState()], [ALL], [ALL])[0].logprobs
    torch.testing.assert_close(at_once, whole, atol=1e-4, rtol=0)
    errors = (chunked(net, samples) - whole).abs().mean(-1)
    assert errors[-60:].mean() < 0.5 * errors[:60].mean()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_stream_does_not_see_its_neighbours(precision: str) -> None:
    """Three streams of different length in one step, in the middle of their utterances: the same as each alone."""
    model = random_model("wavlm large")
    net = CtcNetwork(dict(model.state_dict()), model.config.to_dict(), normalise=True, precision=precision)
    streams = [speech(), speech()[4000:20_000], clip("counting")[:9000]]
    first = [net.step([s[:6000]], [StreamState()], [10], [20])[0] for s in streams]
    rest = [s[step.consumed :] for s, step in zip(streams, first, strict=True)]
    states = [step.state for step in first]
    together = net.step(rest, states, [10] * 3, [20] * 3)
    for one, samples, state in zip(together, rest, states, strict=True):
        alone = net.step([samples], [state], [10], [20])[0]
        assert (one.settled, one.consumed) == (alone.settled, alone.consumed)
        torch.testing.assert_close(one.logprobs, alone.logprobs, atol=1e-5, rtol=0)


def test_less_than_one_frame_is_no_frame() -> None:
    """399 samples: nothing is written, and nothing is lost; with the 400th there is one."""
    net = network(random_model("wav2vec2 large"))
    none = net.step([speech()[:399]], [StreamState()], [10], [10])[0]
    assert (len(none.logprobs), none.consumed) == (0, 0)
    assert len(net.step([speech()[:400]], [none.state], [10], [10])[0].logprobs) == 1


def test_a_folder_of_transformers_is_loaded_whole(tmp_path: Path) -> None:
    """Weights, vocabulary and preprocessor as `save_pretrained` writes them."""
    model = random_model("hubert large")
    files = load_model_files(str(save(model, tmp_path / "m", normalise=False)))
    assert (files.architecture, files.vocabulary.blank, files.vocabulary.normalise) == ("hubert", 0, False)
    net = CtcNetwork(files.tensors, files.config, normalise=False)
    output = net.step([speech()], [StreamState()], [ALL], [ALL])[0].logprobs
    torch.testing.assert_close(output, expected(model, speech()), atol=2e-5, rtol=0)
