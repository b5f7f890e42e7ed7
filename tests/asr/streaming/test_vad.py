"""Voice activity against the package's own model, and the endpoint rules as a table."""

import numpy as np
import pytest
import silero_vad
import torch

from asr.config import VadSettings
from asr.streaming.vad import FRAME_SAMPLES, Activity, Endpointer, SileroVad, VadState
from tests.speech import speech


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad()


def test_probabilities_are_those_of_the_package(vad: SileroVad) -> None:
    """Our forward pass gives what `silero_vad`'s own TorchScript model gives, frame by frame."""
    samples = speech()
    samples = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    reference = silero_vad.load_silero_vad()
    expected = [reference(torch.from_numpy(frame), 16000).item() for frame in samples.reshape(-1, FRAME_SAMPLES)]
    got = vad.probabilities([VadState()], [samples])[0]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_streams_in_one_batch_do_not_touch_each_other(vad: SileroVad) -> None:
    """Pieces of several streams at once, of several lengths and of none, give what each gives alone."""
    one, two = speech()[: 60 * FRAME_SAMPLES], speech()[8000 : 8000 + 40 * FRAME_SAMPLES]
    alone = [vad.probabilities([VadState()], [samples])[0] for samples in (one, two)]
    states, got = [VadState(), VadState()], [[], []]
    for i in range(0, 60, 3):
        pieces = [samples[i * FRAME_SAMPLES : (i + 3) * FRAME_SAMPLES] for samples in (one, two)]
        for part, probabilities in zip(got, vad.probabilities(states, pieces), strict=True):
            part.append(probabilities)
    for part, expected in zip(got, alone, strict=True):
        np.testing.assert_allclose(np.concatenate(part), expected, atol=1e-5)


def transitions(probabilities: list[float], **settings: int) -> list[tuple[Activity, int, int]]:
    """Activity, frame and since-frame of the transitions that these speech probabilities cause."""
    endpointer = Endpointer(VadSettings(min_speech_ms=96, pad_after_ms=64, endpoint_ms=160, **settings))
    return [
        (transition.activity, transition.frame, transition.since_frame)
        for frame, probability in enumerate(probabilities)
        for transition in endpointer.receive(frame, probability)
    ]


def test_speech_opens_after_three_frames_and_ends_after_five_silent_ones() -> None:
    """The table of the endpointer: started since the first frame, paused, ended since the last."""
    curve = [0, 0, 0.9, 0.9, 0.9, 0.9, 0, 0, 0, 0, 0, 0]
    assert transitions(curve) == [(Activity.STARTED, 4, 2), (Activity.PAUSED, 7, 6), (Activity.ENDED, 10, 6)]


def test_a_click_is_no_speech() -> None:
    """Two frames are too few."""
    assert transitions([0, 0.99, 0.99, 0, 0, 0.99, 0, 0]) == []


def test_a_doubtful_frame_continues_speech_but_does_not_begin_it() -> None:
    """Between the two thresholds lies hysteresis."""
    assert transitions([0.4] * 10) == []
    assert transitions([0.5] * 3 + [0.35] * 10) == [(Activity.STARTED, 2, 0)]
    assert transitions([0.9] * 3 + [0.4] * 10) == [(Activity.STARTED, 2, 0)]


def test_a_short_silence_is_a_pause_and_each_pause_is_reported_once() -> None:
    """Speech that goes on after a pause pauses again, and has not ended."""
    curve = [0.9] * 3 + [0] * 3 + [0.9] + [0] * 3
    assert transitions(curve) == [(Activity.STARTED, 2, 0), (Activity.PAUSED, 4, 3), (Activity.PAUSED, 8, 7)]
