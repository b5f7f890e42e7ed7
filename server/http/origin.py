"""Which web pages may connect. Browsers always send the page's Origin; programs send none and are allowed."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from asr.errors import CallerError
from server.access.hosts import is_own


class OriginError(CallerError):
    """A page that may not connect; HTTP 403."""


def check_origin(headers: Mapping[str, str], allowed: Sequence[str], allowed_hosts: Sequence[str] = ()) -> None:
    """Accepts the server's own page and those in `allowed`; raises `OriginError` for all others.

    A page is the server's own only on hosts that `server.access.hosts` accepts. With DNS rebinding (``evil.example``
    now points to 127.0.0.1) Origin and Host are equal, too.
    """
    origin = headers.get("origin")
    if origin is None or is_listed(origin, allowed):
        return
    try:
        parts = urlsplit(origin)
        own = parts.netloc.lower() == headers.get("host", "").lower() and is_own(parts.netloc, allowed_hosts)
    except ValueError:
        own = False
    if not own:
        raise OriginError(
            f"pages from {origin[:100]!r} may not connect; list that origin in allowed_origins if they should"
        )


def is_listed(origin: str, allowed: Sequence[str]) -> bool:
    """Whether the origin is one of `allowed`; a slash at the end and the case of letters do not matter."""
    return origin.rstrip("/").lower() in (entry.rstrip("/").lower() for entry in allowed)
