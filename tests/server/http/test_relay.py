"""A client that comes back to another server than the one that keeps its stream. Two real servers, real sockets."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from asr.events import Final
from eval.runs.local_server import free_port
from server.access.keyring import SECRET_VARIABLE
from server.client.protocol import Message
from server.client.resuming import ResumingStream
from tests.server.access.keys import made
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed

pytestmark = pytest.mark.slow

QUERY = f"{RAW}&resumable=30"
Together = Callable[..., list[Running]]


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> Iterator[Together]:
    """Starts servers that know each other."""
    monkeypatch.setenv(SECRET_VARIABLE, "s" * 32)
    with ExitStack() as stack:

        def start(count: int = 2, **settings: Any) -> list[Running]:
            return [stack.enter_context(at_port(free_port(), **settings)) for _ in range(count)]

        yield start


def at_port(port: int, **settings: Any) -> Any:
    return running(ScriptedEngine(), port=port, advertise=f"ws://127.0.0.1:{port}", **settings)


def first(socket: Any, kind: str) -> dict[str, Any]:
    while (message := json.loads(socket.recv(timeout=30)))["type"] != kind:
        pass
    return message  # type: ignore[no-any-return]


def lost(server: Running, seconds: float, query: str = QUERY, **options: Any) -> str:
    """The token of a stream that got so much audio, and whose connection was then cut."""
    with server.listen(query, **options) as socket:
        token = str(first(socket, "Session")["resume"])
        socket.send(pcm(seconds))
        while first(socket, "Received")["received_bytes"] < seconds * 32_000:
            pass
        socket.socket.shutdown(sockets.SHUT_RDWR)
    eventually(lambda: server.metric("asr_detached_streams") == 1)
    return token


def refusal(server: Running, query: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught, server.listen(query, **options):
        pass
    return caught.value.response.status_code, str(json.loads(caught.value.response.body or b"{}").get("err_code"))


def test_a_stream_goes_on_through_another_server(together: Together) -> None:
    """All words once, none recognised again; the new token works everywhere too."""
    owner, other, third = together(3)
    token = lost(owner, 1.0)
    with other.listen(f"resume={token}&sequence=0") as socket:
        session = first(socket, "Session")
        assert session["received_bytes"] == 32_000
        assert other.metric("asr_relayed_streams") == 1
        assert other.metric("asr_open_streams") == 0
        socket.send(pcm(0.5))
        while first(socket, "Received")["received_bytes"] < 48_000:
            pass
        socket.socket.shutdown(sockets.SHUT_RDWR)
    eventually(lambda: owner.metric("asr_detached_streams") == 1)
    with third.listen(f"resume={session['resume']}&sequence=0") as socket:
        socket.send(pcm(0.5))
        socket.send(CLOSE)
        messages, code = until_closed(socket)
    assert (transcript(messages), code) == (words(4), 1000)
    assert owner.metric("asr_resumes_total", outcome="resumed") == 2
    eventually(lambda: owner.metric("asr_open_streams") == other.metric("asr_relayed_streams") == 0)


def test_a_farewell_through_another_server_is_one(together: Together) -> None:
    """The stream is not waited for."""
    owner, other = together()
    token = lost(owner, 0.5)
    with other.listen(f"resume={token}&sequence=0") as socket:
        first(socket, "Session")
    eventually(lambda: owner.metric("asr_open_streams") == 0)
    assert owner.metric("asr_resumes_total", outcome="expired") == 0


def test_refusals_of_the_owner_are_passed_on(together: Together) -> None:
    """A sequence that it never sent; a token that was used up."""
    owner, other = together()
    token = lost(owner, 0.5)
    assert refusal(other, f"resume={token}&sequence=99") == (400, "INVALID_QUERY_PARAMETER")
    with owner.listen(f"resume={token}&sequence=0") as socket:
        first(socket, "Session")
        socket.send(pcm(0.5))
        eventually(lambda: refusal(other, f"resume={token}&sequence=0") == (410, "GONE"))


def test_an_owner_that_is_gone_is_410(together: Together) -> None:
    """Then the client has the rest recognised again. A token that a client made up is 410 too, and asks nobody."""
    owner, other = together()
    token = lost(owner, 0.5)
    owner.stop()
    assert refusal(other, f"resume={token}&sequence=0") == (410, "GONE")
    head, _, signature = token.rpartition(".")
    assert refusal(other, f"resume={head}.{signature[::-1]}&sequence=0") == (410, "GONE")


def test_a_server_that_shuts_down_lets_its_clients_resume_elsewhere(together: Together) -> None:
    """1001, after which a client comes back with its token: the stream lives on."""
    owner, other = together()
    token = lost(owner, 0.5)
    with other.listen(f"resume={token}&sequence=0") as socket:
        session = first(socket, "Session")
        other.server.should_exit = True
        _, code = until_closed(socket)
    assert code == 1001
    with owner.listen(f"resume={session['resume']}&sequence=0") as socket:
        assert first(socket, "Session")["received_bytes"] == 16_000


def test_keys_are_checked_by_both(together: Together, tmp_path: Path) -> None:
    """In a header and in a subprotocol; another key of the same servers has not this stream."""
    keys = made(tmp_path)
    owner, other = together(keys_file=str(keys.file))
    mine = {"Authorization": f"Token {keys.secrets['all']}"}
    token = lost(owner, 0.5, additional_headers=mine)
    resume = f"resume={token}&sequence=0"
    assert refusal(other, resume)[0] == 401
    assert (
        refusal(other, resume, additional_headers={"Authorization": f"Token {keys.secrets['only-listen']}"})[0] == 410
    )
    with other.listen(resume, subprotocols=["token", keys.secrets["all"]]) as socket:
        assert socket.subprotocol == "token"
        first(socket, "Session")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_client_that_is_sent_elsewhere_hears_each_word_once(together: Together, is_killed: bool) -> None:
    """Each connection goes to the next of three servers, as behind a proxy; the owner lives, or has died meanwhile."""
    servers = together(3)
    messages: list[Message] = []
    breaks: list[int] = []

    async def speak() -> None:
        async with Alternating([int(server.url.rsplit(":", 1)[1]) for server in servers]) as proxy:

            async def chunks() -> AsyncIterator[bytes]:
                for number in range(60):
                    yield pcm(0.1)
                    await asyncio.sleep(0.02)
                    if number in (15, 35):
                        breaks.append(number)
                        if is_killed and number == 35:
                            await asyncio.to_thread(servers[0].stop)
                        proxy.cut()

            url = f"ws://127.0.0.1:{proxy.port}/v1/listen?{RAW}"
            await ResumingStream(url, messages.append, bytes_per_s=32_000, frame_bytes=2).run(chunks())

    asyncio.run(speak())
    finals = [message.event for message in messages if isinstance(message.event, Final)]
    times = [word.start_s for final in finals for word in final.words]
    assert len(breaks) == 2
    assert times == sorted(set(times))
    assert len(times) >= 10  # the scripted engine has no word for a half second that was cut in two
    if not is_killed:
        assert times == [number / 2 for number in range(12)]
        assert servers[1].metric("asr_resumes_total", outcome="gone") == 0


class Alternating:
    """A proxy in front of several servers: each connection goes to the next one; `cut` breaks those that are open."""

    def __init__(self, ports: list[int]) -> None:
        self._ports, self._next = ports, 0
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Alternating":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self._ports[self._next % len(self._ports)]
        self._next += 1
        try:
            upstream, upward = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return writer.transport.abort()
        self._writers += [writer, upward]
        for source, target in ((reader, upward), (upstream, writer)):
            task = asyncio.create_task(_copy(source, target))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.transport.abort() if writer.transport.is_closing() else writer.close()
