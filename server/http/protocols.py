"""Uvicorn's HTTP and WebSocket protocols, bounded: what a client sends costs a bounded share of the event loop.

Both are subclasses of Uvicorn's (0.54) with h11 and websockets, which leave these to a proxy in front:

- A request's head has a deadline and a largest size, and is answered by 408 or 431 beyond them. Uvicorn re-parses the
  head of a WebSocket with websockets, whose refusals (a line over 8 KiB, 129 headers) it never sends.
- Connections are counted (`server.limits.Connections`). One that waits for a request is cut when room is needed.
- One read hands over at most 16 KiB, or 4 KiB of frames (asyncio: 256 KiB, or 37,000 frames), and frames a second have
  a budget.
- A connection is closed in two steps, so that no response is lost by a reset (`_closed_gently`).
- A client that takes nothing for `send_timeout_s` is cut, in whatever state its connection is.
"""

import asyncio
import json
import sys
import time
from asyncio.transports import BaseTransport
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

import h11
import websockets.http11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr

from server.config import ServerSettings
from server.http.half_close import HalfClosing
from server.http.security_headers import SECURITY_HEADERS
from server.limits import BYTES_A_FRAME, LINGER_S, OWN_FRAMES_PER_S, Connections, FrameBudgets
from server.streams.admission import RETRY_AFTER_S

MAX_HEAD_BYTES = 262_144
"""A request line and headers. The longest query that the docs allow has 170,000 bytes: a prompt of 4,000 characters and
100 hotwords of 100, each character as 12 bytes (percent-encoded UTF-8 outside the basic plane)."""
MAX_HEADERS = 256
_READ_BYTES = 16_384
_READ_FRAME_BYTES = 4_096
"""The same of a WebSocket: 680 pings, or 20 ms."""
_UNREAD_BODY_S = 60.0
"""What is left of a body after the response: many clients read a response only after they have sent their request."""
_DISCARD_S = 2e-3
"""The pause after each read of what is dropped then: sixteen kilobytes take about 20 us of the loop's time."""
_CLOSE_S = 5.0
"""For a client to take the last bytes and close, before its connection is cut."""
_SHUTDOWN_S = 0.5
"""The same, when the whole server ends."""
_PARSE_S_A_FRAME = 1e-4
"""HTTP is counted by the time that parsing took: a byte may be a chunk of its own."""
_FRAMES_A_REQUEST = 10
"""What a small response costs, in frames."""
_FLOOD_S = 0.6
"""A WebSocket whose next read would have to wait longer is closed: its frames have less than 35 bytes on average, and
what it sent before would keep its place for minutes after it has left."""
_FLOOD = f"found more than {OWN_FRAMES_PER_S:g} frames a second, wanted fewer and longer ones"
_DISCARD_S_A_FRAME = 3e-4
"""After the close frame what still comes is discarded, with a tenth of the loop's time."""
_RECEIVED_IN_ONE_GO = 32
"""Messages that a connection's task takes before other tasks get their turn."""

# Their documented form are environment variables, which websockets reads when it is imported.
websockets.http11.MAX_LINE_LENGTH = MAX_HEAD_BYTES
websockets.http11.MAX_NUM_HEADERS = MAX_HEADERS


class Bounds:
    """What the connections of one server share."""

    def __init__(self, settings: ServerSettings, connections: Connections, budgets: FrameBudgets) -> None:
        self.head_timeout_s, self.send_timeout_s = settings.head_timeout_s, settings.send_timeout_s
        self.connections, self.budgets = connections, budgets

    @property
    def protocols(self) -> dict[str, Callable[..., asyncio.Protocol]]:
        """Uvicorn's options ``http`` and ``ws``."""
        return {"http": partial(HttpProtocol, bounds=self), "ws": partial(WebSocketProtocol, bounds=self)}


