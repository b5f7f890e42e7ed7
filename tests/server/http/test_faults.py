"""Faults of the server are told as the server's, in each API's form, and their text goes to the log only."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from asr.config import SessionSettings
from asr.errors import AsrError, ConfigError, InternalError, ModelError
from server.http import service
from server.streams import replica
from server.workers.messages import Step, StreamOptions
from server.workers.remote import RemoteEngine
from tests.server.fakes import ScriptedEngine, ScriptedSession, words
from tests.server.running import RAW, Running, eventually, running, until_closed, wav
from tests.server.workers.helpers import InProcess, scripted_worker

SECRET = "found /srv/models/secret.bin (sha256 5eb1), wanted others; pip install secret"
COMPLETED = "conversation.item.input_audio_transcription.completed"
FAULTS: tuple[Exception, ...] = (ModelError(SECRET), InternalError(SECRET), AsrError(SECRET), RuntimeError(SECRET))


class Faulty(ScriptedEngine):
    """Fails when it opens a session, or at its steps, or does not live."""

    at_open: Exception | None = None
    at_step: Exception | None = None

    def open(self, settings: SessionSettings, options: StreamOptions) -> ScriptedSession:
        if self.at_open:
            raise self.at_open
        return super().open(settings, options)

    def step(self, sessions: Sequence[ScriptedSession]) -> bool:
        if self.at_step and sessions:
            raise self.at_step
        return super().step(sessions)

    def restart(self) -> None:
        raise ModelError(SECRET)


@pytest.fixture
def engine() -> Faulty:
    return Faulty()


@pytest.fixture
def server(engine: Faulty) -> Iterator[Running]:
    with running(engine) as server:
        yield server


def live_v1(server: Running) -> httpx.Response:
    """By plain HTTP: the refusal that a WebSocket would get."""
    return httpx.get(f"{server.url}/v1/listen?{RAW}")


def live_v2(server: Running) -> httpx.Response:
    return httpx.get(f"{server.url}/v2/listen?{RAW}&model=flux-general-en")


def recording_of_deepgram(server: Running) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/listen", content=wav(1.0), timeout=60)


def recording_of_openai(server: Running) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/audio/transcriptions", files={"file": ("a.wav", wav(1.0))}, timeout=60)


Ask = Callable[[Running], httpx.Response]
ROUTES: tuple[Ask, ...] = (live_v1, live_v2, recording_of_deepgram, recording_of_openai)


@pytest.mark.parametrize("ask", ROUTES)
def test_a_fault_at_the_start_is_500_without_its_text(
    server: Running, engine: Faulty, caplog: pytest.LogCaptureFixture, ask: Ask
) -> None:
    """Whatever it is: a model's files that are gone, a broken invariant, a library's error."""
    for fault in FAULTS:
        engine.at_open = fault
        answer = ask(server)
        assert answer.status_code == 500
        assert "internal" in answer.text.lower()
        assert "secret" not in answer.text
        assert SECRET in caplog.text
        caplog.clear()


@pytest.mark.parametrize("ask", ROUTES[2:])
def test_a_fault_at_a_step_is_500_without_its_text(server: Running, engine: Faulty, ask: Ask) -> None:
    """Of a recording that was already opened."""
    for fault in FAULTS:
        engine.at_step = fault
        answer = ask(server)
        assert (answer.status_code, "secret" in answer.text) == (500, False)


def test_a_fault_at_a_step_ends_a_live_stream_with_1011(server: Running, engine: Faulty) -> None:
    """As the server's."""
    with server.listen() as socket:
        engine.at_step = ModelError(SECRET)
        socket.send(bytes(64_000))
        messages, code = until_closed(socket)
    assert (code, messages[-1]["variant"]) == (1011, "INTERNAL")
    assert "secret" not in json.dumps(messages)


def test_a_fault_at_the_start_of_a_realtime_session_is_a_server_error(server: Running, engine: Faulty) -> None:
    """Its stream opens with the first audio."""
    engine.at_open = ModelError(SECRET)
    with connect(f"{server.url.replace('http', 'ws')}/v1/realtime?intent=transcription", compression=None) as socket:
        socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": "AAAA" * 8000}))
        messages, code = until_closed(socket)
    assert code == 1011
    error = next(message["error"] for message in messages if message["type"] == "error")
    assert error["type"] == "server_error"
    assert "secret" not in json.dumps(messages)


