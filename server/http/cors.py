"""Cross-origin requests: browsers show a page the responses only if a header names the page's origin.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.origin import is_listed

ALLOWED_METHODS = "GET, HEAD, POST, OPTIONS"
EXPOSED_HEADERS = "Retry-After"
MAX_AGE_S = 600
"""How long a browser keeps the answer to a preflight."""


class Cors:
    """Middleware for HTTP requests from the pages in `allowed_origins`: adds the headers, answers preflights.

    No credentials: the server has no cookies, and an `Authorization` header that the page sets itself needs none.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Sequence[str]) -> None:
        self._app, self._allowed = app, allowed_origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Headers(scope=scope)
        added = cors_headers(request, self._allowed)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Origin")
                headers.update(added)
            await send(message)

        is_preflight = scope["method"] == "OPTIONS" and "access-control-request-method" in request
        app = _preflight_response(request) if added and is_preflight else self._app
        await app(scope, receive, send_with_headers)


def cors_headers(request: Headers, allowed_origins: Sequence[str]) -> dict[str, str]:
    """The headers of a response to a listed page; none for programs, the server's own page and all other pages."""
    origin = request.get("origin")
    if origin is None or not is_listed(origin, allowed_origins):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": EXPOSED_HEADERS}


def _preflight_response(request: Headers) -> Response:
    """Allows the methods of the routes and any header: what a request may do does not depend on its headers."""
    headers = {
        "Access-Control-Allow-Methods": ALLOWED_METHODS,
        "Access-Control-Max-Age": str(MAX_AGE_S),
        "Vary": "Access-Control-Request-Headers, Access-Control-Request-Private-Network",
    }
    if requested := request.get("access-control-request-headers"):
        headers["Access-Control-Allow-Headers"] = requested
    if request.get("access-control-request-private-network") == "true":  # a public page, a server on this machine
        headers["Access-Control-Allow-Private-Network"] = "true"
    return Response(status_code=204, headers=headers)
