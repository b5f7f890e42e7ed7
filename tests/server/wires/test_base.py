"""The contract of a wire: `Connection` serves a second wire, defined here, over a real WebSocket without a change."""

from collections.abc import Iterator, Sequence

import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from asr.events import Event, Final
from server.http.service import Service
from server.http.websocket import WebSocketTransport
from server.streams.connection import Connection
from server.wires.base import (
    Audio,
    Cause,
    Command,
    End,
    Ending,
    Finalize,
    Frame,
    MessageError,
    Open,
    Progress,
    Reply,
    StreamRequest,
    Summary,
    says_something,
)
from tests.server.fakes import POISON, ScriptedEngine, words
from tests.server.running import Running, eventually, pcm, running


class LineWire:
    """Text commands, one a message, and plain text as results. Its settings come in a message, not in the address."""

    def open(self) -> tuple[Frame, ...]:
        return ("hello",)

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        if isinstance(frame, bytes):
            return (Audio(frame),)
        if frame.startswith("language "):
            request = StreamRequest("linear16", 16_000, language=frame.removeprefix("language "))
            return (Open(request), Reply((f"listening to {request.language}",)))
        if frame in ("commit", "stop"):
            return (Finalize(),) if frame == "commit" else (End(),)
        raise MessageError(f"found {frame!r}, wanted language, commit or stop")

    def send(self, events: Sequence[Event], progress: Progress) -> list[Frame]:
        finals = [event for event in events if isinstance(event, Final) and says_something(event)]
        return [f"{final.language}:{final.text} at {progress.received_s:g}" for final in finals]

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        if cause is Cause.FINISHED:
            return Ending((f"{summary.received_s:g} s".encode(),), 1000)
        return Ending((f"error: {description}",), 4000, description, error=f"line-{cause.name.lower()}")


async def lines(socket: WebSocket) -> None:
    """The route: all that a new wire needs beside itself."""
    service: Service = socket.app.state.service
    connection = Connection(
        WebSocketTransport(socket),
        LineWire(),
        None,
        open_stream=service.open_stream,
        limits=service.settings,
        metrics=service.metrics,
        request_id="lines",
    )
    try:
        with service.admission.place(connection.shut_down):
            await socket.accept()
            await connection.run()
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[Running]:
    with running(ScriptedEngine(), routes=[WebSocketRoute("/lines", lines)]) as server:
        yield server


def line_client(server: Running) -> ClientConnection:
    return connect(server.url.replace("http", "ws") + "/lines", compression=None)


def rest(socket: ClientConnection) -> list[Frame]:
    """All messages until the server closes."""
    messages: list[Frame] = []
    try:
        while True:
            messages.append(socket.recv(timeout=30))
    except ConnectionClosed:
        return messages


def test_another_wire_is_served_by_the_same_connection(server: Running) -> None:
    """Greeting, settings in a message, an answer in its place, results, the summary and the close."""
    with line_client(server) as socket:
        assert socket.recv(timeout=30) == "hello"
        socket.send("language en")
        socket.send(pcm(1.2))
        socket.send("stop")
        assert rest(socket) == ["listening to en", f"en: {words(2)} at 1.2", b"1.2 s"]
        assert socket.close_code == 1000
    assert server.metric("asr_finals_total") == 1
    assert server.metric("asr_ended_total", code="1000") == 1
    eventually(lambda: server.metric("asr_open_streams") == 0)


def test_finalize_commits_and_the_stream_goes_on(server: Running) -> None:
    """The command is the same on every wire."""
    with line_client(server) as socket:
        for message in ("language en", pcm(1.0), "commit"):
            socket.send(message)
        assert [socket.recv(timeout=30) for _ in range(3)][-1] == f"en: {words(2)} at 1"
        socket.send(pcm(0.5))
        socket.send("stop")
        assert rest(socket)[0] == "en: w2 at 1.5"


def test_new_settings_finish_the_stream_and_open_another(server: Running) -> None:
    """The results of the first come before the answer to the second, and its place in the scheduler is freed."""
    engine = server.service.schedulers["scripted-1"].engine
    with line_client(server) as socket:
        for message in ("language en", pcm(1.0), "language ja", pcm(0.5), "stop"):
            socket.send(message)
        said = rest(socket)
    assert said[1:-1] == ["listening to en", "en: w0 w1 at 1", "listening to ja", "ja: w0 at 0.5"]
    assert [session.language for session in engine.opened[-2:]] == ["en", "ja"]  # type: ignore[attr-defined]
    eventually(lambda: [load.streams for load in server.service.schedulers["scripted-1"].loads] == [0])


@pytest.mark.parametrize(
    ("messages", "cause", "sentence"),
    [
        (["sing"], "bad_message", "found 'sing', wanted language, commit or stop"),
        ([pcm(0.5)], "bad_message", "before the stream's settings"),
        (["language tlh"], "bad_message", "found the language 'tlh'"),
        (["stop"], "no_audio", "without any audio"),
        (["language en", pcm(1.0, POISON)], "internal", "recognition failed inside the server"),
    ],
)
def test_errors_reach_the_wire_by_cause(server: Running, messages: list[Frame], cause: str, sentence: str) -> None:
    """The wire chooses the words around the description, the code, and the name under which the error is counted."""
    with line_client(server) as socket:
        for message in messages:
            socket.send(message)
        last = rest(socket)[-1]
        assert socket.close_code == 4000
    assert isinstance(last, str)
    assert last.startswith("error: ")
    assert sentence in last
    assert server.metric("asr_errors_total", kind=f"line-{cause}") == 1
