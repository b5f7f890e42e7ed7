"""`GET /v1/listen` and `/v2/listen`, Deepgram's live wires: the checks before a WebSocket is accepted, and refusals."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from asr.errors import AsrError
from server.http.errors import HEADERS
from server.http.origin import OriginError, check_origin
from server.http.refusals import log_refusal, new_request_id
from server.http.service import Service
from server.http.websocket import WebSocketTransport
from server.streams.admission import Unavailable
from server.streams.channels import AnyStream
from server.streams.connection import Connection
from server.wires.base import StreamRequest, Wire
from server.wires.deepgram import DeepgramWire
from server.wires.deepgram_flux import FluxWire, parse_flux
from server.wires.deepgram_messages import ModelInfo
from server.wires.deepgram_query import parse_query

REFUSALS: tuple[tuple[type[AsrError], int, str], ...] = (
    (OriginError, 403, "FORBIDDEN_ORIGIN"),
    (Unavailable, 503, "SERVER_FULL"),
    (AsrError, 400, "INVALID_QUERY_PARAMETER"),
)
"""HTTP status and ``err_code``; the first that matches."""


class Options(Protocol):
    """What a query asks for."""

    @property
    def stream(self) -> StreamRequest: ...


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
        request_id = new_request_id()
        try:
            options, stream = await _admitted(api, socket, service)
            connection = _connection(service, socket, api, options, stream, request_id)
            try:
                with service.admission.place(connection.shut_down):
                    await _accept(socket, request_id)
                    await connection.run()
            finally:
                connection.close()
        except AsrError as error:
            await socket.send_denial_response(refusal(error, request_id, socket))

    return serve


def listen_without_upgrade(api: LiveApi) -> Callable[[Request], Awaitable[JSONResponse]]:
    """The same address by plain HTTP: the refusal that a WebSocket would get, which browsers hide from their pages."""

    async def answer(request: Request) -> JSONResponse:
        service: Service = request.app.state.service
        request_id = new_request_id()
        try:
            _, stream = await _admitted(api, request, service)
            stream.close()
        except AsrError as error:
            return refusal(error, request_id, request)
        sentence = "this address speaks WebSocket; connect with ws:// or wss://"
        body = {"err_code": "UPGRADE_REQUIRED", "err_msg": sentence, "request_id": request_id}
        return JSONResponse(body, 426, {"Upgrade": "websocket"})

    return answer


async def _admitted(api: LiveApi, request: HTTPConnection, service: Service) -> tuple[Options, AnyStream]:
    """All checks before the upgrade, in the order in which their errors are reported; then the open stream.

    Raises `OriginError`, `ParameterError`, `ModelError`, `AudioError`, `Unavailable`, and `ConfigError` for a language
    that the model does not know.
    """
    check_origin(request.headers, service.settings.allowed_origins)
    options = api.parse(request.query_params.multi_items())
    opening = service.opening(options.stream)
    service.admission.check()
    return options, await opening.open()


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
    headers = {**HEADERS.get(status, {}), "dg-request-id": request_id}
    return JSONResponse({"err_code": code, "err_msg": str(error), "request_id": request_id}, status, headers)


def _connection(
    service: Service, socket: WebSocket, api: LiveApi, options: Options, stream: AnyStream, request_id: str
) -> Connection:
    engine = stream.engine
    model = ModelInfo(engine.name, engine.weights_sha256, engine.architecture)
    return Connection(
        WebSocketTransport(socket),
        api.wire(options, model, request_id),
        stream,
        open_stream=service.open_stream,
        limits=service.settings,
        metrics=service.metrics,
        request_id=request_id,
    )


async def _accept(socket: WebSocket, request_id: str) -> None:
    """Accepts the first subprotocol offered (Deepgram's browser clients send their key as one): browsers require it."""
    offered: list[str] = socket.scope.get("subprotocols", [])
    await socket.accept(offered[0] if offered else None, [(b"dg-request-id", request_id.encode())])
