"""Engines in worker processes: the events of an engine in this process, and what happens when a worker dies."""

import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.engine import Engine
from asr.errors import AudioError, ConfigError, InternalError, ModelError, SessionError
from asr.events import Event, Final
from server.client.protocol import pcm16
from server.config import load_settings
from server.workers.messages import StreamOptions
from server.workers.process import WorkerDied, WorkerError
from server.workers.remote import RemoteEngine, RemoteSession, load_engines
from tests.server.fakes import POISON
from tests.server.running import CLOSE, running, transcript, until_closed
from tests.server.workers.helpers import InProcess, scripted_worker
from tests.speech import speech


@pytest.fixture(scope="module")
def remote() -> Iterator[RemoteEngine]:
    """The default model in a worker process."""
    engine = RemoteEngine.start("whisper-tiny.en")
    engine.await_ready()
    yield engine
    engine.close()


def events_of(engine: Engine | RemoteEngine, chunks: list[np.ndarray]) -> list[Event]:
    """All events of a session that is stepped after each chunk."""
    session: Any = _open(engine) if isinstance(engine, RemoteEngine) else engine.open(SessionSettings())
    stepper: Any = engine
    events: list[Event] = []
    for chunk in chunks:
        session.receive_audio(chunk)
        while session.ready:
            stepper.step([session])
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        stepper.step([session])
    return events + session.take_events()


def _open(engine: RemoteEngine, **options: Any) -> RemoteSession:
    return engine.open(SessionSettings(), StreamOptions(**options))


def chunks(samples: np.ndarray, size: int = 1600) -> list[np.ndarray]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def test_a_worker_gives_the_events_of_an_engine(remote: RemoteEngine, whisper_tiny: Engine) -> None:
    """With their times, also for chunks that do not end with a frame."""
    here = whisper_tiny
    assert events_of(remote, chunks(speech())) == events_of(here, chunks(speech()))
    assert events_of(remote, chunks(speech(), 999)) == events_of(here, chunks(speech(), 999))
    for attribute in ("name", "architecture", "weights_sha256", "precision", "languages"):
        assert getattr(remote, attribute) == getattr(here, attribute)


def test_options_that_the_model_refuses_are_refused_as_by_an_engine(remote: RemoteEngine) -> None:
    """With the message of the engine."""
    with pytest.raises(ConfigError, match="does not know language 'tlh'"):
        _open(remote, language="tlh")


@pytest.mark.model
def test_a_model_that_cannot_be_loaded_is_reported() -> None:
    """By the error that loading raised in the worker."""
    engine = RemoteEngine.start("no-such-model")
    with pytest.raises(ModelError, match="no-such-model"):
        engine.await_ready()
    engine.close()


@pytest.mark.slow
def test_a_worker_that_dies_fails_the_step_and_its_replacement_continues_the_session() -> None:
    """A step reports the death; the new process knows the session only after it has adopted it."""
    engine = RemoteEngine.start("whisper-tiny.en")
    engine.await_ready()
    lost, pid = _open(engine), engine.pid
    lost.receive_audio(speech())
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerDied, match="has ended"):
        engine.step([lost])
    assert not engine.is_alive
    engine.restart()
    with pytest.raises(WorkerError, match="opened in a worker process that has ended"):
        engine.step([lost])
    engine.adopt(lost)
    lost.receive_end()
    while not lost.ended:
        engine.step([lost])
    text = "".join(event.text for event in lost.take_events() if isinstance(event, Final))
    assert text == "".join(e.text for e in events_of(engine, [speech()]) if isinstance(e, Final))
    assert "fox" in text
    engine.close()


@pytest.fixture
def process() -> InProcess:
    """A scripted engine's worker, without a process."""
    return InProcess(scripted_worker)


@pytest.fixture
def engine(process: InProcess) -> RemoteEngine:
    engine = RemoteEngine(process)
    engine.await_ready()
    return engine


def seconds(count: float, value: float = 0.0) -> np.ndarray:
    return np.full(round(count * SAMPLE_RATE_HZ), value, np.float32)


def opened(engine: RemoteEngine, *values: float) -> list[RemoteSession]:
    sessions = [_open(engine) for _ in values]
    for session, value in zip(sessions, values, strict=True):
        session.receive_audio(seconds(1.0, value))
    return sessions


