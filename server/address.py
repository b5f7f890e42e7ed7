"""Where the server listens. Light to import, so that a taken port is reported before models are loaded."""

import socket

from asr.errors import CallerError
from server.config import ServerSettings

SOCKET_BUFFER_BYTES = 262_144
"""Kept small: otherwise the kernel would buffer minutes of audio before a fast sender is slowed down, and minutes of
results before a client that reads none is noticed."""


class AddressError(CallerError):
    """The server cannot listen at this address."""


def bind(settings: ServerSettings, port: int | None = None) -> socket.socket:
    """The listening socket of `settings.host` and `settings.port`, or another port. Raises `AddressError`."""
    port = settings.port if port is None else port
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux: ends a connection whose peer never reads, too
        patience_ms = round(settings.send_timeout_s * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience_ms)
    try:
        listening.bind((settings.host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        where, why = f"{settings.host}:{port}", error.strerror or error
        raise AddressError(f"cannot listen on {where} ({why}); choose another with --port or --host") from None
    return listening


def address(listening: socket.socket, settings: ServerSettings | None = None) -> str:
    """The URL under which a browser on this machine reaches the server."""
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings and settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
