"""`GET /v1/jambonz`, jambonz' custom speech: the checks before a WebSocket is accepted.

A place is held from the message `start`, which has the settings, to the end.
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
from server.wires.jambonz import JambonzWire


async def jambonz(socket: WebSocket) -> None:
    """The WebSocket route: checks, accepts, and serves until the connection is over."""
    service: Service = socket.app.state.service
    request_id = current().request_id = new_request_id()
    try:
        _check(socket, service)
        await serve(socket, service, JambonzWire(), request_id)
    except AsrError as error:
        await socket.send_denial_response(error_response(error, socket))


async def jambonz_without_upgrade(request: Request) -> Response:
    """The same address by plain HTTP: the refusal that a WebSocket would get."""
    try:
        _check(request, request.app.state.service)
        raise UpgradeRequired("this address speaks WebSocket; connect with ws:// or wss://")
    except AsrError as error:
        return error_response(error, request)


def _check(request: HTTPConnection, service: Service) -> None:
    """Raises `OriginError`, `Unavailable`."""
    check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
    service.admission.check()
