"""Each refused request is one line in the log, with its reason and request id: SDKs hide the response's body.

Of what the client sent, the line repeats only what is in a fixed list: see `KNOWN_VALUES` and `server.access.logs`.
"""

import logging
import uuid
from collections.abc import Iterator
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

from asr.languages import language_names
from server.access.logs import PATH_PARTS, known_path, without_values
from server.wires import deepgram_query, openai_transcriptions

_log = logging.getLogger("steadyword.server")
_MAX_LOGGED_CHARACTERS = 500
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_SAID = ("true", "false", "start MODEL", "stop", "Authorization: Token KEY", "Token KEY", "Bearer KEY", "token", "OggS")
"""What the server's own sentences quote."""
KNOWN_VALUES = frozenset(
    {
        *deepgram_query.KNOWN,
        *deepgram_query.ENCODING_NAMES,
        *openai_transcriptions.FIELDS,
        *language_names(),
        *PATH_PARTS,
        *_SAID,
    }
)
"""What a refusal's line may repeat, besides the names of the models that are served."""


def new_request_id() -> str:
    """A name for one request, for its response's headers and the log."""
    return str(uuid.uuid4())


def log_refusal(request: HTTPConnection, status: int, reason: str, request_id: str) -> None:
    """`reason` is the sentence that the client gets. Neither it nor the path can begin a new line."""
    is_socket = request.scope["type"] == "websocket"
    method = "WebSocket" if is_socket else request.scope["method"]
    kind = method if is_socket or method in _METHODS else "another method"
    known = KNOWN_VALUES.union(request.app.state.service.schedulers)
    sentence = without_values(_one_line(reason), known, _given(request))
    path = known_path(request.scope["path"])
    _log.warning("refused %s %s with %d: %s (request %s)", kind, path, status, sentence, request_id)


def _one_line(text: str) -> str:
    """Printable characters only: what clients send must not forge lines or steer terminals."""
    return "".join(c if c.isprintable() else "?" for c in text[:_MAX_LOGGED_CHARACTERS])


def _given(request: HTTPConnection) -> Iterator[str]:
    """What the request's path and query say, piece by piece."""
    yield from request.scope["path"].split("/")
    for pair in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
        yield from pair
