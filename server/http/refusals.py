"""Each refused request is one line in the log, with its reason and request id: SDKs hide the response's body."""

import logging
import uuid

from starlette.requests import HTTPConnection

from server.access.logs import without_secrets

_log = logging.getLogger("steadyword.server")
_MAX_LOGGED_CHARACTERS = 500


def new_request_id() -> str:
    """A name for one request, for its response's headers and the log."""
    return str(uuid.uuid4())


def log_refusal(request: HTTPConnection, status: int, reason: str, request_id: str) -> None:
    """`reason` is the sentence that the client gets. Neither it nor the path can begin a new line."""
    kind = "WebSocket" if request.scope["type"] == "websocket" else request.scope["method"]
    path = _one_line(request.scope["path"])
    _log.warning("refused %s %s with %d: %s (request %s)", kind, path, status, _one_line(reason), request_id)


def _one_line(text: str) -> str:
    """Printable characters only: what clients send must not forge lines or steer terminals. Without secrets."""
    return without_secrets("".join(c if c.isprintable() else "?" for c in text[:_MAX_LOGGED_CHARACTERS]))
