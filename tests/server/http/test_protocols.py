"""What one client may cost: heads, bodies, connections and frames, over raw sockets."""

import asyncio
import re
import socket as sockets
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, suppress
from queue import Queue
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.frames import Frame, Opcode

from server.http import uploads
from server.limits import Connections, FrameBudgets
from tests.server.fakes import ScriptedEngine, words
from tests.server.running import CLOSE, RAW, Running, eventually, pcm, running, transcript, until_closed

pytestmark = pytest.mark.slow

HEAD_S = 1.0
HOST = "Host: localhost\r\n"
UPGRADE = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(ScriptedEngine(), head_timeout_s=HEAD_S, max_streams=4, send_timeout_s=2.0) as server:
        yield server


def open_socket(server: Running) -> sockets.socket:
    return sockets.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=20)


def asked(server: Running, request: str) -> bytes:
    """Everything that the server sends until it closes, or until it has sent a response whose length is known."""
    with open_socket(server) as raw:
        raw.sendall(request.encode("latin-1"))
        return answer_of(raw)


def answer_of(raw: sockets.socket) -> bytes:
    received = b""
    while not _is_whole(received):
        try:
            piece = raw.recv(65_536)
        except ConnectionResetError:
            break
        if not piece:
            break
        received += piece
    return received


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and (head.startswith(b"HTTP/1.1 101") or (length is not None and len(body) >= int(length[1])))


def handshake(query: str, more: str = "") -> str:
    return f"GET /v1/listen?{query} HTTP/1.1\r\n{HOST}{UPGRADE}{KEY}{more}\r\n"


def frame(opcode: Opcode, data: bytes = b"") -> bytes:
    return Frame(opcode, data).serialize(mask=True)


LONGEST = [
    f"{RAW}&prompt={quote('語' * 4000)}",
    f"{RAW}&prompt={quote('𠀋' * 4000)}",
    RAW + "".join(f"&keyterm={quote('𠀋' * 100)}" for _ in range(100)),
    RAW + f"&prompt={quote('𠀋' * 4000)}" + "".join(f"&keyterm={quote('語' * 100)}" for _ in range(100)),
]


@pytest.mark.parametrize("query", LONGEST, ids=["prompt", "rare", "hotwords", "both"])
def test_the_longest_documented_query_arrives_in_any_script(server: Running, query: str) -> None:
    """Percent-encoded, 4,000 characters of prompt are up to 48,000 bytes; 100 hotwords are 120,000."""
    with server.listen(query) as socket:
        socket.send(pcm(0.6))
        socket.send(CLOSE)
        assert transcript(until_closed(socket)[0]) == words(1)
    assert asked(server, f"GET /v1/listen?{query} HTTP/1.1\r\n{HOST}\r\n").startswith(b"HTTP/1.1 426")


