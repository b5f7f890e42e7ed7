"""A Starlette WebSocket as the transport of `server.streams.connection`."""

from collections.abc import Callable, Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from server.access.credentials import answered_subprotocol
from server.http.half_close import HALF_CLOSED
from server.http.service import Service
from server.streams.connection import Connection
from server.streams.transport import HalfClosed, PeerGone
from server.wires.base import Command, Frame, Wire

MAX_REASON_BYTES = 123
"""RFC 6455, 5.5: a control frame carries 125 bytes, two of them the close code."""


class WebSocketTransport:
    """An accepted WebSocket. Each method raises `PeerGone` when the client has gone."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> Frame:
        """The next text or binary message. Raises `PeerGone` when the client has closed, `HalfClosed` for its half."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise PeerGone(message.get("code", 1006))
        if HALF_CLOSED in message:
            raise HalfClosed
        data: bytes | None = message.get("bytes")
        text: str | None = message.get("text")
        return data if data is not None else text or ""

    async def send(self, frame: Frame) -> None:
        """Sends text as a text message, bytes as a binary one. Ray pickles messages: no subclass of `str` here."""
        try:
            await (self._socket.send_text(str(frame)) if isinstance(frame, str) else self._socket.send_bytes(frame))
        except WebSocketDisconnect:
            raise PeerGone from None

    async def close(self, code: int, reason: str) -> None:
        """Sends the close frame, its reason cut to the 123 bytes that fit. Raises `PeerGone`."""
        try:
            await self._socket.close(code, fitting(reason))
        except WebSocketDisconnect:
            raise PeerGone from None


def fitting(reason: str) -> str:
    """The text cut to what fits in a close frame, never within a character."""
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


async def serve(
    socket: WebSocket,
    service: Service,
    wire: Wire,
    request_id: str,
    on_idle: Callable[[], Sequence[Command]] | None = None,
) -> None:
    """Accepts a WebSocket and serves it. A message opens the stream, and only then a place is taken.

    `on_idle`: as that of `server.streams.connection.Connection`.
    """
    connection = Connection(
        WebSocketTransport(socket),
        wire,
        None,
        open_stream=service.open_in_place,
        on_idle=on_idle,
        limits=service.settings,
        metrics=service.metrics,
        request_id=request_id,
    )
    try:
        subprotocol = answered_subprotocol(socket.scope.get("subprotocols", []))
        with service.admission.presence(connection.shut_down):
            await socket.accept(subprotocol, [(b"x-request-id", request_id.encode())])
            await connection.run()
    finally:
        connection.close()
