"""Uvicorn's WebSocket protocol for clients that close their half of the TCP connection and wait for the answer.

RFC 6455 has no half close of its own: such a client sends its last message, then FIN. Uvicorn (0.54) closes then, and
what was asked for is lost. Python's TLS has no half close, so there it stays so.
"""

from typing import Any

from uvicorn.protocols.utils import is_ssl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

HALF_CLOSED = "half_closed"
"""A key of the ASGI message that reports it, which is otherwise an empty ``websocket.receive``."""


class HalfClosing(WebSocketsSansIOProtocol):
    """Reports the end of what the client sends as a message of its own. The connection stays open for writing."""

    _is_half_closed = False

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """Called at FIN, which a client that has gone sends, too: the next writes show which it is."""
        if self.transport.is_closing() or is_ssl(self.transport) or not self.handshake_complete or self.close_sent:
            return None
        self._is_half_closed = True
        self.queue.put_nowait({"type": "websocket.receive", HALF_CLOSED: True})  # type: ignore[arg-type]
        return True

    async def send(self, message: Any) -> None:
        """As Uvicorn's, which waits for the client's close frame after its own: here none can come."""
        await super().send(message)
        if self._is_half_closed and message["type"] == "websocket.close":
            self.transport.close()
