"""The routes besides streams: health, readiness, metrics, models, and transcription of one recording."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, BinaryIO, TypeVar

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from asr.errors import AsrError, AudioError, CallerError, ConfigError, ModelError
from asr.transcripts.formats import Transcript
from server.audio_blocks import audio_blocks
from server.http.cors import cors_headers
from server.http.origin import OriginError, check_origin
from server.http.refusals import log_refusal, new_request_id
from server.http.service import Service
from server.streams.admission import RETRY_AFTER_S, Unavailable
from server.wires import openai_transcriptions as openai
from server.wires.openai_transcriptions import (
    FormError,
    TranscriptionOptions,
    error_body,
    response_body,
)

T = TypeVar("T")

MULTIPART_ROOM_BYTES = 65_536
"""Room for the other fields and the form's boundaries beside a file of the largest size."""


class UploadTooBig(CallerError):
    """An upload over `max_upload_bytes`; HTTP 413."""


STATUSES: tuple[tuple[type[AsrError], int, str | None], ...] = (
    (OriginError, 403, "forbidden_origin"),
    (ModelError, 404, "model_not_found"),
    (UploadTooBig, 413, "file_too_large"),
    (Unavailable, 503, "server_full"),
    (CallerError, 400, None),
    (AsrError, 500, "internal"),
)
"""HTTP status and ``code``; the first that matches."""


async def healthz(request: Request) -> JSONResponse:
    """`GET /healthz`: 200 while the process runs."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """`GET /readyz`: 200 when every model has recognised the built-in sample, else 503 with the reason."""
    reason = _service(request).not_ready
    return JSONResponse({"status": "not ready", "reason": reason}, 503) if reason else JSONResponse({"status": "ready"})


async def metrics(request: Request) -> Response:
    """`GET /metrics`: Prometheus' text format."""
    return Response(_service(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)


async def models(request: Request) -> JSONResponse:
    """`GET /v1/models`: the models, in OpenAI's form."""
    service = _service(request)
    return JSONResponse({"object": "list", "data": [_model(service, name) for name in service.schedulers]})


async def model(request: Request) -> JSONResponse:
    """`GET /v1/models/{name}`: one of them, by its name (a hub id has slashes) or by an alias."""
    service, name = _service(request), str(request.path_params["name"])
    try:
        return JSONResponse(_model(service, service.scheduler(name).engine.name))
    except ModelError as error:
        return error_response(error, request)


def _model(service: Service, name: str) -> dict[str, Any]:
    """OpenAI's model object; `default` and the fields after it are our own."""
    engine = service.schedulers[name].engine
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "steadyword",
        "default": name == service.default_model,
        "architecture": engine.architecture,
        "languages": list(engine.languages),
        "weights_sha256": engine.weights_sha256,
    }


async def transcriptions(request: Request) -> Response:
    """`POST /v1/audio/transcriptions`: one recording, answered when it is recognised."""
    service = _service(request)
    try:
        check_origin(request.headers, service.settings.allowed_origins)
        with service.admission.place(_wait_for_upload):
            limited = _limited(request, service.settings.max_upload_bytes + MULTIPART_ROOM_BYTES)
            async with limited.form(max_files=1, max_fields=50) as form:
                file = form.get("file")
                fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
                if not isinstance(file, UploadFile):
                    raise FormError("file", "file: found none, wanted a recording as multipart/form-data")
                options = openai.parse_form(fields)
                transcript = await _unless_gone(request, _transcribe(service, file.file, options))
    except AsrError as error:
        return error_response(error, request)
    media_type, body = response_body(transcript, options)
    return Response(body, media_type=media_type)


async def _transcribe(service: Service, file: BinaryIO, options: TranscriptionOptions) -> Transcript:
    scheduler = service.scheduler(options.model)
    service.admission.check_load(scheduler)
    try:
        return await service.transcribe(
            audio_blocks(file),
            scheduler,
            language=options.language or None,
            prompt=options.prompt,
            hotwords=options.hotwords,
        )
    except AudioError as error:
        raise FormError("file", str(error)) from error
    except ConfigError as error:
        raise FormError("language", str(error)) from error


async def _unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; cancels it when the client disconnects (after the body nothing else can be received)."""
    working = asyncio.create_task(work)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        gone.cancel()
        working.cancel()
        await asyncio.gather(gone, working, return_exceptions=True)


def _limited(request: Request, max_bytes: int) -> Request:
    """The same request with a body of at most `max_bytes`. Its `receive` raises `UploadTooBig`.

    A client does not read the response while it still sends. So up to twice the limit the rest is read and discarded.
    """
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > max_bytes:
            while seen < 2 * max_bytes and message.get("more_body") and message["type"] == "http.request":
                message = await request.receive()
                seen += len(message.get("body", b""))
            raise UploadTooBig(
                f"found an upload of more than {max_bytes} bytes, which is the limit; send a smaller file"
            )
        return message

    return Request(request.scope, receive)


def error_response(error: AsrError, request: Request) -> JSONResponse:
    """The error in OpenAI's form; counted and logged."""
    status, code = next((status, code) for kind, status, code in STATUSES if isinstance(error, kind))
    _service(request).metrics.errors.labels(code or "bad_request").inc()
    kind = "server_error" if status >= 500 else "invalid_request_error"
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    param = error.param if isinstance(error, FormError) else "model" if isinstance(error, ModelError) else None
    return _refusal(request, status, error_body(str(error), kind=kind, param=param, code=code), headers)


def _refusal(
    request: HTTPConnection, status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """An error's body as a response, and a line in the log. OpenAI's SDKs read `x-request-id`."""
    request_id = new_request_id()
    log_refusal(request, status, body["error"]["message"], request_id)
    return JSONResponse(body, status, {**(headers or {}), "x-request-id": request_id})


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own errors (404, 405, a broken form) in OpenAI's form."""
    assert isinstance(error, HTTPException)
    kind = "server_error" if error.status_code >= 500 else "invalid_request_error"
    return _refusal(request, error.status_code, error_body(str(error.detail), kind=kind), error.headers)


async def unknown_address(scope: Scope, receive: Receive, send: Send) -> None:
    """404, as JSON for WebSockets too, which Starlette itself refuses with a bare 403."""
    if scope["type"] != "websocket":
        raise HTTPException(404)
    socket = WebSocket(scope, receive, send)
    sentence = f"no WebSocket at {socket.scope['path'][:100]!r}; live streams connect to /v1/listen"
    await socket.send_denial_response(_refusal(socket, 404, error_body(sentence, code="not_found")))


async def on_failure(request: Request, error: Exception) -> Response:
    """The server's own failure. Starlette raises it again, for the log, and sends this outside of all middleware."""
    body = error_body("the server failed on this request", kind="server_error", code="internal")
    allowed = _service(request).settings.allowed_origins
    return JSONResponse(body, 500, {"Vary": "Origin"} | cors_headers(request.headers, allowed))


async def on_disconnect(request: Request, error: Exception) -> Response:
    """The client disconnected during the upload; nobody reads this response."""
    assert isinstance(error, ClientDisconnect)
    return Response(status_code=499)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _wait_for_upload() -> None:
    """Ends an upload at shutdown: it cannot end early. The drain waits for it, up to its timeout."""
