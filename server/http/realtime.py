"""`GET /v1/realtime`, OpenAI's Realtime transcription: the checks before a WebSocket is accepted.

A socket holds a place only while its stream is open: clients keep sockets for hours, and in pools.
"""

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from asr.errors import AsrError
from server.access.context import current
from server.http.errors import UpgradeRequired, error_response
from server.http.origin import check_origin
from server.http.refusals import new_request_id
from server.http.service import Service
from server.http.websocket import serve
from server.wires.openai_realtime import RealtimeWire
from server.wires.openai_realtime_session import RealtimeSession
from server.wires.openai_transcriptions import FormError

BETA_SUBPROTOCOL = "openai-beta.realtime-v1"
CONVERSATION_MODELS = "gpt-realtime"
"""Names that begin so are models to talk with. SDKs name one in the address; the transcription's comes later."""


async def realtime(socket: WebSocket) -> None:
    """The WebSocket route: checks, accepts, and serves until the connection is over."""
    service: Service = socket.app.state.service
    request_id = current().request_id = new_request_id()
    try:
        wire = _wire(socket, service, request_id)
        await serve(socket, service, wire, request_id, wire.idle)
    except AsrError as error:
        await socket.send_denial_response(error_response(error, socket))


async def realtime_without_upgrade(request: Request) -> Response:
    """The same address by plain HTTP: the refusal that a WebSocket would get, which browsers hide from their pages."""
    try:
        _wire(request, request.app.state.service, "none")
        raise UpgradeRequired("this address speaks WebSocket; connect with ws:// or wss://")
    except AsrError as error:
        return error_response(error, request)


def _wire(request: HTTPConnection, service: Service, request_id: str) -> RealtimeWire:
    """All checks before the upgrade. Raises `OriginError`, `FormError`, `ModelError`, `Unavailable`."""
    check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
    intent = request.query_params.get("intent") or "transcription"
    if intent != "transcription":
        raise FormError("intent", f"intent: found {intent[:100]!r}, wanted transcription: there is nobody to talk to")
    model = request.query_params.get("model") or ""
    is_aliased = model.startswith(CONVERSATION_MODELS) and model not in service.schedulers
    wanted = model if model and not (is_aliased and not service.is_alias(model)) else service.default_model
    session = RealtimeSession.of_model(wanted)
    if (given := current().session) is not None:
        session = session.updated(given)
    wire = RealtimeWire(session, service.choose, request_id, is_beta=_is_beta(request))
    service.admission.check()
    return wire


def _is_beta(request: HTTPConnection) -> bool:
    """Whether the client asks for the API's beta, by a header or, in browsers, by a subprotocol."""
    offered: list[str] = request.scope.get("subprotocols", [])
    return "realtime=v1" in request.headers.get("openai-beta", "") or BETA_SUBPROTOCOL in offered