@pytest.mark.parametrize("ask", ROUTES)
def test_what_the_client_did_wrong_stays_its_own(server: Running, engine: Faulty, ask: Ask) -> None:
    """A language that only the worker knows to be wrong, for example."""
    engine.at_open = ConfigError("found the language 'x', wanted another")
    answer = ask(server)
    assert (answer.status_code, "found the language 'x'" in answer.text) == (400, True)


@pytest.mark.parametrize("ask", ROUTES)
def test_without_a_worker_requests_get_503_and_readiness_falls(
    server: Running, engine: Faulty, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Retry-After, also for the request that finds the worker dead. The model's name is known nevertheless."""
    monkeypatch.setattr(replica, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(replica, "HOPELESS_S", 0.0)
    engine.is_alive = False
    answer = ask(server)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "secret" not in answer.text
    ready = httpx.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()["workers"]) == (503, {"scripted-1": {"ready": 0, "of": 1}})
    assert "secret" not in ready.text
    assert httpx.get(f"{server.url}/v1/models").json()["data"][0]["id"] == "scripted-1"


class Absent(ScriptedEngine):
    """Its worker is started again, and opens streams, when `may_start` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.may_start = threading.Event()

    def open(self, settings: SessionSettings, options: StreamOptions) -> ScriptedSession:
        self.may_start.wait(30)
        return super().open(settings, options)

    def restart(self) -> None:
        self.may_start.wait(30)
        self.is_alive = True

    def kill(self) -> None:
        self.may_start.set()


def test_a_client_that_is_connected_waits_for_a_worker() -> None:
    """All workers are down when its session begins: its words come later, and none is lost."""
    engine = Absent()
    engine.may_start.set()
    with running(engine) as server:
        engine.may_start.clear()
        engine.is_alive = False
        eventually(lambda: server.service.schedulers[engine.name].lanes == (0, 1))
        address = f"{server.url.replace('http', 'ws')}/v1/realtime?intent=transcription"
        with connect(address, compression=None) as socket:
            audio = base64.b64encode(bytes(2 * 24_000 * 2)).decode()
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
            socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
            with suppress(TimeoutError):
                while True:
                    assert json.loads(socket.recv(timeout=0.5))["type"] != "error"
            engine.may_start.set()
            while (message := json.loads(socket.recv(timeout=30)))["type"] != COMPLETED:
                assert message["type"] != "error"
    assert message["transcript"].startswith(words(3))  # the resampler keeps the last samples


def test_a_handshake_is_answered_before_its_client_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is slow to open a stream: 503 says when to come back."""
    monkeypatch.setattr(service, "OPENING_S", 0.3)
    engine = Absent()
    engine.may_start.set()
    with running(engine) as server:
        engine.may_start.clear()
        answer = live_v1(server)
        engine.may_start.set()
        assert (answer.status_code, "no worker opens a stream now" in answer.text) == (503, True)
        assert answer.headers["Retry-After"]
        eventually(lambda: server.service.schedulers[engine.name].seats == 0)
        assert live_v1(server).status_code == 426


class Mortal(InProcess):
    """A worker that dies in its third step with audio, and again in the first one after that."""

    deaths = steps = 0

    def send(self, request: Any) -> None:
        if isinstance(request, Step) and request.inputs:
            self.steps += 1
            if self.steps in (3, 4):
                self.deaths += 1
                self.kill()
        super().send(request)


UPLOADS: tuple[Ask, ...] = (
    lambda server: httpx.post(f"{server.url}/v1/listen", content=wav(40.0), timeout=60),
    lambda server: httpx.post(
        f"{server.url}/v1/audio/transcriptions", files={"file": ("a.wav", wav(40.0))}, timeout=60
    ),
)


@pytest.mark.parametrize("ask", UPLOADS)
def test_an_upload_survives_the_death_of_its_worker(ask: Ask) -> None:
    """As a live stream does: each word once, and the client notices nothing but a delay."""
    with running(ScriptedEngine()) as undisturbed:
        expected = ask(undisturbed)
    worker = Mortal(scripted_worker)
    engine = RemoteEngine(worker)
    engine.await_ready()
    with running(engine) as server:
        answer = ask(server)
        eventually(lambda: server.metric("asr_open_streams") == 0)
    assert worker.deaths == 2
    assert (answer.status_code, text_in(answer)) == (200, text_in(expected))
    assert text_in(answer)


def text_in(answer: httpx.Response) -> str:
    body = answer.json()
    return str(body["text"] if "text" in body else body["results"]["channels"][0]["alternatives"][0]["transcript"])
