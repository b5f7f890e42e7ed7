"""Before every route: is this our host, whose key is it, and does it have the right? Middleware, so no route forgets.

Refusals have the form of the API that the address belongs to, come before a WebSocket is accepted, and are counted.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asr.errors import AsrError
from server.access.context import RequestContext, begin
from server.access.credentials import CredentialsError, ScopeError, check_query, shown
from server.access.failed_tries import FailedTries, TooManyTriesError
from server.access.hosts import HostError, check_host
from server.access.keyring import Caller, UnknownKeyError
from server.access.logs import audit_refusal, known_path, log_request
from server.clips.consent import consent_of
from server.http.errors import error_response
from server.http.listen import refusal
from server.http.refusals import new_request_id
from server.http.service import Service

ANY_KEY = "any"
OPEN_PATHS = ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/asyncapi.json")
OPEN_PREFIXES = ("/static/",)
"""Need no key: probes, the page, which asks its user for one, and the description of the addresses."""
SCOPE_OF: dict[str, tuple[str, str]] = {
    "/v1/listen": ("listen", "transcribe"),
    "/v2/listen": ("listen", "listen"),
    "/v1/jambonz": ("listen", "listen"),
    "/v1/realtime": ("listen", "listen"),
    "/v1/audio/transcriptions": ("transcribe", "transcribe"),
    "/v1/audio/translations": ("transcribe", "transcribe"),
    "/v1/auth/grant": ("grant", "grant"),
    "/v1/realtime/client_secrets": ("grant", "grant"),
    "/v1/models": (ANY_KEY, ANY_KEY),
    "/metrics": ("metrics", "metrics"),
}
"""The scope that an address asks for, and the one that it asks for with POST."""
OPERATE_PREFIX = "/v1/operate/"
DEEPGRAM_PATHS = ("/v1/listen", "/v2/listen", "/v1/auth/grant")
SERVED_SCOPES = ("listen", "transcribe")
"""Requests with these get a line in the log of requests."""


def scope_for(scope: Scope) -> str | None:
    """The scope that a request needs; None for none. An address that is in no list needs a key, whatever its scopes."""
    path: str = scope["path"]
    if path in OPEN_PATHS or path.startswith(OPEN_PREFIXES):
        return None
    if path.startswith(OPERATE_PREFIX):
        return "operate"
    otherwise, posted = SCOPE_OF.get(path, (ANY_KEY, ANY_KEY))
    return posted if scope.get("method") == "POST" else otherwise


class Hosts:
    """The middleware before all others: requests under another host's name get nothing, preflights neither."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        self._app, self._allowed = app, allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                check_host(Headers(scope=scope).getlist("host"), self._allowed)
            except HostError as error:
                await _refuse(error, scope, receive, send)
                return
        await self._app(scope, receive, send)


