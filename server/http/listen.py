"""`GET /v1/listen`, Deepgram's live wire: the checks before a WebSocket is accepted, and the refusals."""

from collections.abc import Sequence

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from asr.errors import AsrError
from server.http.origin import OriginError, check_origin
from server.http.refusals import log_refusal, new_request_id
from server.http.service import Service
from server.http.websocket import WebSocketTransport
from server.streams.admission import RETRY_AFTER_S, Unavailable
from server.streams.channels import AnyStream
from server.streams.connection import Connection
from server.wires.deepgram import DeepgramWire
from server.wires.deepgram_messages import ModelInfo
from server.wires.deepgram_query import ListenOptions, parse_query

REFUSALS: tuple[tuple[type[AsrError], int, str], ...] = (
    (OriginError, 403, "FORBIDDEN_ORIGIN"),
    (Unavailable, 503, "SERVER_FULL"),
    (AsrError, 400, "INVALID_QUERY_PARAMETER"),
)
"""HTTP status and ``err_code``; the first that matches."""


async def listen(socket: WebSocket) -> None:
    """The WebSocket route: checks, accepts, and serves until the connection is over."""
    service: Service = socket.app.state.service
    request_id = new_request_id()
    try:
        options, stream = await _admitted(socket, service)
        connection = _connection(service, socket, options, stream, request_id)
        try:
            with service.admission.place(connection.shut_down):
                await _accept(socket, request_id)
                await connection.run()
        finally:
            connection.close()
    except AsrError as error:
        await socket.send_denial_response(refusal(error, request_id, socket))


async def listen_without_upgrade(request: Request) -> JSONResponse:
    """The same address by plain HTTP: the refusal that a WebSocket would get, which browsers hide from their pages."""
    service: Service = request.app.state.service
    request_id = new_request_id()
    try:
        _, stream = await _admitted(request, service)
        stream.close()
    except AsrError as error:
        return refusal(error, request_id, request)
    body = {"err_code": "UPGRADE_REQUIRED", "err_msg": "this address speaks WebSocket; connect with ws:// or wss://"}
    return JSONResponse(body | {"request_id": request_id}, 426, {"Upgrade": "websocket"})


async def _admitted(request: HTTPConnection, service: Service) -> tuple[ListenOptions, AnyStream]:
    """All checks before the upgrade, in the order in which their errors are reported; then the open stream.

    Raises `OriginError`, `ParameterError`, `ModelError`, `AudioError`, `Unavailable`, and `ConfigError` for a language
    that the model does not know.
    """
    check_origin(request.headers, service.settings.allowed_origins)
    options = parse_query(request.query_params.multi_items())
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
    headers = {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, Unavailable) else {}
    headers["dg-request-id"] = request_id
    return JSONResponse({"err_code": code, "err_msg": str(error), "request_id": request_id}, status, headers)


def _connection(
    service: Service, socket: WebSocket, options: ListenOptions, stream: AnyStream, request_id: str
) -> Connection:
    engine = stream.engine
    model = ModelInfo(engine.name, engine.weights_sha256, engine.architecture)
    return Connection(
        WebSocketTransport(socket),
        DeepgramWire(options, model, request_id),
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