class _Bounded(asyncio.BufferedProtocol):
    """What both protocols do: read little at a time, pause after a flood, cut a client that takes nothing."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    has_ended = False
    """The client sends nothing more."""

    def _bound(self, bounds: Bounds, read_bytes: int) -> None:
        self._bounds = bounds
        self._budget = bounds.budgets.open()
        self._buffer = bytearray(read_bytes)
        self._held = False
        self._cut_at: asyncio.TimerHandle | None = None

    def get_buffer(self, sizehint: int) -> memoryview:  # type: ignore[override]
        """A view: asyncio's TLS fills it in slices, and a slice of a bytearray is a copy."""
        return memoryview(self._buffer)

    def buffer_updated(self, nbytes: int) -> None:
        if not self.transport.is_closing():
            self.data_received(bytes(memoryview(self._buffer)[:nbytes]))
        elif self.transport.can_write_eof():
            self.transport.pause_reading()
            self.loop.call_later(_DISCARD_S, self.transport.resume_reading)

    def data_received(self, data: bytes) -> None:
        raise NotImplementedError

    def _pay(self, frames: float) -> bool:
        """Counts what was read, and pauses reading beyond the budget. False: far beyond it, this is a flood."""
        wait_s = self._budget.pay(frames)
        self._hold(wait_s)
        return wait_s <= _FLOOD_S

    def _hold(self, seconds: float) -> None:
        if seconds and not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()
            self.loop.call_later(seconds, self._release)

    def _release(self) -> None:
        self._held = False
        self._read_on()

    def _read_on(self) -> None:
        """Resumes reading, unless something else has paused it."""
        raise NotImplementedError

    def _cut_after(self, seconds: float) -> None:
        self._cut_never()
        self._cut_at = self.loop.call_later(seconds, self.transport.abort)

    def _cut_never(self) -> None:
        if self._cut_at:
            self._cut_at.cancel()
            self._cut_at = None

    def _answer(self, status: int, reason: str, sentence: str, **headers: str) -> None:
        """Sends a whole response by itself and closes."""
        body = json.dumps({"error": {"message": sentence, "type": "invalid_request_error"}})
        fields = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **SECURITY_HEADERS,
            **headers,
        }
        head = f"HTTP/1.1 {status} {reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.transport.write(f"{head}\r\n{body}".encode())
        self.transport.close()
        self._cut_after(_CLOSE_S)


