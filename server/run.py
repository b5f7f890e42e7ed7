"""Uvicorn with the application: one process, one event loop, and a shutdown that lets streams finish."""

import asyncio
import logging
import socket
import time
from asyncio import constants
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import FrameType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from server.access.tls import Certificates
from server.access.watch import state, watch
from server.announce import announced
from server.config import ServerSettings
from server.http.protocols import MAX_HEAD_BYTES, Bounds, OneLength
from server.http.service import CLOSING_S, Service
from server.limits import BACKLOG, Connections, FrameBudgets, TlsListener, files_for_connections
from server.tcp import WyomingListener

_log = logging.getLogger("steadyword.server")

PING_INTERVAL_S = 20.0
"""Keeps middleboxes from dropping a connection. Pongs have no deadline: those of a client that is slowed down, when
its spool is full, queue behind unread audio. `idle_timeout_s` and `send_timeout_s` find clients that have gone."""


_QUEUED = 1_024
"""Connections that wait in the kernel. asyncio takes `BACKLOG` of them at a time."""
_OUT_OF_FILES = "socket.accept() out of system resource"
_QUIET_S = 60.0


class _OutOfFiles:
    """An event loop's exception handler: asyncio's own, but one line a minute where no connection can be accepted.

    asyncio (3.11) reports each failed try with a traceback, thousands of them a second.
    """

    def __init__(self) -> None:
        self._last_s = -_QUIET_S

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if context.get("message") != _OUT_OF_FILES:
            loop.default_exception_handler(context)
        elif time.monotonic() >= self._last_s + _QUIET_S:
            self._last_s = time.monotonic()
            _log.error("no connection can be accepted: %s; raise the limit of open files", context.get("exception"))


class _NotAnError(logging.Filter):
    """Drops Uvicorn's (0.54) report of every refusal before the upgrade as a fault of the application."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


class Server(uvicorn.Server):
    """Uvicorn that lets streams send their last results at shutdown, where Uvicorn alone cuts WebSockets off.

    `on_started` is called once, when clients can connect. `wyoming` is a listening socket for that protocol.
    """

    def __init__(
        self,
        app: Starlette,
        settings: ServerSettings,
        on_started: Callable[[Service], None] | None = None,
        wyoming: socket.socket | None = None,
    ) -> None:
        self._service: Service = app.state.service
        self._on_started = on_started
        self._wyoming_socket = wyoming
        self._wyoming: WyomingListener | None = None
        self._is_announced = settings.wyoming_zeroconf
        self._announcement = AsyncExitStack()
        self._withdraw_s = settings.drain_timeout_s / 2
        self._loop: asyncio.AbstractEventLoop | None = None
        logging.getLogger("uvicorn.error").addFilter(_NotAnError())
        self._certificates = Certificates.of(settings)
        self._watching: asyncio.Task[None] | None = None
        options = uvicorn_options(settings)
        if certificates := self._certificates:
            options["ssl_context_factory"] = lambda config, default: certificates.context
            constants.SSL_HANDSHAKE_TIMEOUT = settings.head_timeout_s  # type: ignore[misc, assignment]
            # Uvicorn passes none on; asyncio's 60 s would be the only deadline for clients that never begin TLS.
        most = min(settings.max_connections, files_for_connections(settings.max_streams))
        self._connections = Connections(most, settings.max_connections_per_address)
        self._budgets = FrameBudgets()
        bounds = Bounds(settings, self._connections, self._budgets)
        config = uvicorn.Config(OneLength(app), **bounds.protocols, **options)  # type: ignore[arg-type]
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, then calls `on_started` if startup succeeded."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_OutOfFiles())
        is_tls = self._certificates is not None
        await super().startup([TlsListener(one, self._connections) for one in sockets or ()] if is_tls else sockets)
        if certificates := self._certificates:
            files = certificates.files
            self._watching = asyncio.create_task(watch(files, state(files), certificates.reload))
            certificates.reload()  # they may have changed since they were read first
        if self._wyoming_socket and not self.should_exit:
            self._wyoming = WyomingListener(self._service, self._connections, self._budgets)
            await self._wyoming.listen(self._wyoming_socket)
        for listening in [*(sockets or ()), *([self._wyoming_socket] if self._wyoming_socket else ())]:
            listening.listen(_QUEUED)
        if self._wyoming_socket and self._wyoming and self._is_announced:
            await self._announce(self._wyoming_socket)
        if self._on_started and not self.should_exit:
            self._on_started(self._service)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal. Before the server has started there is nothing to finish: what still loads is ended."""
        super().handle_exit(sig, frame)
        if self._loop and not self.started:
            self._loop.call_soon_threadsafe(self._service.abandon)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends all streams, then closes the connections. It takes `drain_timeout_s` at most, also if workers hang."""
        if self._watching:
            self._watching.cancel()
        if self._wyoming:
            self._wyoming.close()
        await asyncio.gather(self._service.drain(), self._withdraw())
        self._service.abandon()
        if self._wyoming:
            await self._wyoming.finish(CLOSING_S / 2)
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # their clients have not closed yet
            connection.transport.abort()
        await asyncio.sleep(0)

    async def _announce(self, listening: socket.socket) -> None:
        """Without it clients connect by address; so a network that refuses it is no reason to end."""
        try:
            await self._announcement.enter_async_context(announced(listening))
        except OSError as error:
            _log.error("Wyoming is not announced: %s; connect by address, or set wyoming_zeroconf = false", error)

    async def _withdraw(self) -> None:
        """Takes the announcement back, while streams end. What does not end in time, or fails, holds up nothing."""
        try:
            async with asyncio.timeout(self._withdraw_s):
                await self._announcement.aclose()
        except Exception as error:  # noqa: BLE001 - the network's, or the package's: the server ends all the same
            _log.error("the announcement of Wyoming was not taken back: %s", type(error).__name__)


def uvicorn_options(settings: ServerSettings) -> dict[str, object]:
    """Keyword arguments for `uvicorn.Config`.

    The connection answers a message over the limit with the wire's own error. Over four times the limit Uvicorn does
    not read it, and closes with a bare 1009.
    """
    return {
        "loop": "asyncio",
        "backlog": BACKLOG,
        "h11_max_incomplete_event_size": 2 * MAX_HEAD_BYTES,  # our own limit comes first
        "lifespan": "on",
        "ws_max_size": 4 * settings.max_message_bytes,
        "ws_ping_interval": PING_INTERVAL_S,
        "ws_ping_timeout": None,
        "ws_per_message_deflate": False,  # audio does not compress, and inflating it costs time on the event loop
        "timeout_graceful_shutdown": CLOSING_S / 2,
        "log_level": "warning",
        "server_header": False,
    }
