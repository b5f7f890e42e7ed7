"""Engines in processes of their own: the same words, and nothing lost when one dies."""

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
from asr.errors import AudioError, ConfigError, ModelError, SessionError
from asr.events import Event, Final
from server.client.sources import pcm16
from server.workers.remote import RemoteEngine, RemoteSession
from server.workers.worker import Hello, Open, Step, Worker, WorkerError
from tests.server.fakes import POISON, ScriptedEngine
from tests.server.running import CLOSE, eventually, running, transcript, until_closed
from tests.speech import speech


@pytest.fixture(scope="module")
def remote() -> Iterator[RemoteEngine]:
    """The default model in a process beside."""
    engine = RemoteEngine("whisper-tiny.en")
    yield engine
    engine.close()


def heard(engine: Any, pieces: list[np.ndarray], **options: Any) -> list[Event]:
    """All that a session says when it is stepped after each piece."""
    session = engine.open(SessionSettings(), **options)
    events: list[Event] = []
    for piece in pieces:
        session.receive_audio(piece)
        while session.ready:
            engine.step([session])
        events += session.take_events()
    session.receive_end()
    while not session.ended:
        engine.step([session])
    return events + session.take_events()


def chunks(samples: np.ndarray, size: int = 1600) -> list[np.ndarray]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def test_a_worker_says_what_an_engine_says(remote: RemoteEngine) -> None:
    """Every event, with its times: the process between changes nothing, chunks that cut frames neither."""
    here = Engine.load("whisper-tiny.en", threads=1)
    assert heard(remote, chunks(speech())) == heard(here, chunks(speech()))
    assert heard(remote, chunks(speech(), 999)) == heard(here, chunks(speech(), 999))
    for attribute in ("name", "architecture", "weights_sha256", "precision", "languages"):
        assert getattr(remote, attribute) == getattr(here, attribute)


def test_what_cannot_be_opened_is_refused_as_by_an_engine(remote: RemoteEngine) -> None:
    """With the engine's own sentence."""
    with pytest.raises(ConfigError, match="does not know language 'tlh'"):
        remote.open(language="tlh")


def test_a_model_that_cannot_be_loaded_is_said_in_a_sentence() -> None:
    """The error is the one that loading raised there."""
    engine = RemoteEngine("no-such-model")
    with pytest.raises(ModelError, match="no-such-model"):
        engine.await_ready()
    engine.close()


def test_a_worker_that_dies_fails_its_sessions_and_is_there_again_for_the_next() -> None:
    """A step says so; `open` starts another."""
    engine = RemoteEngine("whisper-tiny.en")
    lost, pid = engine.open(), engine.pid
    lost.receive_audio(speech())
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerError, match="has ended"):
        engine.step([lost])
    events = heard(engine, [speech()])
    assert "fox" in "".join(event.text for event in events if isinstance(event, Final))
    with pytest.raises(WorkerError, match="KeyError"):
        engine.step([lost])
    engine.close()


def test_a_worker_ends_with_its_server() -> None:
    """When the pipe does; nothing is left running."""
    engine = RemoteEngine("whisper-tiny.en")
    engine.await_ready()
    engine.close()
    eventually(lambda: not engine._process.is_alive())
    assert engine._process.exitcode == 0


class HereEngine(RemoteEngine):
    """Unreal: the worker is an object in this process, without the pipe."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.worker = Worker(engine)  # type: ignore[arg-type]
        super().__init__("scripted")

    def _start(self) -> None:
        self._process = self  # type: ignore[assignment]

    def await_ready(self) -> None:
        self._hello = Hello("scripted", "scripted", "5" * 64, "none", ("en",))

    def is_alive(self) -> bool:
        return True

    def _ask(self, request: Open | Step) -> Any:
        answer = self.worker.answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer


def seconds(count: float, value: float = 0.0) -> np.ndarray:
    return np.full(round(count * SAMPLE_RATE_HZ), value, np.float32)


def opened(engine: RemoteEngine, *values: float) -> list[RemoteSession]:
    sessions = [engine.open() for _ in values]
    for session, value in zip(sessions, values, strict=True):
        session.receive_audio(seconds(1.0, value))
    return sessions


def test_a_step_that_fails_takes_no_audio_with_it() -> None:
    """What the sessions were told arrived; stepped alone, the good one says it and the culprit fails again."""
    engine = HereEngine(ScriptedEngine())
    good, bad = opened(engine, 0.0, POISON)
    with pytest.raises(WorkerError, match="poison") as caught:
        engine.step([good, bad])
    assert "scripted model" in "".join(caught.value.__notes__)
    assert good.ready
    engine.step([good])
    assert [event for event in good.take_events() if not isinstance(event, Final)]
    with pytest.raises(WorkerError):
        engine.step([bad])


def test_lag_is_what_the_worker_has_not_decoded() -> None:
    """As of the last step, plus what came since."""
    engine = HereEngine(ScriptedEngine())
    (session,) = opened(engine, 0.0)
    assert (session.received_s, session.lag_s) == (1.0, 1.0)
    engine.step([session])
    assert (session.decoded_s, session.lag_s) == (1.0, 0.0)
    assert not session.ready
    session.receive_audio(seconds(0.7))
    assert session.lag_s == pytest.approx(0.7)
    assert session.ready


def test_a_session_that_nobody_holds_is_forgotten_by_its_worker() -> None:
    """With the next step of any other."""
    engine = HereEngine(ScriptedEngine())
    kept, given_up = opened(engine, 0.0, 0.0)
    engine.step([kept, given_up])
    del given_up
    gc.collect()
    kept.receive_audio(seconds(1.0))
    engine.step([kept])
    assert len(engine.worker._sessions) == 1


def test_updates_that_were_thinned_are_counted() -> None:
    """Told with the worker's answer, so the next call knows."""
    engine = HereEngine(ScriptedEngine())
    (session,) = opened(engine, 0.0)
    assert session.thin_partials() == 0
    engine.step([session])
    assert session.thin_partials() == 1
    assert session.thin_partials() == 0


def test_bad_input_is_refused_before_it_is_sent() -> None:
    """As by the session itself."""
    (session,) = opened(HereEngine(ScriptedEngine()), 0.0)
    with pytest.raises(AudioError, match="found NaN or infinite samples"):
        session.receive_audio(seconds(0.1, np.nan))
    session.receive_end()
    session.receive_end()
    with pytest.raises(SessionError, match="after the end of the stream"):
        session.receive_audio(seconds(0.1))
    with pytest.raises(SessionError, match="after the end of the stream"):
        session.receive_finalize()


def test_a_server_outlives_its_worker(clip: Path) -> None:
    """The stream of a worker that dies is told of a fault that is the server's, and the next one is served."""
    engine = RemoteEngine("whisper-tiny.en")
    samples, _ = soundfile.read(clip, dtype="float32")
    with running(engine) as server:
        assert not server.service.not_ready
        with server.listen() as socket:
            socket.send(pcm16(samples))
            os.kill(engine.pid or 0, signal.SIGKILL)
            socket.send(pcm16(samples))
            messages, code = until_closed(socket)
        assert (code, messages[-1]["variant"]) == (1011, "INTERNAL")
        assert "worker" not in messages[-1]["description"]
        with server.listen() as following:
            following.send(pcm16(samples))
            following.send(CLOSE)
            assert "lazy dog" in transcript(until_closed(following)[0])
    engine.close()


def test_streams_of_several_workers_say_what_one_says(clip: Path) -> None:
    """Four clients at once before two processes."""
    engines = [RemoteEngine("whisper-tiny.en") for _ in range(2)]
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