@pytest.mark.parametrize(
    "more", ["Cookie: " + "c" * 9_000, "Authorization: " + "a" * 60_000, "\r\n".join(["A: b"] * 130)]
)
def test_large_headers_within_the_limit_arrive(server: Running, more: str) -> None:
    """Browsers keep cookies of 4 KiB each, and gateways add dozens of headers."""
    assert asked(server, handshake(RAW, f"{more}\r\n")).startswith(b"HTTP/1.1 101")
    assert asked(server, f"GET /healthz HTTP/1.1\r\n{HOST}{more}\r\n\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("more", ["Cookie: " + "c" * 300_000, "A: b\r\n" * 300 + "A: b", "B" * 280_000])
@pytest.mark.parametrize("upgrade", [UPGRADE + KEY, ""])
def test_a_larger_head_gets_431(server: Running, more: str, upgrade: str) -> None:
    """An answer with the limit in its sentence, whether the head ends or not."""
    answer = asked(server, f"GET /v1/listen?{RAW} HTTP/1.1\r\n{HOST}{upgrade}{more}\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"262144 bytes or 256 headers" in answer


@pytest.mark.parametrize(
    "request_text",
    [
        handshake(RAW, "Content-Length: 5\r\n") + "hello",
        handshake(RAW, "Transfer-Encoding: chunked\r\n"),
        f"GET /v1/listen HTTP/1.1\r\n{HOST}{UPGRADE}\r\n",
        f"GET /v1/listen HTTP/1.1\r\n{HOST}{UPGRADE}{KEY}{KEY}\r\n",
        f"POST /v1/listen HTTP/1.1\r\n{HOST}{UPGRADE}{KEY}\r\n",
        f"GET /v1/l\xefsten HTTP/1.1\r\n{HOST}{UPGRADE}{KEY}\r\n",
        f"GET / HTTP/1.1\r\n{HOST}Host: other\r\n\r\n",
        "GET / HTTP/99\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
)
def test_every_broken_handshake_is_answered(server: Running, request_text: str) -> None:
    """websockets refuses some that h11 took, and Uvicorn does not send its refusals."""
    assert re.match(rb"HTTP/1.1 (4\d\d|501) ", asked(server, request_text))


@pytest.mark.parametrize(
    "refused",
    [
        f"GET / HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 300,
        "GET / HTTP/99\r\n\r\n",
        f"GET /v1/listen HTTP/1.1\r\n{HOST}{UPGRADE}{KEY}{KEY}\r\n",
        handshake(f"{RAW}&model=nope"),
        f"GET /nowhere HTTP/1.1\r\n{HOST}Connection: close\r\n\r\n",
    ],
    ids=["head", "version", "handshake", "model", "path"],
)
def test_a_client_that_goes_on_sending_gets_its_refusal(server: Running, refused: str) -> None:
    """A connection closed with bytes unread is reset, and what its client has not read yet is lost."""
    with open_socket(server) as raw:
        raw.sendall(refused.encode())
        raw.recv(1, sockets.MSG_PEEK)
        for _ in range(20):
            raw.sendall(bytes(50_000))
        received = b""
        while piece := raw.recv(65_536):
            received += piece
    assert re.match(rb"HTTP/1.1 (4\d\d|505) .*[}\n]$", received, re.DOTALL)


EARLY = {
    "its whole stream": (
        frame(Opcode.BINARY, pcm(0.6)) + frame(Opcode.TEXT, CLOSE.encode()),
        b"w0",
        b"\x88\x02\x03\xe8",
    ),
    "a ping and a close frame": (frame(Opcode.PING) + frame(Opcode.CLOSE), b"\r\n\r\n\x8a\x00", b"\x88\x00"),
    "no UTF-8": (frame(Opcode.TEXT, b"\xff"), b"not UTF-8", b"\x03\xef"),
    "a frame without a mask": (b"\x82\x01x", b"incorrect masking", b"\x03\xea"),
    "no frame": (b"\xff" * 9, b"invalid opcode", b"\x03\xea"),
}


@pytest.mark.parametrize("case", EARLY)
def test_what_a_client_sends_before_the_handshake_is_answered_is_read_after_it(
    server: Running, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 6455, 4.1: a client waits. One that does not loses no audio, and a broken frame of it is no traceback."""
    sent, *wanted = EARLY[case]
    with open_socket(server) as raw:
        raw.sendall(handshake(RAW).encode() + sent)
        received = b""
        while not all(part in received for part in wanted):
            piece = raw.recv(65_536)
            assert piece, received
            received += piece
    assert received.startswith(b"HTTP/1.1 101")
    assert not [record for record in caplog.records if record.exc_info or record.name == "asyncio"]


@pytest.mark.parametrize("begun", ["", "GET / HT", f"GET /v1/listen HTTP/1.1\r\n{HOST}{UPGRADE}"])
def test_a_head_has_a_deadline(server: Running, begun: str) -> None:
    """Also one that trickles; it is answered by 408, silence by the end of the connection."""
    with open_socket(server) as raw:
        raw.sendall(begun.encode())
        raw.settimeout(0.2)
        received, until_s = b"", time.monotonic() + 15
        while time.monotonic() < until_s:
            try:
                if not (piece := raw.recv(4096)):
                    break
                received += piece
            except TimeoutError:
                if begun:
                    raw.sendall(b"x")
            except OSError:
                break
        assert time.monotonic() < until_s
    assert (received[:12] == b"HTTP/1.1 408") if begun else not received


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/listen", "/v1/audio/translations"])
def test_bodies_that_trickle_hold_no_place(server: Running, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More of them than places; a stream opens beside them, and each is answered by 408."""
    monkeypatch.setattr(uploads, "BODY_GRACE_S", 2.0)
    kind = "Content-Type: multipart/form-data; boundary=x\r\n"
    head = f"POST {path} HTTP/1.1\r\n{HOST}{kind if 'audio' in path else ''}Content-Length: 900000\r\n\r\n--x\r\n"
    with ExitStack() as held:
        slow = [held.enter_context(open_socket(server)) for _ in range(6)]
        for raw in slow:
            raw.sendall(head.encode())
        with server.listen() as socket:
            socket.send(pcm(0.6))
            socket.send(CLOSE)
            assert transcript(until_closed(socket)[0]) == words(1)
        assert all(answer_of(raw).startswith(b"HTTP/1.1 408") for raw in slow)
    eventually(lambda: server.metric("asr_open_streams") == 0)


def test_two_lengths_close_the_connection(server: Running) -> None:
    """RFC 9112, 6.1: what follows is never read as a request."""
    both = f"POST /v1/listen HTTP/1.1\r\n{HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    with open_socket(server) as raw:
        raw.sendall(f"{both}GET /healthz HTTP/1.1\r\n{HOST}\r\n".encode())
        received = b""
        while piece := raw.recv(65_536):
            received += piece
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1


def test_idle_connections_lock_nobody_out() -> None:
    """Beyond the limit, the one that has waited longest is cut; a stream that is being served never is."""
    with (
        running(ScriptedEngine(), max_connections=20, head_timeout_s=30.0) as server,
        server.listen() as stream,
        ExitStack() as held,
    ):
        idle = [held.enter_context(open_socket(server)) for _ in range(60)]
        for raw in idle[::2]:
            raw.sendall(b"GET / HT")
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        stream.send(pcm(0.6))
        stream.send(CLOSE)
        assert transcript(until_closed(stream)[0]) == words(1)


def test_served_connections_above_the_limit_are_told(server: Running) -> None:
    """503 with Retry-After, and room again when one has left."""
    with running(ScriptedEngine(), max_connections=2) as small, small.listen() as one, small.listen():
        answer = asked(small, handshake(RAW))
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 5" in answer
        one.close()
        eventually(lambda: asked(small, f"GET /healthz HTTP/1.1\r\n{HOST}\r\n").startswith(b"HTTP/1.1 200"))


def test_connections_are_counted_by_address() -> None:
    """One address over its share loses its own oldest connection, not another client's."""
    cut: list[str] = []
    connections = Connections(most=6, most_from_one_address=3)
    for name in ("a1", "b1", "a2", "a3", "a4"):
        assert connections.enter(name, name[0], lambda name=name: cut.append(name))  # type: ignore[misc]
    assert (cut, len(connections)) == (["a1"], 4)
    for name in ("a2", "a3", "a4"):
        connections.serve(name)
    assert not connections.enter("a5", "a", lambda: None)
    connections.leave("a5")
    connections.leave("a5")
    assert len(connections) == 4


FLOODS = {
    "pings": Frame(Opcode.PING, b""),
    "pongs": Frame(Opcode.PONG, b"x" * 125),
    "empty messages": Frame(Opcode.BINARY, b""),
    "fragments": Frame(Opcode.CONT, b"x", fin=False),
    "KeepAlive": Frame(Opcode.TEXT, b'{"type":"KeepAlive"}'),
    "Finalize": Frame(Opcode.TEXT, b'{"type":"Finalize"}'),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_frames_is_slowed_down_or_closed(server: Running, name: str) -> None:
    """What is sent at full speed is read at the budget's, or ends with 1008; its place is freed."""
    many = FLOODS[name].serialize(mask=True) * 4_000
    with open_socket(server) as raw:
        raw.sendall(handshake(RAW).encode())
        assert answer_of(raw).startswith(b"HTTP/1.1 101")
        if name == "fragments":
            raw.sendall(Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=True))
        raw.settimeout(0.5)
        with suppress(OSError):  # slowed down, or closed
            for _ in range(2_000):
                raw.sendall(many)
            pytest.fail("the server read 8 million frames")
        with server.listen() as healthy:
            healthy.send(pcm(0.6))
            healthy.send(CLOSE)
            assert transcript(until_closed(healthy)[0]) == words(1)
    eventually(lambda: server.metric("asr_open_streams") == 0)


def test_audio_in_real_time_never_waits_for_floods() -> None:
    """Each connection's own frames a second are not taken from the part that all share."""
    budgets = FrameBudgets(own=200, shared=1000)
    flood, audio = budgets.open(), budgets.open()
    assert flood.pay(10_000) > 10
    assert audio.pay(200) == 0


def test_invalid_utf8_is_one_line_in_the_log(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    """Closed with 1007; the traceback of a client's mistake would only fill the disk."""
    with open_socket(server) as raw:
        raw.sendall(handshake(RAW).encode())
        assert answer_of(raw).startswith(b"HTTP/1.1 101")
        raw.sendall(Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True))
        received = b""
        while piece := raw.recv(4096):
            received += piece
    assert b"\x03\xef" in received  # 1007
    [record] = [record for record in caplog.records if "UTF-8" in record.getMessage()]
    assert record.exc_info is None


late: Queue[BaseException | None] = Queue()


async def answer_late(socket: WebSocket) -> None:
    """Sends when it has heard that its client has gone, as a stream's results may."""
    await socket.accept()
    await socket.receive()
    try:
        await socket.send_text("late")
        late.put(None)
    except (WebSocketDisconnect, RuntimeError) as error:
        late.put(error)


def test_a_result_after_the_server_has_closed_finds_no_client() -> None:
    """A flood, or text that is not UTF-8, closes a WebSocket below the stream, whose results still come."""
    with running(ScriptedEngine(), routes=[WebSocketRoute("/late", answer_late)]) as server, open_socket(server) as raw:
        raw.sendall(handshake(RAW).replace("/v1/listen", "/late").encode())
        assert answer_of(raw).startswith(b"HTTP/1.1 101")
        raw.sendall(frame(Opcode.TEXT, b"\xff\xfe"))
        assert isinstance(late.get(timeout=30), WebSocketDisconnect)


def test_a_client_that_reads_no_pong_is_cut(server: Running) -> None:
    """Each ping adds a pong to what it should read: they must not gather in memory."""
    pings = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 20
    with sockets.socket() as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.settimeout(1.0)
        raw.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        raw.sendall(handshake(RAW).encode())
        eventually(lambda: not _takes(raw, pings), patience_s=60)
    eventually(lambda: server.metric("asr_open_streams") == 0)


left = threading.Event()
"""Set when the response below has ended."""


async def endless(request: Request) -> StreamingResponse:
    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: x\n\n" * 1_000
                await asyncio.sleep(0)
        finally:
            left.set()

    return StreamingResponse(body(), media_type="text/event-stream")


def test_a_reader_of_events_that_never_reads_is_cut() -> None:
    """Its response, and with it the upload's place, ends after `send_timeout_s`."""
    routes = [Route("/endless", endless)]
    with running(ScriptedEngine(), routes=routes, send_timeout_s=1.0) as server, open_socket(server) as raw:
        raw.sendall(f"GET /endless HTTP/1.1\r\n{HOST}\r\n".encode())
        assert left.wait(30)


def _takes(raw: sockets.socket, data: bytes) -> bool:
    """Sends the data; False if the connection is closed."""
    try:
        raw.sendall(data)
    except TimeoutError:
        return True
    except OSError:
        return False
    return True
