"""Voice activity against the package's own model, and the endpoint rules as a table."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import silero_vad
import torch

from asr.config import VadSettings, with_endpoint
from asr.errors import ModelError
from asr.streaming.level import Level
from asr.streaming.vad import FRAME_S, FRAME_SAMPLES, Activity, Endpointer, SileroVad, VadState
from tests.speech import speech


@pytest.fixture(scope="module")
def vad() -> SileroVad:
    return SileroVad()


def test_probabilities_are_those_of_the_package(vad: SileroVad) -> None:
    """Our forward pass gives what `silero_vad`'s own TorchScript model gives, frame by frame, without the gain."""
    samples, state = speech(), VadState()
    state.level = Level(most_db=0.0)
    samples = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES]
    reference = silero_vad.load_silero_vad()
    expected = [reference(torch.from_numpy(frame), 16000).item() for frame in samples.reshape(-1, FRAME_SAMPLES)]
    got = vad.probabilities([state], [samples])[0]
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_other_weights_are_refused_before_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchScript may run code when it is loaded, and zeroed weights hear no speech at all."""
    monkeypatch.setattr("asr.streaming.vad.WEIGHTS_SHA256", "0" * 64)
    monkeypatch.setattr(torch.jit, "load", lambda *args: pytest.fail("loaded"))
    with pytest.raises(ModelError, match=r"silero_vad.jit damaged .* pip install --force-reinstall"):
        SileroVad()


def test_streams_in_one_batch_do_not_touch_each_other(vad: SileroVad) -> None:
    """Pieces of several streams at once, of several lengths and of none, give what each gives alone."""
    one, two = speech()[: 60 * FRAME_SAMPLES], 0.01 * speech()[8000 : 8000 + 40 * FRAME_SAMPLES]
    alone = [vad.probabilities([VadState()], [samples])[0] for samples in (one, two)]
    states, got = [VadState(), VadState()], [[], []]
    for i in range(0, 60, 3):
        pieces = [samples[i * FRAME_SAMPLES : (i + 3) * FRAME_SAMPLES] for samples in (one, two)]
        for part, probabilities in zip(got, vad.probabilities(states, pieces), strict=True):
            part.append(probabilities)
    for part, expected in zip(got, alone, strict=True):
        np.testing.assert_allclose(np.concatenate(part), expected, atol=1e-5)


def test_only_amplified_frames_are_encoded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loud speech has none: it costs half as much. The quiet frames behind it are encoded again, and no other."""
    vad, encoded = SileroVad(), list[int]()
    encode = vad._encode
    monkeypatch.setattr(vad, "_encode", lambda x: encoded.append(len(x)) or encode(x))
    chance = np.random.default_rng(3)
    loud, quiet = (chance.normal(0.0, level, 400 * FRAME_SAMPLES).astype(np.float32) for level in (0.1, 1e-3))
    state = VadState()
    vad.probabilities([state], [loud])
    assert encoded == [400]
    vad.probabilities([state], [quiet])
    assert encoded[1] == 400
    assert 0 < encoded[2] < 400


def spans(probabilities: np.ndarray) -> list[tuple[int, int]]:
    """First and last frame of each utterance."""
    changes = transitions(probabilities.tolist(), endpoint_ms=1300)
    starts = [since for activity, _, since in changes if activity is Activity.STARTED]
    ends = [since for activity, _, since in changes if activity is Activity.ENDED]
    return list(zip(starts, [*ends, len(probabilities)], strict=False))


def in_16_bits(samples: np.ndarray, db: float) -> np.ndarray:
    """Samples ``(n,)`` at another level, as a 16-bit file holds them."""
    return np.asarray(np.round(samples * 10 ** (db / 20) * 32768) / 32768, np.float32)


def click(samples: np.ndarray) -> np.ndarray:
    """A loud pop before the speech, as of a microphone that is switched on."""
    return np.concatenate([np.linspace(0.5, -0.5, 600, dtype=np.float32), np.zeros(4000, np.float32), samples])


QUIET = {
    "-20 dB": lambda x: in_16_bits(x, -20),
    "-40 dB": lambda x: in_16_bits(x, -40),
    "-60 dB": lambda x: in_16_bits(x, -60),
    "-50 dB with the offset of a sound card": lambda x: in_16_bits(x, -50) + np.float32(0.01),
    "-50 dB after a click": lambda x: click(in_16_bits(x, -50)),
    "-50 dB after loud speech": lambda x: np.concatenate([x, np.zeros(8 * 16000, np.float32), in_16_bits(x, -50)]),
}


