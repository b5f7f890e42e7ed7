"""`POST /v1/audio/transcriptions`, OpenAI's upload API: one recording, its text whole or as server-sent events; and
`/v1/audio/translations`, its text in English."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from asr.errors import AsrError, AudioError, ConfigError
from asr.events import Event
from asr.transcripts.recording import transcript_of
from server.audio_blocks import audio_blocks
from server.http.errors import REQUEST_ID, error_response, log_failure
from server.http.origin import check_origin
from server.http.refusals import new_request_id
from server.http.service import Recognition, Service
from server.http.uploads import limited, unless_gone, wait_for_upload
from server.wires import openai_transcriptions as openai
from server.wires.openai_transcriptions import EventWriter, FormError, TranscriptionOptions

MULTIPART_ROOM_BYTES = 65_536
"""Room for the other fields and the form's boundaries beside a file of the largest size."""
MAX_FIELDS = 250
"""Hotwords come in a field each."""


async def transcriptions(request: Request) -> Response:
    """`POST /v1/audio/transcriptions`: the text of one recording, whole or as events.

    Errors before the first word are HTTP statuses; in a stream of events, later ones are an event.
    """
    return await _answered(request, translate=False)


async def translations(request: Request) -> Response:
    """`POST /v1/audio/translations`: the same in English, whatever is spoken, where the model can."""
    return await _answered(request, translate=True)


async def _answered(request: Request, *, translate: bool) -> Response:
    service: Service = request.app.state.service
    headers = {REQUEST_ID: new_request_id()}
    try:
        check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
        async with AsyncExitStack() as held:
            service.admission.check(live=False)
            file, options = await _form(request, service, held, translate=translate)
            held.enter_context(service.admission.place(wait_for_upload, live=False))
            recognition = await _recognition(service, file, options, held)
            batches = _batches(recognition)
            if options.stream:
                first = await unless_gone(request, _next(batches))
                body = _event_stream(request, recognition, first, batches, options, headers[REQUEST_ID])
                return _HeldResponse(body, held.pop_all(), headers)
            events = await unless_gone(request, _all(batches))
    except AsrError as error:
        return error_response(error, request)
    transcript = transcript_of(events, recognition.engine, recognition.received_s)
    media_type, text = openai.response_body(transcript, options)
    return Response(text, media_type=media_type, headers=headers)


async def _form(
    request: Request, service: Service, held: AsyncExitStack, *, translate: bool
) -> tuple[BinaryIO, TranscriptionOptions]:
    """The recording, open as long as `held` is, and the options. Raises `FormError`, `UploadTooBig`."""
    body = limited(request, service.settings.max_upload_bytes + MULTIPART_ROOM_BYTES)
    form = await held.enter_async_context(body.form(max_files=1, max_fields=MAX_FIELDS))
    file = form.get("file")
    fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    if not isinstance(file, UploadFile):
        raise FormError("file", "file: found none, wanted a recording as multipart/form-data")
    return file.file, openai.parse_form(fields, translate=translate)


async def _recognition(
    service: Service, file: BinaryIO, options: TranscriptionOptions, held: AsyncExitStack
) -> Recognition:
    """The recording at the model. Raises `ModelError`, `Unavailable`, and `FormError` for what the model cannot do."""
    scheduler = service.seat(options.model)
    service.admission.check_load(scheduler, live=False)
    recognition = service.recognition(
        audio_blocks(file),
        scheduler,
        languages=options.languages,
        prompt=options.prompt,
        hotwords=options.hotwords,
        endpoint_ms=options.endpoint_ms,
        translate=options.translate,
    )
    try:
        return await held.enter_async_context(recognition)
    except ConfigError as error:  # a translation has no field for the language
        raise FormError("model" if options.translate else "language", str(error)) from error


async def _batches(recognition: Recognition) -> AsyncIterator[list[Event]]:
    """The recording's events as they come. Raises `FormError` for a file that cannot be decoded."""
    try:
        async for events in recognition.events():
            yield events
    except AudioError as error:
        raise FormError("file", str(error)) from error


async def _next(batches: AsyncIterator[list[Event]]) -> list[Event]:
    return await anext(batches)


async def _all(batches: AsyncIterator[list[Event]]) -> list[Event]:
    return [event async for events in batches for event in events]


async def _event_stream(
    request: Request,
    recognition: Recognition,
    first: list[Event],
    batches: AsyncIterator[list[Event]],
    options: TranscriptionOptions,
    request_id: str,
) -> AsyncIterator[str]:
    """The response's body. An error ends it as an event, which OpenAI's SDKs raise."""
    writer = EventWriter(options)
    try:
        for event in writer.deltas(first):
            yield event
        async for events in batches:
            for event in writer.deltas(events):
                yield event
    except AsrError as error:
        yield openai.server_sent(log_failure(error, request, request_id))
    else:
        for event in writer.done(recognition.received_s):
            yield event


class _HeldResponse(StreamingResponse):
    """A stream of events that holds its place and its recording until it was sent or the client has gone."""

    def __init__(self, body: AsyncIterator[str], held: AsyncExitStack, headers: Mapping[str, str]) -> None:
        super().__init__(body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no", **headers})
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)
