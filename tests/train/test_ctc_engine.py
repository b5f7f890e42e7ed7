"""The four properties of the engine on CTC models with trained weights: a stream's words depend on its audio alone.

Every run tests the small model `learned`, which is trained for the tests on two clips (`tests/conftest.py`); CI needs
nothing else. If `STEADYWORD_DIGITS` names the folder of a trained `wav2vec2-digits`, that model is tested too.
"""

import os

import numpy as np
import pytest

from asr.config import CtcSettings, DecodeSettings, SessionSettings
from asr.engine import Engine
from asr.events import Ended, Event, Final, text_of
from asr.streaming.session import Session
from asr.transcripts.recording import offline_settings, transcribe, transcript_of
from tests import properties
from tests.speech import RATE_HZ, clip, silence, speech

pytestmark = pytest.mark.model

DIGITS = os.environ.get("STEADYWORD_DIGITS", "")


@pytest.fixture(scope="module", params=["learned", "wav2vec2-digits"])
def folder(request: pytest.FixtureRequest) -> str:
    if request.param == "learned":
        return str(request.getfixturevalue("learned"))
    if not DIGITS:
        pytest.skip(
            "set STEADYWORD_DIGITS to the folder of a trained wav2vec2-digits (make digits) to test that model too"
        )
    return DIGITS


@pytest.fixture(scope="module")
def engine(folder: str) -> Engine:
    return Engine.load(folder)


def run(engine: Engine, samples: np.ndarray, session: Session | None = None) -> list[Event]:
    """All events of one stream."""
    return properties.run(engine, samples, session or engine.open())


@pytest.mark.parametrize("chunk", [160, 1601, 10**9])
def test_fed_in_pieces_equals_fed_at_once(engine: Engine, chunk: int) -> None:
    """However the audio is cut."""
    properties.fed_in_pieces_equals_fed_at_once(engine, engine.open, chunk)


def test_words_are_final_before_the_utterance_ends(engine: Engine) -> None:
    """Each chunk is encoded once and its settled words are committed without waiting for a pause."""
    finals = [event for event in run(engine, speech()) if isinstance(event, Final)]
    assert sum(len(final.words) for final in finals if not final.ends_utterance) >= 3


def test_batched_equals_alone(engine: Engine) -> None:
    """A batch never mixes frames of two streams."""
    properties.batched_equals_alone(engine, engine.open)


def test_committed_text_is_never_taken_back(engine: Engine) -> None:
    """Words become final one by one."""
    properties.committed_text_is_never_taken_back(run(engine, speech()))


def test_finals_hold_whole_words(engine: Engine) -> None:
    """A word is settled when the next one has begun."""
    properties.finals_hold_whole_words(run(engine, speech()))


@pytest.mark.slow
def test_live_is_replay(engine: Engine, folder: str) -> None:
    """A real server with this model gives the words of a replay."""
    properties.live_is_replay(engine, folder, speech())


def test_with_the_whole_utterance_as_context_streamed_is_one_shot(engine: Engine) -> None:
    """Frames that never settle are computed with the whole audio as context, so the text is the one-shot text."""
    samples = np.concatenate([silence(0.4), clip("quick_brown_fox"), silence(0.8)])
    patient = SessionSettings(decode=DecodeSettings(ctc=CtcSettings(right_s=30.0, left_s=30.0)))
    at_once = run(engine, samples, session=engine.open(partials=False))
    assert text_of(run(engine, samples, session=engine.open(patient))) == text_of(at_once)


def test_windows_of_a_recording_side_by_side_equal_one_after_the_other(engine: Engine) -> None:
    """Text, times and confidences; the recording is longer than a window."""
    samples = np.concatenate([speech(), silence(0.3), speech()])
    session = engine.open(offline_settings(), partials=False)
    stepped = transcript_of(run(engine, samples, session), engine, len(samples) / RATE_HZ)
    assert transcribe(samples, engine) == stepped
    assert len(stepped.text) > 20


def test_a_long_utterance_without_pause_keeps_its_memory_flat(engine: Engine) -> None:
    """A minute without a pause: neither audio nor frames accumulate."""
    part, held = np.concatenate([clip("counting")[1600:-1600], clip("quick_brown_fox")[1600:-1600]]), []
    session = engine.open()
    for _ in range(11):
        session.receive_audio(part)
        while session.ready:
            engine.step([session])
        session.take_events()
        held.append(session.held_s)
    assert session.received_s > 55
    assert max(held) < 12


def test_a_silent_stream_has_no_words(engine: Engine) -> None:
    """Silence is not passed to the model."""
    assert run(engine, silence(3.0)) == [Ended(3.0)]
