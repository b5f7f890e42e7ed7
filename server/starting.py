"""What clients are answered while models load: that the process lives, why it is not ready, and to all else 503.

    with Starting(listening, settings) as starting:
        engines = load_engines(settings)
        Server(..., on_started=lambda service: starting.end()).run(sockets=[listening])

A server that listens and does not answer looks dead to a probe, and clients hang. This one answers from a thread of its
own, on a copy of the listening socket, and imports no model. Each connection carries one request, so that the next one
reaches the server that is ready.
"""

import asyncio
import socket
import threading
from collections.abc import Sequence

import uvicorn
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.access.hosts import HostError, check_host
from server.access.tls import Certificates
from server.client.resuming import LOADING
from server.config import ServerSettings
from server.http.cors import Cors
from server.http.protocols import MAX_HEAD_BYTES, Bounds, OneLength
from server.http.security_headers import SecurityHeaders
from server.limits import BACKLOG, Connections, FrameBudgets, TlsListener
from server.streams.admission import RETRY_AFTER_S

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>Loading</title><p>The server is loading its model. This page tries again by itself.</p></html>"""
_END_S, _LAST_S, _TURN_S = 5.0, 1.0, 0.02


def answers(models: Sequence[str], allowed_hosts: Sequence[str]) -> ASGIApp:
    """The application: `/healthz` 200, `/readyz` 503 with the reason, and 503 at every other address."""
    reason = f"{', '.join(models)} {'is' if len(models) == 1 else 'are'} loading"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket"
        connection: HTTPConnection = WebSocket(scope, receive, send) if is_socket else Request(scope, receive)
        try:
            check_host(Headers(scope=scope).getlist("host"), allowed_hosts)
            answer = _answer(scope["path"], "text/html" in connection.headers.get("accept", ""), reason)
        except HostError as error:
            answer = _refusal(403, "FORBIDDEN_HOST", str(error))
        answer.headers["Connection"] = "close"
        if isinstance(connection, WebSocket):
            await connection.send_denial_response(answer)
        else:
            await answer(scope, receive, send)

    return app


def _answer(path: str, is_browser: bool, reason: str) -> Response:
    if path == "/healthz":
        return JSONResponse({"status": "ok"})
    if path == "/readyz":
        return JSONResponse({"status": "not ready", "reason": reason, "workers": {}}, 503)
    if path == "/" and is_browser:
        return HTMLResponse(_PAGE, 503, {"Retry-After": str(RETRY_AFTER_S)})
    return _refusal(503, LOADING, f"{reason}; try again in {RETRY_AFTER_S} seconds")


def _refusal(status: int, code: str, sentence: str) -> Response:
    """In the forms of both APIs: Deepgram's clients read `err_msg`, OpenAI's `error`."""
    error = {"message": sentence, "type": "server_error", "param": None, "code": code.lower()}
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return JSONResponse({"err_code": code, "err_msg": sentence, "error": error}, status, headers)


class Starting:
    """Answers on a listening socket until `end`, or the end of the block. The socket stays open."""

    def __init__(self, listening: socket.socket, settings: ServerSettings) -> None:
        app = Cors(answers(settings.models, settings.allowed_hosts), settings.allowed_origins)
        connections = Connections(settings.max_connections, settings.max_connections_per_address)
        bounds = Bounds(settings, connections, FrameBudgets())
        options: dict[str, object] = {"loop": "asyncio", "lifespan": "off", "log_level": "warning", "backlog": BACKLOG}
        options |= {"server_header": False, "h11_max_incomplete_event_size": 2 * MAX_HEAD_BYTES}
        options |= {"timeout_graceful_shutdown": 1, **bounds.protocols}
        certificates = Certificates.of(settings)
        self._sockets = [TlsListener(listening, connections) if certificates else listening.dup()]
        if certificates:
            options["ssl_context_factory"] = lambda config, default: certificates.context
        config = uvicorn.Config(SecurityHeaders(OneLength(app)), **options)  # type: ignore[arg-type]
        self._server = uvicorn.Server(config)
        self._last: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="starting", daemon=True)

    def __enter__(self) -> "Starting":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.end()
        self._thread.join(_END_S)

    def end(self) -> None:
        """From here on new connections are left to the server; returns at once."""
        if self._server.started and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_listening)
        else:
            self._server.should_exit = True

    def _stop_listening(self) -> None:
        """Takes no more connections, and closes nothing yet.

        A connection that was taken in this turn of the loop joins its listener in the next one. If that is closed by
        then, Python 3.11 keeps the connection open, and nobody answers it.
        """
        for listener in self._server.servers:
            for each in listener.sockets:
                self._loop.remove_reader(each.fileno())
        if not self._last:
            self._last = self._loop.create_task(self._answer_the_last())

    async def _answer_the_last(self) -> None:
        """What was connected before is answered; who asks nothing has `_LAST_S`, since Uvicorn closes it without."""
        end_s = self._loop.time() + _LAST_S
        await asyncio.sleep(_TURN_S)
        while self._server.server_state.connections and self._loop.time() < end_s:
            await asyncio.sleep(_TURN_S)
        self._server.should_exit = True

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=self._sockets)
