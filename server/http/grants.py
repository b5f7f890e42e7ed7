"""Short-lived tokens: `POST /v1/auth/grant` (Deepgram's form) and `POST /v1/realtime/client_secrets` (OpenAI's).

For browsers and other places that must not have a key: a program that has one fetches a token and hands it on.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from asr.errors import AsrError
from server.access.context import current
from server.access.keyring import CLIENT_SECRET_PREFIX, TOKEN_PREFIX
from server.http.errors import error_response
from server.http.listen import refusal
from server.http.origin import check_origin
from server.http.prerecorded import REFUSALS
from server.http.refusals import new_request_id
from server.http.service import Service
from server.http.uploads import limited
from server.wires.deepgram_prerecorded import BodyError
from server.wires.openai_realtime_session import RealtimeSession, SessionError
from server.wires.openai_transcriptions import FormError

GRANT_TTL_S, MAX_GRANT_TTL_S = 30, 3_600
"""Deepgram's default and limit of `ttl_seconds`. A stream that is open outlives its token."""
SECRET_TTL_S, MIN_SECRET_TTL_S, MAX_SECRET_TTL_S = 600, 10, 7_200
"""OpenAI's default and limits of `expires_after.seconds`."""
MAX_BODY_BYTES = 16_384
MAX_SESSION_BYTES = 3_000
"""The settings travel in the token, and that in a header."""


async def grant(request: Request) -> JSONResponse:
    """`POST /v1/auth/grant`: a token that may stream and transcribe, as far as its key may."""
    service: Service = request.app.state.service
    request_id = new_request_id()
    try:
        check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
        ttl_s = _seconds((await _body(request)).get("ttl_seconds"), GRANT_TTL_S, 1, MAX_GRANT_TTL_S)
        if ttl_s is None:
            raise BodyError(f"ttl_seconds: wanted a number of seconds from 1 to {MAX_GRANT_TTL_S}")
    except AsrError as error:
        return refusal(error, request_id, request, REFUSALS)
    scopes = ("listen", "transcribe")
    token = service.keyring.token(current().caller, ttl_s, prefix=TOKEN_PREFIX, scopes=scopes)
    body = {"access_token": token, "expires_in": ttl_s}
    return JSONResponse(body, headers={"dg-request-id": request_id, "Cache-Control": "no-store"})


async def client_secrets(request: Request) -> JSONResponse:
    """`POST /v1/realtime/client_secrets`: a token for live streams, with the session's settings in it."""
    service: Service = request.app.state.service
    try:
        check_origin(request.headers, service.settings.allowed_origins, service.settings.allowed_hosts)
        body = await _body(request)
        after = body.get("expires_after") or {}
        wanted = after.get("seconds") if isinstance(after, dict) else after
        ttl_s = _seconds(wanted, SECRET_TTL_S, MIN_SECRET_TTL_S, MAX_SECRET_TTL_S)
        if ttl_s is None:
            limits = f"{MIN_SECRET_TTL_S} to {MAX_SECRET_TTL_S}"
            raise FormError("expires_after", f"expires_after.seconds: wanted a number of seconds from {limits}")
        settings = _session(service, body.get("session"))
    except AsrError as error:
        return error_response(error, request)
    secret = service.keyring.token(
        current().caller, ttl_s, prefix=CLIENT_SECRET_PREFIX, scopes=("listen",), session=body.get("session")
    )
    expires_at = service.keyring.expiry(ttl_s)
    answer = {"value": secret, "expires_at": expires_at, "session": settings}
    return JSONResponse(answer, headers={"Cache-Control": "no-store"})


async def _body(request: Request) -> dict[str, Any]:
    """The JSON object of a request, {} for no body. Raises `BodyError`, `UploadTooBig`."""
    data = b"".join([piece async for piece in limited(request, MAX_BODY_BYTES).stream()])
    try:
        body = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise BodyError("found a body that is no JSON object, wanted one, or no body")
    return body


def _seconds(value: Any, default: int, least: int, most: int) -> int | None:
    """Whole seconds within the limits; None for anything else."""
    if value is None:
        return default
    fits = isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
    return int(value) if fits else None


def _session(service: Service, given: Any) -> dict[str, Any]:
    """The settings as the session will have them. Raises `FormError`, `ModelError`, and `ConfigError` for languages."""
    if len(json.dumps(given)) > MAX_SESSION_BYTES:
        raise FormError("session", f"session: wanted at most {MAX_SESSION_BYTES} bytes of JSON; send the rest later")
    session = RealtimeSession.of_model(service.default_model)
    try:
        session = session if given is None else session.updated(given)
    except SessionError as error:
        raise FormError(error.param, str(error)) from None
    service.choose(session.model, session.languages)
    return {"type": "transcription", "object": "realtime.transcription_session", **session.fields()}
