"""The second hearing on real weights: what a release says live, it says late and in other pieces too."""

import random
from typing import TYPE_CHECKING

import numpy as np
import pytest

from server.workers.messages import Audio, Call, End, Finalize, StreamOptions
from server.workers.remote import RemoteEngine
from server.workers.worker import RecognitionWorker
from tests.server.shadow.rig import live_text, second_hearing
from tests.server.workers.helpers import InProcess
from tests.speech import clip, silence, speech

if TYPE_CHECKING:
    from asr.engine import Engine


def remote(engine: "Engine") -> RemoteEngine:
    """The engine behind the server's messages."""
    made = RemoteEngine(InProcess(lambda: RecognitionWorker(engine)))
    made.await_ready()
    return made


def spoken_calls(samples: np.ndarray, seed: int) -> list[Call]:
    """Messages of 20 to 400 ms, as clients send them, with a request for a final in a word and one in a pause."""
    rng = random.Random(seed)
    calls: list[Call] = []
    start = 0
    while start < len(samples):
        size = rng.randrange(320, 6400)
        calls.append(Audio(samples[start : start + size]))
        start += size
    for place in (len(calls) // 5, len(calls) // 2):
        calls.insert(place, Finalize())
    return [*calls, End()]


@pytest.mark.slow
@pytest.mark.parametrize("options", [StreamOptions(partials=True), StreamOptions("en", hotwords=("Steadyword",))])
def test_the_shadow_of_tiny_en_says_what_tiny_en_says_live(whisper_tiny: "Engine", options: StreamOptions) -> None:
    """With partials and without, with keyterms, with requests for finals in the middle of words."""
    samples = np.concatenate([speech(), silence(0.6), clip("counting"), silence(0.2), clip("quick_brown_fox")])
    calls = spoken_calls(samples, seed=4)
    heard = second_hearing(remote(whisper_tiny), options, calls, load=[0.9] * 3)
    assert heard == live_text(remote(whisper_tiny), options, calls)
    assert "quick brown fox" in heard


@pytest.mark.slow
def test_the_shadow_detects_the_language_as_its_release_does_live(whisper_base: "Engine") -> None:
    """A multilingual release behind an English one: its own detection, on the same audio."""
    calls = spoken_calls(np.concatenate([silence(0.3), clip("counting"), silence(0.5)]), seed=5)
    heard = second_hearing(remote(whisper_base), StreamOptions(), calls, load=[])
    assert heard == live_text(remote(whisper_base), StreamOptions(), calls) != ""
