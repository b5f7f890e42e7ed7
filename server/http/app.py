"""The application put together: settings and engines -> service -> routes."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from server.access.keyring import Keyring
from server.config import ServerSettings
from server.http import errors, openapi, routes
from server.http.asyncapi import asyncapi_json
from server.http.cors import Cors
from server.http.gate import Gate, Hosts
from server.http.grants import client_secrets, grant
from server.http.jambonz import jambonz, jambonz_without_upgrade
from server.http.listen import V1, V2, listen, listen_without_upgrade
from server.http.prerecorded import listen_prerecorded
from server.http.realtime import realtime, realtime_without_upgrade
from server.http.security_headers import SecurityHeaders
from server.http.service import Service
from server.http.transcriptions import transcriptions, translations
from server.workers.contract import StreamEngine

if TYPE_CHECKING:  # it needs a ledger, which few servers have
    from server.roster.follow import Follower

STATIC = Path(str(files("server").joinpath("static")))


def create_app(
    settings: ServerSettings,
    engines: Sequence[StreamEngine],
    keyring: Keyring | None = None,
    follow: "Callable[[Service], Follower] | None" = None,
) -> Starlette:
    """The ASGI application; its `state.service` is the `Service`.

    The first engine's model is the default. Engines of the same name are replicas of one model. The keys are those of
    the settings, unless others are given. `follow` makes the follower of a ledger, see `server.roster.releases`.
    """
    service = Service(settings, engines, keyring, follow)
    app = Starlette(
        routes=[
            Route("/", page),
            Route("/healthz", routes.healthz),
            Route("/readyz", routes.readyz),
            Route("/docs", openapi.docs),
            Route("/openapi.json", openapi.openapi_json),
            Route("/asyncapi.json", asyncapi_json),
            Route("/metrics", routes.metrics),
            Route("/v1/models", routes.models),
            Route("/v1/models/{name:path}", routes.model),
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/v1/audio/translations", translations, methods=["POST"]),
            Route("/v1/listen", listen_without_upgrade(V1)),
            Route("/v1/listen", listen_prerecorded, methods=["POST"]),
            WebSocketRoute("/v1/listen", listen(V1)),
            Route("/v2/listen", listen_without_upgrade(V2)),
            WebSocketRoute("/v2/listen", listen(V2)),
            Route("/v1/auth/grant", grant, methods=["POST"]),
            Route("/v1/realtime/client_secrets", client_secrets, methods=["POST"]),
            Route("/v1/operate/usage", routes.usage),
            Route("/v1/jambonz", jambonz_without_upgrade),
            WebSocketRoute("/v1/jambonz", jambonz),
            Route("/v1/realtime", realtime_without_upgrade),
            WebSocketRoute("/v1/realtime", realtime),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Hosts, allowed_hosts=settings.allowed_hosts),
            Middleware(Cors, allowed_origins=settings.allowed_origins),  # before the gate: a preflight shows no key
            Middleware(Gate, service=service),
        ],
        exception_handlers={
            HTTPException: errors.on_http_exception,
            ClientDisconnect: errors.on_disconnect,
            Exception: errors.on_failure,
        },
        lifespan=_lifespan,
    )
    app.router.default = errors.unknown_address
    for route in app.routes:
        _match_whole_path(route)
    app.state.service = service
    return app


def _match_whole_path(route: BaseRoute) -> None:
    """Starlette's patterns end with "$", which matches before a line end too: `/metrics%0A` would be `/metrics`.

    The gate, and a proxy before the server, would take it for another address, which needs another scope.
    """
    pattern: re.Pattern[str] = route.path_regex  # type: ignore[attr-defined]
    route.path_regex = re.compile(pattern.pattern.removesuffix("$") + r"\Z")  # type: ignore[attr-defined]


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    service: Service = app.state.service
    await service.start()
    try:
        yield
    finally:
        await service.stop()


async def page(request: Request) -> FileResponse:
    """`GET /`: the web page."""
    return FileResponse(STATIC / "index.html")
