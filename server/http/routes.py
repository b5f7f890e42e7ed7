"""The routes about the server itself: health, readiness, metrics, models."""

from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asr.errors import ModelError
from server.http.errors import error_response
from server.http.service import Service
from server.wires.deepgram_messages import ModelInfo


async def healthz(request: Request) -> JSONResponse:
    """`GET /healthz`: 200 while the process runs."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> JSONResponse:
    """`GET /readyz`: 200 when every model recognised the built-in sample and has a worker, else 503 with the reason.

    `workers`: for each model how many are ready, and how many there are.
    """
    service = _service(request)
    reason = service.not_ready
    workers = {name: dict(zip(("ready", "of"), s.lanes, strict=True)) for name, s in service.schedulers.items()}
    if reason:
        return JSONResponse({"status": "not ready", "reason": reason, "workers": workers}, 503)
    return JSONResponse({"status": "ready", "workers": workers})


async def metrics(request: Request) -> Response:
    """`GET /metrics`: Prometheus' text format."""
    return Response(_service(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)


async def usage(request: Request) -> JSONResponse:
    """`GET /v1/operate/usage`: what each key has open and has sent today, and its limits."""
    service = _service(request)
    keys = {
        key.name: {
            "scopes": key.scopes,
            "open_streams": service.quotas.open_streams(key.name),
            "max_streams": key.max_streams or None,
            "audio_s_today": round(service.quotas.audio_s(key.name), 3),
            "audio_s_per_day": key.audio_s_per_day or None,
            "expires": key.expires or None,
        }
        for key in service.keyring.keys
    }
    return JSONResponse({"keys": keys})


async def models(request: Request) -> JSONResponse:
    """`GET /v1/models`: the models, in OpenAI's form (`data`) and in Deepgram's (`stt`): both have this address."""
    service = _service(request)
    listed = [_model(service, name) for name in service.schedulers]
    return JSONResponse({"object": "list", "data": listed, "stt": list(map(_deepgram_model, listed)), "tts": []})


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
        **ModelInfo.of(engine).identity,
    }


def _deepgram_model(model: dict[str, Any]) -> dict[str, Any]:
    info = ModelInfo(model["id"], model["weights_sha256"], model["architecture"])
    return {
        "name": info.name,
        "canonical_name": info.name,
        "architecture": info.architecture,
        "languages": model["languages"],
        "version": info.fields["version"],
        "uuid": info.uuid,
        "batch": True,
        "streaming": True,
        "formatted_output": True,
    }


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service
