"""`POST /v1/listen`, Deepgram's API for whole recordings: the bytes as the body, or their address in JSON."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse

from asr.audio.files import header
from asr.audio.pcm import MAX_CHANNELS
from asr.audio.streams import ENCODINGS, StreamDecoder
from asr.errors import AsrError, AudioError, CallerError
from asr.transcripts.formats import Transcript
from asr.transcripts.recording import transcript_of
from server.audio_blocks import audio_blocks, to_thread
from server.http.errors import UploadTooBig, UploadTooSlow
from server.http.fetch import FetchError
from server.http.listen import ACCESS_REFUSALS, refusal
from server.http.origin import OriginError, check_origin
from server.http.refusals import new_request_id
from server.http.service import Service
from server.http.uploads import limited, unless_gone, wait_for_upload
from server.streams.admission import Unavailable
from server.streams.scheduler import Scheduler
from server.wires.deepgram_messages import ModelInfo
from server.wires.deepgram_prerecorded import (
    BodyError,
    PrerecordedOptions,
    Recorded,
    address_in,
    parse_prerecorded,
    response_body,
)

REFUSALS: tuple[tuple[type[AsrError], int, str], ...] = (
    *ACCESS_REFUSALS,
    (OriginError, 403, "FORBIDDEN_ORIGIN"),
    (UploadTooBig, 413, "PAYLOAD_TOO_LARGE"),
    (UploadTooSlow, 408, "REQUEST_TIMEOUT"),
    (Unavailable, 503, "SERVER_FULL"),
    (AudioError, 400, "INVALID_AUDIO"),
    (BodyError, 400, "INVALID_BODY"),
    (FetchError, 400, "REMOTE_CONTENT_ERROR"),
    (CallerError, 400, "INVALID_QUERY_PARAMETER"),
    (AsrError, 500, "INTERNAL"),
)
"""HTTP status and ``err_code``; the first that matches."""

IN_MEMORY_BYTES = 1_048_576
"""A longer recording is kept in a temporary file."""
MAX_JSON_BYTES = 65_536
RAW_PIECE_BYTES = 320_000


async def listen_prerecorded(request: Request) -> JSONResponse:
    """`POST /v1/listen`: a recording as the body, or its address in JSON; answered when all of it is recognised."""
    service: Service = request.app.state.service
    request_id = new_request_id()
    try:
        check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
        options = parse_prerecorded(request.query_params.multi_items())
        name = service.model(options.model)
        service.admission.check(live=False)
        with _spooled() as file:
            audio_sha256 = await _receive(request, service, file)
            with service.admission.place(wait_for_upload, live=False):
                scheduler = service.seat(name)
                service.admission.check_load(scheduler, live=False)
                with scheduler.held():
                    channels = await unless_gone(request, _recognised(service, scheduler, file, options))
    except AsrError as error:
        return refusal(error, request_id, request, REFUSALS)
    body = response_body(Recorded(channels, audio_sha256, ModelInfo.of(scheduler.engine), request_id), options)
    return JSONResponse(body, headers={"dg-request-id": request_id})


def _spooled() -> BinaryIO:
    return cast(BinaryIO, SpooledTemporaryFile(IN_MEMORY_BYTES))


async def _receive(request: Request, service: Service, file: BinaryIO) -> str:
    """Puts the recording into the file; returns its SHA-256. Raises `BodyError`, `FetchError`, `UploadTooBig`."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "multipart/form-data":
        raise BodyError("found a form, wanted a recording's bytes as the body; /v1/audio/transcriptions takes forms")
    if content_type == "application/json":
        body = b"".join([piece async for piece in limited(request, MAX_JSON_BYTES).stream()])
        await unless_gone(request, service.fetch(address_in(body), file))
    else:
        async for piece in limited(request, service.settings.max_upload_bytes).stream():
            await asyncio.to_thread(file.write, piece)
    return await asyncio.to_thread(_sha256, file)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    file.seek(0)
    while piece := file.read(IN_MEMORY_BYTES):
        digest.update(piece)
    return digest.hexdigest()


async def _recognised(
    service: Service, scheduler: Scheduler, file: BinaryIO, options: PrerecordedOptions
) -> list[Transcript]:
    """A transcript for each channel, one after the other, or one of them all. Raises `AudioError`, `ConfigError`."""
    if not options.multichannel:
        return [await _transcript(service, scheduler, _blocks(file, options, None), options)]
    count = await asyncio.to_thread(_channels, file) if _has_header(options) else options.channels
    return [await _transcript(service, scheduler, _blocks(file, options, channel), options) for channel in range(count)]


def _channels(file: BinaryIO) -> int:
    count = header(file).channels
    if count > MAX_CHANNELS:
        raise AudioError(f"found a recording with {count} channels, wanted at most {MAX_CHANNELS} with multichannel")
    return count


async def _transcript(
    service: Service, scheduler: Scheduler, blocks: AsyncGenerator[np.ndarray, None], options: PrerecordedOptions
) -> Transcript:
    recognition = service.recognition(
        blocks, scheduler, languages=options.languages, prompt=options.prompt, hotwords=options.hotwords
    )
    async with recognition as recording:
        events = [event async for batch in recording.events() for event in batch]
    return transcript_of(events, scheduler.engine, recording.received_s)


def _blocks(file: BinaryIO, options: PrerecordedOptions, channel: int | None) -> AsyncGenerator[np.ndarray, None]:
    """The recording from its beginning: all channels mixed down, or one."""
    file.seek(0)
    if _has_header(options):
        return audio_blocks(file, channel=channel)
    return _raw_blocks(file, StreamDecoder(options.encoding, options.sample_rate, options.channels, channel=channel))


def _has_header(options: PrerecordedOptions) -> bool:
    """Whether the body is a file; a container that is named is read as any other."""
    return ENCODINGS[options.encoding].has_header


async def _raw_blocks(file: BinaryIO, decoder: StreamDecoder) -> AsyncGenerator[np.ndarray, None]:
    while data := await to_thread(file.read, RAW_PIECE_BYTES):
        yield await asyncio.to_thread(decoder.decode, data)
    yield decoder.flush()
