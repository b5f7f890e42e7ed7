"""`GET /v1/listen` and `/v2/listen`, Deepgram's live wires: the checks before a WebSocket is accepted, and refusals."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, cast

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from asr.audio.streams import ENCODINGS
from asr.errors import AsrError, CallerError
from server.access.context import current
from server.access.credentials import CredentialsError, KeyInAddressError, ScopeError, answered_subprotocol
from server.access.failed_tries import TooManyTriesError
from server.access.hosts import HostError
from server.access.keyring import UnknownKeyError
from server.access.quotas import KeyRemovedError, QuotaError
from server.http.errors import refusal_headers
from server.http.origin import OriginError, check_origin
from server.http.refusals import log_refusal, new_request_id
from server.http.relay import Relay
from server.http.service import Service
from server.http.websocket import WebSocketTransport
from server.streams.admission import Unavailable
from server.streams.channels import AnyStream
from server.streams.connection import Connection
from server.streams.resumption import Gone, ResumableTransport
from server.streams.transport import Transport
from server.wires.base import ResumableWire, StreamRequest, Wire
from server.wires.deepgram import DeepgramWire
from server.wires.deepgram_flux import FluxWire, parse_flux
from server.wires.deepgram_messages import ModelInfo
from server.wires.deepgram_query import ListenOptions, parse_query

ACCESS_REFUSALS: tuple[tuple[type[AsrError], int, str], ...] = (
    (HostError, 403, "FORBIDDEN_HOST"),
    (KeyInAddressError, 400, "KEY_IN_ADDRESS"),
    (CredentialsError, 401, "INVALID_AUTH"),
    (UnknownKeyError, 401, "INVALID_AUTH"),
    (KeyRemovedError, 401, "INVALID_AUTH"),
    (ScopeError, 403, "INSUFFICIENT_PERMISSIONS"),
    (QuotaError, 429, "TOO_MANY_REQUESTS"),
    (TooManyTriesError, 429, "TOO_MANY_REQUESTS"),
)
"""Who may come in at all; the codes are Deepgram's where it has them."""
REFUSALS: tuple[tuple[type[AsrError], int, str], ...] = (
    *ACCESS_REFUSALS,
    (OriginError, 403, "FORBIDDEN_ORIGIN"),
    (Gone, 410, "GONE"),
    (Unavailable, 503, "SERVER_FULL"),
    (CallerError, 400, "INVALID_QUERY_PARAMETER"),
    (AsrError, 500, "INTERNAL"),
)
"""HTTP status and ``err_code``; the first that matches."""


class Options(Protocol):
    """What a query asks for."""

    @property
    def stream(self) -> StreamRequest: ...
    @property
    def resumable(self) -> int: ...
    @property
    def resume(self) -> str: ...
    @property
    def sequence(self) -> int: ...


@dataclass(frozen=True, slots=True)
class LiveApi:
    """One version of the protocol: its query, and its wire for the options, the model and the request's id."""

    parse: Callable[[Iterable[tuple[str, str]]], Options]
    wire: Callable[[Any, ModelInfo, str], Wire]


V1 = LiveApi(parse_query, DeepgramWire)
V2 = LiveApi(parse_flux, FluxWire)


def listen(api: LiveApi) -> Callable[[WebSocket], Awaitable[None]]:
    """The WebSocket route: checks, accepts, and serves until the connection is over."""

    async def serve(socket: WebSocket) -> None:
        service: Service = socket.app.state.service
        request_id = current().request_id = new_request_id()
        try:
            options = _options(api, socket, service)
            if options.resume and (owner := service.kept_streams.owners.elsewhere(options.resume)):
                await _relay(socket, service, owner)
            elif options.resume:
                kept, accept = _kept(service, options), partial(_accept, socket, request_id)
                transport = WebSocketTransport(socket)
                await kept.serve(transport, accept, token=options.resume, sequence=options.sequence)
            elif options.resumable:
                await _serve_resumable(api, socket, options, request_id)
            else:
                await _serve(api, socket, options, request_id)
        except AsrError as error:
            await socket.send_denial_response(refusal(error, request_id, socket))

    return serve


async def _serve(api: LiveApi, socket: WebSocket, options: Options, request_id: str) -> None:
    """A stream that ends with its connection."""
    service: Service = socket.app.state.service
    stream = await _opened(service, options)
    wire = api.wire(options, _model(stream), request_id)
    connection = _connection(service, WebSocketTransport(socket), wire, stream, request_id)
    try:
        with service.admission.place(connection.shut_down):
            await _accept(socket, request_id)
            await connection.run()
    finally:
        connection.close()


