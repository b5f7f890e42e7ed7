"""Which web pages may connect. Programs send no Origin and are let in; browsers always send the page's."""

import ipaddress
import socket
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from asr.errors import CallerError


class OriginError(CallerError):
    """A page from elsewhere; HTTP 403."""


def check_origin(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    """Lets in the server's own page and those in `allowed`; raises `OriginError` for others.

    "Own" is said only of hosts that nobody else can give a name to: an address, localhost, this machine's name. A page
    from ``evil.example`` whose name has been pointed at 127.0.0.1 meanwhile (DNS rebinding) sends the same as
    Origin and as Host.
    """
    origin = headers.get("origin")
    if origin is None or origin.rstrip("/") in (entry.rstrip("/") for entry in allowed):
        return
    try:
        parts = urlsplit(origin)
        own = parts.netloc.lower() == headers.get("host", "").lower() and _is_ours(parts.hostname or "")
    except ValueError:
        own = False
    if not own:
        raise OriginError(
            f"pages from {origin[:100]!r} may not connect; list that origin in allowed_origins if they should"
        )


def _is_ours(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
        return True
    except ValueError:
        name = socket.gethostname().lower()
        return host == "localhost" or host.endswith(".localhost") or host in (name, f"{name}.local")