def test_a_step_that_fails_takes_no_audio_with_it(engine: RemoteEngine) -> None:
    """The input of all sessions arrived: stepped alone, the good one has its events and the culprit fails again."""
    good, bad = opened(engine, 0.0, POISON)
    with pytest.raises(WorkerError, match="poison") as caught:
        engine.step([good, bad])
    assert "scripted model" in "".join(caught.value.__notes__)
    assert good.ready
    engine.step([good])
    assert [event for event in good.take_events() if not isinstance(event, Final)]
    with pytest.raises(WorkerError):
        engine.step([bad])


def test_lag_is_what_the_worker_has_not_decoded(engine: RemoteEngine) -> None:
    """As of the last step, plus what came since."""
    (session,) = opened(engine, 0.0)
    assert (session.received_s, session.lag_s) == (1.0, 1.0)
    engine.step([session])
    assert (session.decoded_s, session.lag_s) == (1.0, 0.0)
    assert not session.ready
    session.receive_audio(seconds(0.7))
    assert session.lag_s == pytest.approx(0.7)
    assert session.ready


def test_a_session_that_nobody_holds_is_forgotten_by_its_worker(engine: RemoteEngine, process: InProcess) -> None:
    """With the next step of any other."""
    kept, given_up = opened(engine, 0.0, 0.0)
    engine.step([kept, given_up])
    del given_up
    gc.collect()
    kept.receive_audio(seconds(1.0))
    engine.step([kept])
    assert process.handler.open_sessions == 1


def test_ready_is_what_the_session_in_the_worker_says(remote: RemoteEngine, whisper_tiny: Engine) -> None:
    """Sample by sample as a session in this process: the rule stands in one place."""
    here, far = whisper_tiny, _open(remote)
    near = here.open(SessionSettings())
    for samples in (500, 1548, 100, 1948, 512, 512, 512, 600):
        for session in (near, far):
            session.receive_audio(seconds(samples / SAMPLE_RATE_HZ))
        assert far.ready == near.ready
        while near.ready:
            here.step([near])
            remote.step([far])
            assert far.ready == near.ready
    for session in (near, far):
        session.receive_finalize()
    assert far.ready


def test_a_model_is_known_while_its_worker_is_dead_and_a_restart_is_one_call(
    engine: RemoteEngine, process: InProcess
) -> None:
    """Nobody waits for a worker to say the model's name: the hello is kept."""
    process.kill()
    assert (engine.name, engine.languages) == ("scripted-1", ("en", "ja"))
    with pytest.raises(WorkerDied):
        engine.step([])
    engine.restart()
    (session,) = opened(engine, 0.0)
    engine.step([session])
    assert session.take_events()


def test_nothing_is_known_of_a_model_that_is_still_loading(process: InProcess) -> None:
    """A property never waits."""
    with pytest.raises(InternalError, match="await_ready"):
        _ = RemoteEngine(process).name


def test_bad_input_is_refused_before_it_is_sent(engine: RemoteEngine) -> None:
    """As by the session itself."""
    (session,) = opened(engine, 0.0)
    with pytest.raises(AudioError, match="found NaN or infinite samples"):
        session.receive_audio(seconds(0.1, np.nan))
    session.receive_end()
    session.receive_end()
    with pytest.raises(SessionError, match="after the end of the stream"):
        session.receive_audio(seconds(0.1))
    with pytest.raises(SessionError, match="after the end of the stream"):
        session.receive_finalize()


@pytest.mark.slow
def test_streams_of_several_workers_have_the_same_text(clip: Path) -> None:
    """Four simultaneous clients and two processes."""
    engines = load_engines(load_settings(models=["whisper-tiny.en"], workers=2))
    samples, _ = soundfile.read(clip, dtype="float32")
    with running(*engines) as server, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(server.listen()) for _ in range(4)]
        assert [load.streams for load in server.service.schedulers["whisper-tiny.en"].loads] == [2, 2]
        for socket in sockets:
            socket.send(pcm16(samples))
            socket.send(CLOSE)
        texts = [transcript(until_closed(socket)[0]) for socket in sockets]
    assert set(texts) == {"The quick brown fox jumps over the lazy dog."}
    for engine in engines:
        engine.close()
