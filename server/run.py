"""Uvicorn around the application: one process, one event loop, and an orderly end."""

import logging
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from server.config import ServerSettings
from server.http.service import Service

PING_INTERVAL_S = 20.0
"""Keeps middleboxes from forgetting a connection. Their answers are not waited for: a client that is slowed down has
its pongs behind minutes of unread audio. Who has gone is found out by `idle_timeout_s` and `send_timeout_s`."""


class _NotAnError(logging.Filter):
    """Uvicorn (0.54) reports every refusal before the upgrade as a fault of the application, which it is not."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


class Server(uvicorn.Server):
    """Uvicorn cuts WebSockets at shutdown; this one lets them say their last words first.

    `on_started` is called once, when everybody can connect.
    """

    def __init__(
        self, app: Starlette, settings: ServerSettings, on_started: Callable[[Service], None] | None = None
    ) -> None:
        self._service: Service = app.state.service
        self._on_started = on_started
        logging.getLogger("uvicorn.error").addFilter(_NotAnError())
        super().__init__(uvicorn.Config(app, **uvicorn_options(settings)))  # type: ignore[arg-type]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_started and not self.should_exit:
            self._on_started(self._service)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._service.drain()
        await super().shutdown(sockets)


def uvicorn_options(settings: ServerSettings) -> dict[str, object]:
    """A message over the limit gets a JSON `Error` from us, one over four times the limit Uvicorn's bare close 1009."""
    return {
        "ws": "websockets-sansio",
        "loop": "asyncio",
        "lifespan": "on",
        "ws_max_size": 4 * settings.max_message_bytes,
        "ws_ping_interval": PING_INTERVAL_S,
        "ws_ping_timeout": None,
        "ws_per_message_deflate": False,  # audio does not shrink, and inflating it costs the event loop
        "timeout_graceful_shutdown": max(1, round(settings.drain_timeout_s)),
        "log_level": "warning",
        "server_header": False,
    }