@pytest.mark.parametrize("change", QUIET.values(), ids=QUIET)
def test_quiet_speech_is_found_from_its_first_word(vad: SileroVad, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Each utterance opens at most as late as the audio kept from before it (320 ms), and most of it is speech."""
    samples = speech()[: len(speech()) // FRAME_SAMPLES * FRAME_SAMPLES]
    ordinary = vad.probabilities([VadState()], [samples])[0]
    changed = change(samples)
    changed = np.pad(changed, (0, -len(changed) % FRAME_SAMPLES))
    quiet = vad.probabilities([VadState()], [changed])[0]
    kept_frames = round(VadSettings().pad_before_ms / 1000 / FRAME_S)
    offset = len(quiet) - len(ordinary)
    for start, _ in spans(ordinary):
        assert min(abs(begin - offset - start) for begin, _ in spans(quiet)) <= kept_frames
    assert (quiet[offset:][ordinary >= 0.5] >= 0.35).mean() > 0.85


def transitions(probabilities: list[float], **settings: int) -> list[tuple[Activity, int, int]]:
    """Activity, frame and since-frame of the transitions that these speech probabilities cause."""
    defaults = {"min_speech_ms": 96, "pad_after_ms": 64, "endpoint_ms": 160}
    endpointer = Endpointer(VadSettings(**{**defaults, **settings}))
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


FLUSH_MS = 96
"""Words are final after 3 silent frames, the utterance ends after 5."""


def test_speech_is_held_before_it_ends() -> None:
    """Held at the third silent frame, ended at the fifth; without `speech_final_ms` it is never flushed."""
    curve = [0.9] * 3 + [0] * 9
    flushed = [(Activity.STARTED, 2, 0), (Activity.PAUSED, 4, 3), (Activity.FLUSHED, 5, 3), (Activity.ENDED, 7, 3)]
    assert transitions(curve, speech_final_ms=FLUSH_MS) == flushed
    assert transitions(curve) == [flushed[0], flushed[1], flushed[3]]
    assert transitions(curve, speech_final_ms=10) == [*flushed[:2], (Activity.FLUSHED, 4, 3), flushed[3]]
    assert transitions(curve, speech_final_ms=160) == transitions(curve)


def test_held_speech_resumes_as_speech_begins() -> None:
    """After three frames of speech; it can be flushed again."""
    curve = [0.9] * 3 + [0] * 3 + [0.9] * 3 + [0] * 3
    assert transitions(curve, speech_final_ms=FLUSH_MS)[3:] == [
        (Activity.RESUMED, 8, 6),
        (Activity.PAUSED, 10, 9),
        (Activity.FLUSHED, 11, 9),
    ]


def test_a_click_in_held_speech_moves_its_end_and_does_not_resume_it() -> None:
    """Two frames of voice: the five silent frames are counted from them."""
    for click in (0.9, 0.4):
        curve = [0.9] * 3 + [0] * 3 + [click] * 2 + [0] * 6
        assert transitions(curve, speech_final_ms=FLUSH_MS)[2:] == [(Activity.FLUSHED, 5, 3), (Activity.ENDED, 12, 8)]


def test_a_short_silence_is_a_pause_and_each_pause_is_reported_once() -> None:
    """Speech that goes on after a pause pauses again, and has not ended."""
    curve = [0.9] * 3 + [0] * 3 + [0.9] + [0] * 3
    assert transitions(curve) == [(Activity.STARTED, 2, 0), (Activity.PAUSED, 4, 3), (Activity.PAUSED, 8, 7)]


def test_a_short_endpointing_holds_and_a_long_one_ends() -> None:
    """Below the floor it counts as the floor; from the server's own silence on it replaces that."""
    vad = VadSettings()
    assert [with_endpoint(vad, ms).speech_final_ms for ms in (10, 300, 400, 1299)] == [400, 400, 400, 1299]
    assert with_endpoint(vad, 300).endpoint_ms == vad.endpoint_ms
    assert with_endpoint(vad, 2000) == replace(vad, endpoint_ms=2000)
    assert with_endpoint(replace(vad, endpoint_ms=200), 100).speech_final_ms == 400
