"""Refuses requests under another host's name, for servers of pages that are not the recogniser's: it counts its own."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from server.access.hosts import HostError, check_host


class OwnHost:
    """Middleware: what does not name this machine gets 403 (DNS rebinding)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                check_host(Headers(scope=scope).getlist("host"), ())
            except HostError as error:
                return await JSONResponse({"error": str(error)}, 403)(scope, receive, send)
        await self._app(scope, receive, send)
