"""The page's own server: its files, one JSON route, and the actions where they are allowed."""

import hmac
import json
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from asr.errors import AsrError
from asr.ledger import Ledger
from ops.page.actions import Operator
from ops.page.overview import overview
from server.http.own_host import OwnHost
from server.http.security_headers import SecurityHeaders
from server.palette import PALETTE

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 4096
"""Of a request for an action."""


def create_app(ledger: Ledger, operator: Operator | None = None) -> Starlette:
    """The ASGI application. Without an operator it only reads."""

    def state(request: Request) -> Response:
        try:
            table = overview(ledger, time.time())
        except AsrError as error:
            return JSONResponse({"error": str(error)}, 503)
        return JSONResponse(table | {"operate": None if operator is None else {"pipelines": operator.names}})

    async def act(request: Request) -> Response:
        if operator is None:
            return JSONResponse({"error": "this page only reads; wanted asr ops serve --operate"}, 403)
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), operator.token.encode()):
            return JSONResponse({"error": "found another token, wanted the one that asr ops serve has printed"}, 401)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MOST_BYTES:
                return JSONResponse({"error": f"found more than {MOST_BYTES} bytes, wanted fewer"}, 413)
        return await run_in_threadpool(_act, operator, ledger, bytes(body))

    return Starlette(
        routes=[
            Route("/", lambda request: FileResponse(STATIC / "index.html")),
            Route("/healthz", lambda request: JSONResponse({"status": "ok"})),
            Route("/v1/overview", state),
            Route("/v1/actions", act, methods=["POST"]),
            Route("/static/palette.css", lambda request: FileResponse(PALETTE)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(OwnHost)],
    )


def _act(operator: Operator, ledger: Ledger, body: bytes) -> Response:
    try:
        wanted = json.loads(body)
    except (ValueError, RecursionError):
        wanted = None
    try:
        return JSONResponse({"done": operator.act(ledger, wanted, time.time())})
    except AsrError as error:
        return JSONResponse({"error": str(error)}, 400)