def _closed_gently(transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> asyncio.Transport:
    """The transport, whose `close` ends what is sent, and reads and drops what still comes (`LINGER_S`).

    TLS has no half close, and forgets its connection at a second `close`: calls raise, `abort`
    does nothing, and `connection_lost` never comes.
    """
    close, write, is_closing = transport.close, transport.write, transport.is_closing
    ended = False

    def end() -> None:
        nonlocal ended
        if is_closing():
            return
        if not transport.can_write_eof() or cast(_Bounded, transport.get_protocol()).has_ended:
            close()
        elif not ended:
            ended = True
            with suppress(OSError):  # the client has gone
                transport.write_eof()
            transport.resume_reading()
            loop.call_later(LINGER_S, close)

    transport.close = end  # type: ignore[method-assign]
    transport.is_closing = lambda: ended or is_closing()  # type: ignore[method-assign]
    transport.write = lambda data: None if ended else write(data)  # type: ignore[method-assign]
    return transport


class _HeldFlow(FlowControl):
    """Uvicorn's control of reading, which does not resume while the connection is held."""

    def __init__(self, transport: asyncio.Transport, is_held: Callable[[], bool]) -> None:
        super().__init__(transport)
        self._is_held = is_held

    def resume_reading(self) -> None:
        if self._is_held():
            self.read_paused = False
        else:
            super().resume_reading()


class HttpProtocol(H11Protocol, _Bounded):
    """HTTP/1.1 with deadlines. Its connection waits for a request, is served, and waits again."""

    def __init__(self, *args: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(*args, **options)
        self._bound(bounds, _READ_BYTES)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = self._head_lines = 0
        self._has_room = self._refused = False

    def connection_made(self, transport: BaseTransport) -> None:  # type: ignore[override]
        super().connection_made(_closed_gently(cast(asyncio.Transport, transport), self.loop))
        self.flow = _HeldFlow(self.transport, lambda: self._held)
        client = get_remote_addr(self.transport) or ("", 0)
        self._bounds.connections.end_handshake(client)
        self._has_room = self._bounds.connections.enter(self.transport, client[0], self.transport.abort)
        self._wait_for_request(self._bounds.head_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._serve()
        self._cut_never()
        self._bounds.connections.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        if not self._has_room:
            self._refuse(503, "Service Unavailable", "too many connections are open; try again", **_RETRY)
            return
        if self.conn.their_state is h11.IDLE and not self._head_fits(data):
            found = f"found a request whose head has more than {MAX_HEAD_BYTES} bytes or {MAX_HEADERS} headers"
            self._refuse(431, "Request Header Fields Too Large", f"{found}, which is the limit")
            return
        began_s = time.perf_counter()
        before = self.cycle
        super().data_received(data)
        self._pay((time.perf_counter() - began_s) / _PARSE_S_A_FRAME)
        if self.cycle is not before:
            self._pay(_FRAMES_A_REQUEST)
        if self.cycle and not self.cycle.response_complete:
            self._serve()

    def eof_received(self) -> None:
        self.has_ended = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._head_bytes = self._head_lines = 0
        if self.transport.is_closing():
            self._cut_after(_CLOSE_S)
        elif self.cycle.response_complete:
            has_body_left = self.conn.their_state is h11.SEND_BODY
            self._wait_for_request(_UNREAD_BODY_S if has_body_left else self._bounds.head_timeout_s)
            self._bounds.connections.wait(self.transport, self.transport.abort)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._serve()
        super().handle_websocket_upgrade(event)
        early, _ = self.conn.trailing_data  # frames behind the handshake, in the same read: Uvicorn drops them
        if early and not self.transport.is_closing():
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(early)

    def send_400_response(self, msg: str) -> None:
        """Called where h11 refuses the request; it knows what is wrong, and the status."""
        error = sys.exc_info()[1]
        status = getattr(error, "error_status_hint", 400)
        reason = {431: "Request Header Fields Too Large", 501: "Not Implemented"}.get(status, "Bad Request")
        found = str(error).partition(":")[0]  # what follows is the line itself, perhaps with a key
        self._refuse(status if status in (431, 501) else 400, reason, f"found a request that is not HTTP/1.1: {found}")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cut_after(self._bounds.send_timeout_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cut_never()

    def _head_fits(self, data: bytes) -> bool:
        head = data if (end := data.find(b"\r\n\r\n")) < 0 else data[:end]
        self._head_bytes += len(head)
        self._head_lines += head.count(b"\n")
        return self._head_bytes <= MAX_HEAD_BYTES and self._head_lines <= MAX_HEADERS

    def _wait_for_request(self, seconds: float) -> None:
        self._serve_timer_off()
        self._deadline = self.loop.call_later(seconds, self._out_of_time)

    def _serve(self) -> None:
        self._serve_timer_off()
        self._bounds.connections.serve(self.transport)

    def _serve_timer_off(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _out_of_time(self) -> None:
        if self._head_bytes and not self._refused and not self.transport.is_closing():
            sentence = f"found no whole request in {self._bounds.head_timeout_s:g} s, which is the limit"
            self._refuse(408, "Request Timeout", sentence)
        else:
            self.transport.abort()

    def _refuse(self, status: int, reason: str, sentence: str, **headers: str) -> None:
        self._refused = True
        if not self.cycle or self.cycle.response_complete:  # else a response is being sent, and no second one can be
            self._answer(status, reason, sentence, **headers)
        else:
            self.transport.abort()

    def _read_on(self) -> None:
        if not self.flow.read_paused:
            self.transport.resume_reading()


class WebSocketProtocol(HalfClosing, _Bounded):
    """A WebSocket whose frames a second are bounded, and whose handshake is always answered."""

    def __init__(self, *args: Any, bounds: Bounds, **options: Any) -> None:
        super().__init__(*args, **options)
        self._bound(bounds, _READ_FRAME_BYTES)
        self._received = 0
        self._early = b""
        """What came before the handshake was answered; RFC 6455, 4.1, says that a client waits. It is read then."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._cut_never()
        self._bounds.connections.leave(self.transport)
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        self.has_ended = True
        return super().eof_received()

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            self.transport.pause_reading()
            return
        if not self.close_sent:
            self._pay(len(data) / BYTES_A_FRAME)
        super().data_received(data)
        if self.conn.handshake_exc and not self.handshake_initiated and not self.transport.is_closing():
            self.close_sent = self.handshake_complete = True
            self._answer(400, "Bad Request", f"found no WebSocket handshake: {self.conn.handshake_exc}")

    def handle_events(self) -> None:
        if self.close_sent:
            self._hold(len(self.conn.events) * _DISCARD_S_A_FRAME)
            super().handle_events()
        elif self._pay(len(self.conn.events)) or not self.handshake_complete:
            super().handle_events()
        else:
            self.conn.events.clear()
            self._close(1008, _FLOOD)

    def _close(self, code: int, reason: str) -> None:
        """Closes because of what the client sent; one line in the log."""
        self.logger.warning("closed a WebSocket with %d: %s", code, reason)
        self.frames = []
        self.conn.send_close(code, reason)
        self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """As Uvicorn's. A stream that sends results just then finds its client gone, instead of failing."""
        super().handle_parser_exception()
        self.disconnected = True

    def send_receive_event_to_app(self) -> None:
        """As Uvicorn's, but a client's invalid UTF-8 is a line in the log, not a traceback."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self._close(1007, "found a text message that is not UTF-8")
                return
        super().send_receive_event_to_app()

    async def receive(self) -> ASGIReceiveEvent:
        """As Uvicorn's. Other tasks get their turn among many messages, and reading resumes only within the budget."""
        self._received += 1
        if self._received % _RECEIVED_IN_ONE_GO == 0:
            await asyncio.sleep(0)
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._read_on()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """As Uvicorn's. After a close frame the rest is read soon: unread bytes would reset the connection."""
        await super().send(message)
        if self._early and self.handshake_complete:
            early, self._early = self._early, b""
            if not self.transport.is_closing():
                self.data_received(early)
            self._read_on()
        if self.close_sent:
            self._release()

    def shutdown(self) -> None:
        """As Uvicorn's. After a close frame the client has a moment to answer it, for the same reason.

        One that closes already, as TLS does until the client answers, has nothing more to be sent.
        """
        if self.transport.is_closing():
            self.stop_keepalive()
            self._cut_after(_SHUTDOWN_S)
        elif self.close_timer is None:
            super().shutdown()
        else:
            self.stop_keepalive()
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(_SHUTDOWN_S, self.transport.close)

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._cut_after(self.close_timeout + _CLOSE_S)

    def pause_writing(self) -> None:
        """The client does not read. Its pings are not read either, since each adds a pong to what it should read."""
        super().pause_writing()
        self.transport.pause_reading()
        self._cut_after(self._bounds.send_timeout_s)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cut_never()
        self._read_on()

    def _read_on(self) -> None:
        may_read = not (self._held or self.read_paused or self._early) and self.writable.is_set()
        if may_read or self.transport.is_closing():  # TLS that is paused does not end
            self.transport.resume_reading()


_RETRY = {"Retry-After": str(RETRY_AFTER_S)}


class OneLength:
    """Refuses a request with both `Content-Length` and `Transfer-Encoding`, and closes its connection.

    RFC 9112, 6.1: a proxy before the server may have read the other one, and take a part of the body for a request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope.get("headers", ())} if scope["type"] == "http" else set()
        if not {b"content-length", b"transfer-encoding"} <= names:
            await self._app(scope, receive, send)
            return
        sentence = "found both Content-Length and Transfer-Encoding, wanted one of them"
        body = json.dumps({"error": {"message": sentence, "type": "invalid_request_error"}}).encode()
        headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body})
