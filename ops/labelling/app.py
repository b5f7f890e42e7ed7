"""The server of the labels page: its files, the next clip, its sound, and what a person heard."""

import hmac
import json
import time
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from asr.errors import AsrError
from asr.ledger import CHOICE_KINDS, Choice, Draws, Ledger
from ops.labelling.queue import Queue
from ops.labelling.record import MOST_CHARACTERS, GoneError, record
from server.clips.store import ClipStore
from server.http.own_host import OwnHost
from server.http.security_headers import SECURITY_HEADERS, SecurityHeaders
from server.palette import PALETTE

STATIC = Path(__file__).parent / "static"
MOST_BYTES = 64 * 1024
"""Of a request."""
HEADERS = {
    "Content-Security-Policy": SECURITY_HEADERS["Content-Security-Policy"] + "; media-src blob:",
    "Cache-Control": "no-store",
}
"""The sound is fetched with the token, and played from memory; no copy stays in the browser's cache."""


class RequestError(AsrError):
    """A request that cannot be carried out."""


def create_app(ledger: Ledger, store: ClipStore, by: str, token: str) -> Starlette:
    """The ASGI application. ``by`` labels; whoever has not the token gets neither a word nor a sound."""
    queue = Queue(ledger, store)

    def guarded(work: Any) -> Any:
        async def route(request: Request) -> Response:
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), token.encode()):
                return _error("found another token, wanted the address that asr labels serve has printed", 401)
            try:
                body = await _body(request)
                return await run_in_threadpool(work, request, body)
            except GoneError as error:
                return _error(str(error), 410)
            except AsrError as error:
                return _error(str(error), 400 if isinstance(error, RequestError) else 503)

        return route

    def next_clip(request: Request, body: dict[str, Any]) -> Response:
        clip, left = queue.next()
        if clip is None:
            return JSONResponse({"id": None, "left": 0}, headers=HEADERS)
        return JSONResponse(queue.task(clip).as_dict(left), headers=HEADERS)

    def audio(request: Request, body: dict[str, Any]) -> Response:
        clip = queue.find(request.path_params["clip"])
        if clip is None or not store.audio_file(clip).is_file():
            raise GoneError("this clip is not kept any more")
        return FileResponse(store.audio_file(clip), media_type="audio/flac", headers=HEADERS)

    def label(request: Request, body: dict[str, Any]) -> Response:
        text, choice = body.get("text"), body.get("choice")
        if not isinstance(text, str) or len(text) > MOST_CHARACTERS:
            raise RequestError(f"found no text of up to {MOST_CHARACTERS} characters, wanted what was said")
        clip = queue.find(str(body.get("id")))
        if clip is None:
            raise GoneError("this clip is not kept any more, or has a label")
        task = queue.task(clip)
        if len(task.texts) > 1 and choice not in CHOICE_KINDS:
            raise RequestError(f"found the choice {choice!r}, wanted one of {', '.join(CHOICE_KINDS)}")
        now_s = time.time()
        record(ledger, store, clip, text.strip(), by, now_s)
        if len(task.texts) > 1:
            releases = [release for release, _ in task.texts]
            found = Choice(now_s, clip.name, clip.stream_id, clip.utterance, releases[0], releases[1], str(choice), by)
            Draws(ledger).add_choice(found)
        return JSONResponse({"labelled": clip.id}, headers=HEADERS)

    def skip(request: Request, body: dict[str, Any]) -> Response:
        queue.skip(str(body.get("id")))
        return JSONResponse({"skipped": body.get("id")}, headers=HEADERS)

    return Starlette(
        routes=[
            Route("/", lambda request: FileResponse(STATIC / "index.html", headers=HEADERS)),
            Route("/healthz", lambda request: JSONResponse({"status": "ok"})),
            Route("/v1/next", guarded(next_clip)),
            Route("/v1/audio/{clip}", guarded(audio)),
            Route("/v1/labels", guarded(label), methods=["POST"]),
            Route("/v1/skip", guarded(skip), methods=["POST"]),
            Route("/static/palette.css", lambda request: FileResponse(PALETTE)),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(SecurityHeaders), Middleware(OwnHost)],
    )


async def _body(request: Request) -> dict[str, Any]:
    """The object that a POST holds; {} for a GET."""
    if request.method != "POST":
        return {}
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise RequestError(f"found more than {MOST_BYTES} bytes, wanted fewer")
    try:
        table = json.loads(bytes(body))
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise RequestError("found no JSON object, wanted one")
    return table


def _error(sentence: str, status: int) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers=HEADERS)
