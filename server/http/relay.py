"""A client that comes back to another server than the one that keeps its stream: its messages are passed on.

A redirect would need no second connection, but WebSockets in browsers do not follow one, and clients do not reach a
server behind a proxy.
"""

import asyncio
import contextlib
from urllib.parse import quote

from starlette.responses import Response
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from server.config import ServerSettings
from server.http.websocket import WebSocketTransport
from server.streams.resumption import FAREWELL, Gone
from server.streams.transport import HalfClosed, PeerGone
from server.wires.base import Frame

OPEN_S = 3.0
"""A server that does not answer within this time counts as dead: the client has its last words recognised again."""
LOST = (1011, "the server that keeps this stream was lost; resume the stream")
LEAVING = (1001, "this server shuts down; resume the stream with another")
PASSED_ON = ("authorization", "api-key", "user-agent")
"""The key is checked there once more. Not the origin, which this server has checked."""
ABNORMAL = 1006


class Relay:
    """One client's connection to the server that keeps its stream."""

    def __init__(self, socket: WebSocket, settings: ServerSettings) -> None:
        self._socket, self._transport, self._settings = socket, WebSocketTransport(socket), settings
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Ends it with a code after which clients resume: this server shuts down, and the stream lives elsewhere."""
        self._leaving.set()

    async def run(self, owner: str) -> None:
        """Connects with `owner` and passes on what both say, until either ends. A refusal is passed on too.

        Raises `Gone` if nobody answers there.
        """
        try:
            peer = await self._connected(owner)
        except InvalidStatus as refusal:
            return await self._socket.send_denial_response(_answer(refusal))
        except (OSError, TimeoutError, WebSocketException):
            raise Gone(
                "the server that kept this stream is gone; open a new one, with offset where times go on"
            ) from None
        try:
            headers = [
                (name.lower().encode(), value.encode())
                for name, value in (peer.response.headers.raw_items() if peer.response else ())
                if name.lower() in ("dg-request-id", "x-request-id")
            ]
            await self._socket.accept(peer.subprotocol, headers)
            await self._serve(peer)
        finally:
            peer.transport.abort()

    async def _connected(self, owner: str) -> ClientConnection:
        scope = self._socket.scope
        address = f"{owner}{quote(scope['path'])}?{scope['query_string'].decode('latin-1')}"
        headers = [(name, value) for name in PASSED_ON for value in self._socket.headers.getlist(name)]
        return await connect(
            address,
            additional_headers=headers,
            subprotocols=scope.get("subprotocols") or None,
            user_agent_header=None,
            compression=None,
            max_size=None,
            open_timeout=OPEN_S,
            proxy=None,
        )

    async def _serve(self, peer: ClientConnection) -> None:
        up, down = asyncio.create_task(self._up(peer)), asyncio.create_task(self._down(peer))
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait({up, down, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (up, down, leaving):
                task.cancel()
            ends = await asyncio.gather(up, down, return_exceptions=True)
        close = LEAVING if self._leaving.is_set() else next((end for end in ends if isinstance(end, tuple)), None)
        if close:
            with contextlib.suppress(PeerGone):
                await self._transport.close(*close)

    async def _up(self, peer: ClientConnection) -> tuple[int, str] | None:
        """What the client says. A farewell is passed on; any other end is an accident, and looks like one there."""
        try:
            while True:
                try:
                    await peer.send(await self._transport.receive())
                except HalfClosed:  # its results go on; the next call says when it has gone
                    continue
        except PeerGone as gone:
            if gone.code == FAREWELL:
                await peer.close(FAREWELL)
            return None
        except ConnectionClosed:
            return await asyncio.Future()  # the other direction says how it ended

    async def _down(self, peer: ClientConnection) -> tuple[int, str] | None:
        """What the server says, to its close frame."""
        try:
            while True:
                await self._send(await peer.recv())
        except PeerGone:
            return None
        except ConnectionClosed:
            code = peer.close_code or ABNORMAL
            return LOST if code == ABNORMAL else (code, peer.close_reason or "")

    async def _send(self, frame: Frame) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                await self._transport.send(frame)
        except TimeoutError:
            raise PeerGone from None


def _answer(refusal: InvalidStatus) -> Response:
    response = refusal.response
    names = ("content-type", "retry-after", "dg-request-id", "dg-error", "www-authenticate")
    headers = {name: response.headers[name] for name in names if name in response.headers}
    return Response(bytes(response.body or b""), response.status_code, headers)
