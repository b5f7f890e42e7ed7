"""Uvicorn around the application: one process, one event loop, and an orderly end."""

import socket

import uvicorn
from starlette.applications import Starlette

from asr.errors import CallerError
from server.config import ServerSettings
from server.service import Service

PING_INTERVAL_S = 20.0
"""Keeps middleboxes from forgetting a connection. Their answers are not waited for: a client that is slowed down has
its pongs behind minutes of unread audio. Who has gone is found out by `idle_timeout_s` and `send_timeout_s`."""

SOCKET_BUFFER_BYTES = 262_144
"""Kept small, or the kernel would hold minutes of unread audio before a fast sender feels it."""


class AddressError(CallerError):
    """Nobody can listen there."""


def bind(settings: ServerSettings) -> socket.socket:
    """The listening socket. Raises `AddressError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: also ends a connection whose peer never reads
        patience_ms = round(settings.send_timeout_s * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
    try:
        listening.bind((settings.host, settings.port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        where, why = f"{settings.host}:{settings.port}", error.strerror or error
        raise AddressError(f"cannot listen on {where} ({why}); choose another with --port or --host") from None
    return listening


def address(listening: socket.socket) -> str:
    """As one writes it into a browser."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Uvicorn cuts WebSockets at shutdown; this one lets them say their last words first."""

    def __init__(self, app: Starlette, settings: ServerSettings) -> None:
        self._service: Service = app.state.service
        super().__init__(uvicorn.Config(app, **uvicorn_options(settings)))  # type: ignore[arg-type]

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
