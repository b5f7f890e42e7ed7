"""Errors in OpenAI's form, for every address but Deepgram's: statuses, bodies, the log."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from asr.errors import AsrError, CallerError, ModelError
from server.access.credentials import CredentialsError, KeyInAddressError, ScopeError
from server.access.failed_tries import TooManyTriesError
from server.access.hosts import HostError
from server.access.keyring import UnknownKeyError
from server.access.quotas import KeyRemovedError, QuotaError
from server.http.cors import cors_headers
from server.http.origin import OriginError
from server.http.refusals import log_refusal, new_request_id
from server.http.security_headers import SECURITY_HEADERS
from server.streams.admission import RETRY_AFTER_S, Unavailable
from server.wires.openai_transcriptions import FormError, error_body


class UploadTooBig(CallerError):
    """An upload over `max_upload_bytes`; HTTP 413."""


class UploadTooSlow(CallerError):
    """A request's body that trickles; HTTP 408."""


class UpgradeRequired(CallerError):
    """A plain HTTP request to an address of WebSockets; HTTP 426."""


STATUSES: tuple[tuple[type[AsrError], int, str | None], ...] = (
    (HostError, 403, "forbidden_host"),
    (KeyInAddressError, 400, "key_in_address"),
    (CredentialsError, 401, "invalid_api_key"),
    (UnknownKeyError, 401, "invalid_api_key"),
    (KeyRemovedError, 401, "invalid_api_key"),
    (ScopeError, 403, "missing_scope"),
    (QuotaError, 429, "rate_limit_exceeded"),
    (TooManyTriesError, 429, "too_many_tries"),
    (OriginError, 403, "forbidden_origin"),
    (ModelError, 404, "model_not_found"),
    (UploadTooBig, 413, "file_too_large"),
    (UploadTooSlow, 408, "request_timeout"),
    (UpgradeRequired, 426, "upgrade_required"),
    (Unavailable, 503, "server_full"),
    (CallerError, 400, None),
    (AsrError, 500, "internal"),
)
"""HTTP status and ``code``; the first that matches."""

REQUEST_ID = "x-request-id"
"""The header in which OpenAI's SDKs look for an answer's name, to log it and to report it."""

HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    408: {"Connection": "close"},
    426: {"Upgrade": "websocket"},
    503: {"Retry-After": str(RETRY_AFTER_S)},
}
"""Those that a status comes with."""


def refusal_headers(error: AsrError, status: int) -> dict[str, str]:
    """Those of a refusal: of its status, and when to try again, where the error knows better."""
    wait_s = getattr(error, "retry_after_s", None)
    return {**HEADERS.get(status, {}), **({"Retry-After": str(wait_s)} if wait_s is not None else {})}


def error_response(error: AsrError, request: HTTPConnection) -> JSONResponse:
    """The error as a response; counted and logged."""
    status, body = _reported(error, request)
    return _refusal(request, status, body, refusal_headers(error, status))


def log_failure(error: AsrError, request: HTTPConnection, request_id: str) -> dict[str, Any]:
    """The body of an error that comes after the response's status was sent; counted and logged."""
    status, body = _reported(error, request)
    log_refusal(request, status, str(error), request_id)
    return body


def _reported(error: AsrError, request: HTTPConnection) -> tuple[int, dict[str, Any]]:
    """The error's status and body; counted."""
    status, code = next((status, code) for kind, status, code in STATUSES if isinstance(error, kind))
    request.app.state.service.metrics.errors.labels(code or "bad_request").inc()
    kind = "server_error" if status >= 500 else "invalid_request_error"
    param = error.param if isinstance(error, FormError) else "model" if isinstance(error, ModelError) else None
    return status, error_body(str(error), kind=kind, param=param, code=code)


def _refusal(
    request: HTTPConnection, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error's body as a response, and a line in the log."""
    request_id = new_request_id()
    log_refusal(request, status, body["error"]["message"], request_id)
    return JSONResponse(body, status, {**(headers or {}), REQUEST_ID: request_id})


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own errors (404, 405, a broken form)."""
    assert isinstance(error, HTTPException)
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return _refusal(request, error.status_code, error_body(str(error.detail), kind=kind), error.headers)


async def unknown_address(scope: Scope, receive: Receive, send: Send) -> None:
    """404, as JSON for WebSockets too, which Starlette itself refuses with a bare 403."""
    if scope["type"] != "websocket":
        raise HTTPException(404)
    socket = WebSocket(scope, receive, send)
    sentence = f"no WebSocket at {socket.scope['path'][:100]!r}; live streams connect to /v1/listen or /v1/realtime"
    await socket.send_denial_response(_refusal(socket, 404, error_body(sentence, code="not_found")))


async def on_failure(request: Request, error: Exception) -> Response:
    """The server's own failure. Starlette raises it again, for the log, and sends this outside of all middleware."""
    body = error_body("the server failed on this request", kind="server_error", code="internal")
    allowed = request.app.state.service.settings.allowed_origins
    return JSONResponse(body, 500, {**SECURITY_HEADERS, "Vary": "Origin"} | cors_headers(request.headers, allowed))


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The client disconnected during the upload; nobody reads this response."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=499)