async def _serve_resumable(api: LiveApi, socket: WebSocket, options: Options, request_id: str) -> None:
    """A stream that outlives this socket: its connection runs in a task of its own, and holds its place there."""
    service: Service = socket.app.state.service
    stream = await _opened(service, options)
    wire = api.wire(options, _model(stream), request_id)
    kept = service.kept_streams.add(cast(ResumableWire, wire), options.resumable, _identity())
    is_cuttable = ENCODINGS[options.stream.encoding].is_cuttable
    connection = _connection(
        service, kept, wire, stream, request_id, can_move=lambda: is_cuttable and kept.is_resumable
    )
    with ExitStack() as held:
        held.callback(connection.close)
        held.enter_context(service.admission.place(connection.shut_down))
        kept.run(connection, held.pop_all())
    await kept.serve(WebSocketTransport(socket), partial(_accept, socket, request_id))


async def _relay(socket: WebSocket, service: Service, owner: str) -> None:
    """Another server keeps the stream. Raises `Gone` if it is not there any more."""
    relay = Relay(socket, service.settings)
    with service.admission.presence(relay.leave), service.metrics.relayed_streams.track_inprogress():
        try:
            await relay.run(owner)
        except Gone:
            service.kept_streams.count("gone")
            raise


def _kept(service: Service, options: Options) -> ResumableTransport:
    """The stream to go on with. Raises `Gone`, `SequenceError`."""
    return service.kept_streams.find(options.resume, options.sequence, _identity())


def _identity() -> str:
    """Whose streams a client may resume: those that were opened with the same key, or a token of it."""
    caller = current().caller
    return caller.key.sha256 if caller else ""


def listen_without_upgrade(api: LiveApi) -> Callable[[Request], Awaitable[JSONResponse]]:
    """The same address by plain HTTP: the refusal that a WebSocket would get, which browsers hide from their pages."""

    async def answer(request: Request) -> JSONResponse:
        service: Service = request.app.state.service
        request_id = new_request_id()
        try:
            options = _options(api, request, service)
            if options.resume and not service.kept_streams.owners.elsewhere(options.resume):
                _kept(service, options)
            elif not options.resume:
                (await _opened(service, options)).close()
        except AsrError as error:
            return refusal(error, request_id, request)
        sentence = "this address speaks WebSocket; connect with ws:// or wss://"
        body = {"err_code": "UPGRADE_REQUIRED", "err_msg": sentence, "request_id": request_id}
        return JSONResponse(body, 426, {"Upgrade": "websocket"})

    return answer


def _options(api: LiveApi, request: HTTPConnection, service: Service) -> Options:
    """The first checks before the upgrade. Raises `OriginError`, `ParameterError`."""
    check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
    options = api.parse(request.query_params.multi_items())
    if options.resumable and not service.settings.max_resume_s:
        return replace(cast(ListenOptions, options), resumable=0)
    return options


async def _opened(service: Service, options: Options) -> AnyStream:
    """The other checks, in the order in which their errors are reported; then the open stream.

    Raises `ModelError`, `AudioError`, `Unavailable`, and `ConfigError` for a language that the model does not know.
    """
    opening = service.opening(options.stream)
    service.admission.check()
    return await opening.open()


def refusal(
    error: AsrError,
    request_id: str,
    request: HTTPConnection,
    table: Sequence[tuple[type[AsrError], int, str]] = REFUSALS,
) -> JSONResponse:
    """The error in the form of Deepgram's HTTP errors; counted and logged."""
    status, code = next((status, code) for kind, status, code in table if isinstance(error, kind))
    if not isinstance(error, Unavailable):  # counted, with its reason, where it was raised
        request.app.state.service.metrics.refused.labels(code.lower()).inc()
    log_refusal(request, status, str(error), request_id)
    headers = refusal_headers(error, status) | {"dg-request-id": request_id}
    return JSONResponse({"err_code": code, "err_msg": str(error), "request_id": request_id}, status, headers)


def _model(stream: AnyStream) -> ModelInfo:
    return ModelInfo.of(stream.engine)


def _connection(
    service: Service,
    transport: Transport,
    wire: Wire,
    stream: AnyStream,
    request_id: str,
    can_move: Callable[[], bool] = lambda: False,
) -> Connection:
    kept = transport if isinstance(transport, ResumableTransport) else None
    return Connection(
        transport,
        wire,
        stream,
        open_stream=service.open_stream,
        on_idle=kept.on_idle if kept else None,
        on_acknowledge=kept.acknowledge if kept else None,
        can_move=can_move,
        limits=service.settings,
        metrics=service.metrics,
        request_id=request_id,
    )


async def _accept(socket: WebSocket, request_id: str) -> None:
    """Accepts the subprotocol before the key that Deepgram's browser clients send as another one."""
    subprotocol = answered_subprotocol(socket.scope.get("subprotocols", []))
    await socket.accept(subprotocol, [(b"dg-request-id", request_id.encode())])
