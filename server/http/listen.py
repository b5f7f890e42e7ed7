"""`GET /v1/listen`: what is checked before a WebSocket is accepted, and how it is refused."""

import uuid
from dataclasses import dataclass, replace

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from asr.audio.files import StreamDecoder
from asr.config import SessionSettings
from asr.errors import AsrError
from server.http.origin import OriginError, check_origin
from server.http.service import Service
from server.streams.admission import RETRY_AFTER_S, Unavailable
from server.streams.connection import Connection
from server.streams.scheduler import Scheduler
from server.wires.deepgram import ModelInfo, Sender
from server.wires.deepgram_query import ListenOptions, parse_query
from server.workers.contract import StreamSession
from server.workers.messages import StreamOptions

REFUSALS: tuple[tuple[type[AsrError], int, str], ...] = (
    (OriginError, 403, "FORBIDDEN_ORIGIN"),
    (Unavailable, 503, "SERVER_FULL"),
    (AsrError, 400, "INVALID_QUERY_PARAMETER"),
)
"""HTTP status and ``err_code``; the first that fits."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stream for which everything was found to be possible."""

    options: ListenOptions
    scheduler: Scheduler
    decoder: StreamDecoder
    settings: SessionSettings

    async def open(self) -> StreamSession:
        """The stream's session. Raises `ConfigError` for a language that the model does not know."""
        options = self.options
        return await self.scheduler.open(
            self.settings,
            StreamOptions(options.language, options.prompt, options.hotwords, options.interim_results),
        )


def prepare(service: Service, query: QueryParams) -> Prepared:
    """What can be found out without the model's worker. Raises `ParameterError`, `ModelError`, `AudioError`."""
    options = parse_query(query.multi_items())
    scheduler = service.scheduler(options.model)
    decoder = StreamDecoder(options.encoding, options.sample_rate, options.channels)
    return Prepared(options, scheduler, decoder, _session_settings(service.settings.session, options))


def _session_settings(settings: SessionSettings, options: ListenOptions) -> SessionSettings:
    if options.endpointing is None:
        return settings
    return replace(settings, vad=replace(settings.vad, endpoint_ms=options.endpointing))


async def listen(socket: WebSocket) -> None:
    """The WebSocket route."""
    service: Service = socket.app.state.service
    request_id = str(uuid.uuid4())
    try:
        check_origin(socket.headers, service.settings.allowed_origins)
        prepared = prepare(service, socket.query_params)
        service.admission.check()
        service.admission.check_load(prepared.scheduler)
        session = await prepared.open()
        connection = _connection(service, socket, prepared, session, request_id)
        try:
            with service.admission.place(connection.end):
                await _accept(socket, request_id)
                await connection.run()
        finally:
            prepared.scheduler.close(session)
    except AsrError as error:
        await socket.send_denial_response(refusal(error, request_id, service))


async def listen_without_upgrade(request: Request) -> JSONResponse:
    """The same address by plain HTTP says what a WebSocket would be told: browsers hide that from their pages."""
    service: Service = request.app.state.service
    request_id = str(uuid.uuid4())
    try:
        check_origin(request.headers, service.settings.allowed_origins)
        prepared = prepare(service, request.query_params)
        service.admission.check()
        service.admission.check_load(prepared.scheduler)
        prepared.scheduler.close(await prepared.open())
    except AsrError as error:
        return refusal(error, request_id, service)
    body = {"err_code": "UPGRADE_REQUIRED", "err_msg": "this address speaks WebSocket; connect with ws:// or wss://"}
    return JSONResponse(body | {"request_id": request_id}, 426, {"Upgrade": "websocket"})


def refusal(error: AsrError, request_id: str, service: Service) -> JSONResponse:
    """Deepgram's form of an error before the upgrade."""
    status, code = next((status, code) for kind, status, code in REFUSALS if isinstance(error, kind))
    if not isinstance(error, Unavailable):  # counted, with its reason, where it was raised
        service.metrics.refused.labels(code.lower()).inc()
    headers = {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, Unavailable) else {}
    return JSONResponse({"err_code": code, "err_msg": str(error), "request_id": request_id}, status, headers)


def _connection(
    service: Service, socket: WebSocket, prepared: Prepared, session: StreamSession, request_id: str
) -> Connection:
    engine = prepared.scheduler.engine
    sender = Sender(prepared.options, ModelInfo(engine.name, engine.weights_sha256, engine.architecture), request_id)
    return Connection(
        socket,
        session,
        prepared.decoder,
        sender,
        scheduler=prepared.scheduler,
        options=prepared.options,
        limits=service.settings,
        metrics=service.metrics,
    )


async def _accept(socket: WebSocket, request_id: str) -> None:
    """A browser that offers subprotocols (Deepgram's way to send a key) hangs up when none is chosen."""
    offered: list[str] = socket.scope.get("subprotocols", [])
    await socket.accept(offered[0] if offered else None, [(b"dg-request-id", request_id.encode())])