class Gate:
    """The middleware. Its parts are those of the server: the keys, what each has used, who tried a wrong one."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._tries = FailedTries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        wanted = scope_for(scope)
        try:
            caller = await self._admitted(scope, wanted)
        except AsrError as error:
            await _refuse(error, scope, receive, send)
            return
        context = begin(caller, self._session(scope, caller))
        if observer := self._service.observer:
            context.consent = consent_of(QueryParams(scope["query_string"]).multi_items())
            context.client = observer.client(caller.key.name if caller else "", _address(scope), client_id_of(scope))
        if wanted not in SERVED_SCOPES:
            await self._app(scope, receive, send)
            return
        served = _Served(scope, context)
        try:
            await self._app(scope, served.receiving(receive), served.sending(send))
        finally:
            served.log()

    async def _admitted(self, scope: Scope, wanted: str | None) -> Caller | None:
        """Whose request it is; None where no key is asked for. Raises what makes the request be refused."""
        check_query(scope["query_string"])
        keyring = self._service.keyring
        if wanted is None or not keyring.asks:
            return None
        try:
            key = _shown(scope)
            if not key:
                raise CredentialsError("found no key, wanted the header 'Authorization: Token KEY' or 'Bearer KEY'")
            caller = keyring.caller(key)
        except UnknownKeyError:
            await self._slow(scope)
            raise
        if wanted != ANY_KEY and wanted not in caller.scopes:
            what = "token" if caller.is_token else "key"
            raise ScopeError(f"this {what} of {caller.key.name} does not have the scope {wanted}")
        return caller

    def _session(self, scope: Scope, caller: Caller | None) -> Any:
        """The settings that came with a client secret, where one is shown."""
        if caller or self._service.keyring.asks:
            return caller.session if caller else None
        with suppress(CredentialsError):
            return self._service.keyring.session_of(_shown(scope))
        return None

    async def _slow(self, scope: Scope) -> None:
        self._service.metrics.failed_tries.inc()
        wait_s = self._tries.wait_s(_address(scope))
        if wait_s is None:
            raise TooManyTriesError("too many wrong keys from this address; try again in 2 seconds")
        await asyncio.sleep(wait_s)


def client_id_of(scope: Scope) -> str:
    """The id that the client sends of itself; "" where it sends none."""
    return QueryParams(scope["query_string"]).get("client_id", "")


def _shown(scope: Scope) -> bytes:
    return shown(scope["headers"], scope.get("subprotocols", ()))


async def _refuse(error: AsrError, scope: Scope, receive: Receive, send: Send) -> None:
    is_socket = scope["type"] == "websocket"
    connection: HTTPConnection = WebSocket(scope, receive, send) if is_socket else Request(scope, receive)
    audit_refusal(type(error).__name__.removesuffix("Error"), scope["path"], _address(scope))
    in_deepgrams_form = scope["path"] in DEEPGRAM_PATHS
    answer = refusal(error, new_request_id(), connection) if in_deepgrams_form else error_response(error, connection)
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(answer)
    else:
        await answer(scope, receive, send)


def _address(scope: Scope) -> str:
    """The client's, behind a proxy on this machine the one that the proxy names; "" on a Unix socket."""
    client = scope.get("client")
    return client[0] if client else ""


class _Served:
    """Follows one stream or upload, for its line in the log."""

    def __init__(self, scope: Scope, context: RequestContext) -> None:
        self._scope, self._context = scope, context
        self._is_socket = scope["type"] == "websocket"
        self._began_s = time.monotonic()
        self._accepted = not self._is_socket
        self._request_id = ""
        self._code: int | None = None
        """A WebSocket's close code, or the HTTP status; None when the client had gone before."""

    def receiving(self, receive: Receive) -> Receive:
        async def receive_and_look() -> Message:
            message = await receive()
            if message["type"] == "websocket.disconnect" and self._code is None:
                self._code = message.get("code")
            return message

        return receive_and_look

    def sending(self, send: Send) -> Send:
        async def look_and_send(message: Message) -> None:
            kind = message["type"]
            if kind in ("websocket.accept", "http.response.start"):
                headers = Headers(raw=list(message.get("headers", ())))
                self._request_id = headers.get("dg-request-id") or headers.get("x-request-id") or ""
            if kind == "websocket.accept":
                self._accepted = True
            elif kind == "http.response.start":
                self._code = message["status"]
            elif kind == "websocket.close" and self._accepted:
                self._code = message["code"]
            await send(message)

        return look_and_send

    def log(self) -> None:
        """Writes the line. Refusals before a WebSocket was accepted have lines of their own; probes none."""
        if not self._accepted or not (self._is_socket or self._scope["method"] == "POST"):
            return
        context = self._context
        log_request(
            request_id=self._request_id,
            key=context.caller.key.name if context.caller else None,
            kind="stream" if self._is_socket else self._scope["method"],
            path=known_path(self._scope["path"]),
            model=context.model,
            weights_sha256=context.weights_sha256,
            release=context.release,
            audio_s=round(context.audio_s, 3),
            duration_s=round(time.monotonic() - self._began_s, 3),
            code=self._code,
        )
