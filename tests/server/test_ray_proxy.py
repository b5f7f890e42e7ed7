"""What `server.ray_proxy` adds to Ray's proxy, under the real Uvicorn.

Unreal: instead of the proxy's application there is one that ends as it does when a replica dies, by returning;
`test_ray_serve.py` has the real one.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from eval.runs.local_server import free_port
from server.http.relay import LOST
from server.ray_proxy import CALLBACK, TellOfDeath, middlewares
from tests.server.running import eventually


async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
    """Ends in the way that the path names."""
    path = scope["path"]
    await receive()
    if path == "/refused":  # as Ray answers a handshake whose replica died
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"actor died"})
        return
    if path == "/denied":  # as our application refuses
        await send({"type": "websocket.http.response.start", "status": 410, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"gone"})
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "word"})
    if path == "/closed":
        await send({"type": "websocket.close", "code": 1012, "reason": "a restart"})
    elif path == "/left":
        while (await receive())["type"] != "websocket.disconnect":
            pass


@contextmanager
def serving() -> Iterator[str]:
    port = free_port()
    [middleware] = middlewares()
    assert middleware.cls is TellOfDeath
    server = uvicorn.Server(uvicorn.Config(TellOfDeath(proxied), port=port, lifespan="off", log_level="error"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"ws://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as at:
        yield at


def closed(socket: ClientConnection) -> tuple[int, str]:
    """After the first message."""
    assert socket.recv(timeout=30) == "word"
    with pytest.raises(ConnectionClosed) as caught:
        socket.recv(timeout=30)
    frame = caught.value.rcvd
    return (frame.code, frame.reason) if frame else (1006, "")


@pytest.mark.parametrize(("path", "code"), [("/lost", LOST), ("/closed", (1012, "a restart"))])
def test_a_client_is_told_how_it_ended(url: str, path: str, code: tuple[int, str]) -> None:
    """A replica that died is a close code after which clients resume, not an end of TCP; its own code is passed on."""
    with connect(url + path, compression=None) as socket:
        assert closed(socket) == code


@pytest.mark.parametrize(("path", "status"), [("/refused", 503), ("/denied", 410)])
def test_a_handshake_that_nobody_took_may_be_tried_again(url: str, path: str, status: int) -> None:
    """503 with Retry-After, as from a server that is full. What the application says itself is passed on."""
    with pytest.raises(InvalidStatus) as refused, connect(url + path, compression=None):
        pass
    assert refused.value.response.status_code == status
    assert ("Retry-After" in refused.value.response.headers) == (status == 503)


def test_a_client_that_has_gone_is_told_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """And no exception is raised for it."""
    with connect(f"{url}/left", compression=None) as socket:
        assert socket.recv(timeout=30) == "word"
    with connect(f"{url}/closed", compression=None) as socket:
        closed(socket)
    assert "Exception" not in caplog.text


def test_ray_finds_it_by_its_name() -> None:
    """It imports it in its own processes."""
    module, name = CALLBACK.rsplit(".", 1)
    assert getattr(import_module(module), name) is middlewares
