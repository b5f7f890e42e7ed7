"""The four properties of the engine on CTC models with trained weights: a stream's words depend on its audio alone.

The model learned two clips by heart, so what it writes elsewhere is no English; where `STEADYWORD_DIGITS` names
the folder of a trained `wav2vec2-digits`, it is held to the same.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from asr.config import CtcSettings, DecodeSettings, SessionSettings
from asr.engine import Engine
from asr.events import Ended, Event, Final, Partial, text_of
from asr.session import Session
from eval.load import Target, run_load
from eval.replay import replay
from eval.serving import serving
from eval.trace import Trace
from eval.utterance import Clip, Recording, Utterance
from eval.wire import pcm16
from tests.speech import RATE_HZ, clip, silence, speech

DIGITS = os.environ.get("STEADYWORD_DIGITS", "")


@pytest.fixture(scope="module", params=["learned", "wav2vec2-digits"])
def engine(request: pytest.FixtureRequest) -> Engine:
    if request.param == "learned":
        return Engine.load(str(request.getfixturevalue("learned")))
    if not DIGITS:
        pytest.skip("STEADYWORD_DIGITS names no folder of a trained wav2vec2-digits (make digits)")
    return Engine.load(DIGITS)


def run(engine: Engine, samples: np.ndarray, chunk: int = 1600, session: Session | None = None) -> list[Event]:
    """All events of one stream, fed in chunks."""
    session = session or engine.open()
    events: list[Event] = []
    for start in range(0, len(samples), chunk):
        session.receive_audio(samples[start : start + chunk])
        while session.ready:
            engine.step([session])
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        engine.step([session])
    return events + session.take_events()


def said(event: Event) -> tuple[object, ...]:
    """An event without its confidences, whose last digits depend on how a product of matrices was split."""
    if isinstance(event, Final | Partial):
        return (type(event), event.text, [(round(w.start_s, 2), round(w.end_s, 2)) for w in event.words])
    return (event,)


@pytest.mark.parametrize("chunk", [160, 1601, 10**9])
def test_fed_in_pieces_equals_fed_at_once(engine: Engine, chunk: int) -> None:
    """Every event is the same, partials and times too, however the audio was cut."""
    assert run(engine, speech(), chunk) == run(engine, speech(), 1600)


def test_words_are_final_before_the_utterance_ends(engine: Engine) -> None:
    """Each chunk is encoded once and its settled words are final: they need not wait for a pause."""
    finals = [event for event in run(engine, speech()) if isinstance(event, Final)]
    assert sum(len(final.words) for final in finals if not final.ends_utterance) >= 3


def test_batched_equals_alone(engine: Engine) -> None:
    """Streams of different length and moment in one step say what each says alone."""
    streams = [speech(), speech()[RATE_HZ:], clip("counting"), np.concatenate([silence(0.7), clip("quick_brown_fox")])]
    sessions = [engine.open() for _ in streams]
    together: list[list[Event]] = [[] for _ in streams]
    for start in range(0, max(map(len, streams)) + 1600, 1600):
        for session, samples in zip(sessions, streams, strict=True):
            if start < len(samples):
                session.receive_audio(samples[start : start + 1600])
            elif start < len(samples) + 1600:
                session.receive_end()
        while any(session.ready for session in sessions):
            engine.step(sessions)
        for events, session in zip(together, sessions, strict=True):
            events += session.take_events()
    for events, samples in zip(together, streams, strict=True):
        assert [said(event) for event in events] == [said(event) for event in run(engine, samples)]


def test_committed_text_is_never_taken_back(engine: Engine) -> None:
    """Finals only ever add words, in order of time; a partial never covers what is final."""
    committed_end_s = 0.0
    for event in run(engine, speech()):
        if isinstance(event, Final | Partial):
            starts = [word.start_s for word in event.words]
            assert starts == sorted(starts)
            assert all(start >= committed_end_s - 0.02 for start in starts)
        if isinstance(event, Final) and event.words:
            committed_end_s = event.words[-1].end_s


def test_live_is_replay(learned: Path) -> None:
    """The same audio over a real socket and in process: the same words."""
    samples = np.frombuffer(pcm16(speech()), "<i2").astype(np.float32) / 32768
    spoken = Utterance("speech", "package", (Clip(Path("speech.wav"), "x", len(samples) / RATE_HZ),), "en")
    recording = Recording(spoken, samples * np.float32(32768 / 32767), (), ())
    traces: list[Trace] = []
    with serving(str(learned)) as server:
        run_load(Target(server.url, str(learned)), [recording], 1, traces.append)
    replayed = replay(Recording(spoken, samples, (), ()), Engine.load(str(learned)))
    assert (traces[0].error, traces[0].text) == ("", replayed.text)
    assert replayed.text


def test_with_the_whole_utterance_as_context_streamed_is_one_shot(engine: Engine) -> None:
    """Frames that never settle are computed with all that was heard: the text is that of the recording at once."""
    samples = np.concatenate([silence(0.4), clip("quick_brown_fox"), silence(0.8)])
    patient = SessionSettings(decode=DecodeSettings(ctc=CtcSettings(right_s=30.0, left_s=30.0)))
    at_once = run(engine, samples, session=engine.open(partials=False))
    assert text_of(run(engine, samples, session=engine.open(patient))) == text_of(at_once)


def test_a_long_utterance_without_pause_keeps_its_memory_flat(engine: Engine) -> None:
    """A minute without a pause: neither audio nor frames pile up."""
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


def test_the_same_audio_in_a_dead_quiet_stream_says_nothing(engine: Engine) -> None:
    """Silence is not given to the model."""
    assert run(engine, silence(3.0)) == [Ended(3.0)]
