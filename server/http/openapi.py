"""What the HTTP routes take and answer, as OpenAPI 3.1, made from the table of routes and the tables of the wires.

`GET /openapi.json` is the document, `GET /docs` a page of it. The page is made here and has no script: a viewer such as
Swagger UI needs scripts and styles in the page, which the server's Content-Security-Policy forbids.
"""

import html
import inspect
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from asr.errors import AsrError
from server.http import errors, grants, listen, prerecorded
from server.wires.deepgram_prerecorded import PRERECORDED_IGNORED, PRERECORDED_PARAMETERS, PRERECORDED_UNSUPPORTED
from server.wires.deepgram_query import ENCODING_NAMES, HINTS, HOTWORDS, LABELS, SAMPLE_RATES_HZ
from server.wires.openai_transcriptions import FIELDS, GRANULARITIES, IGNORED, INCLUDED, RESPONSE_FORMATS
from server.wires.openai_transcriptions import TRANSLATION_FIELDS as TRANSLATED

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
VALUES: Mapping[str, Schema] = {
    "encoding": {"type": "string", "enum": [name for name in ENCODING_NAMES if name != "opus"]},
    "sample_rate": {"type": "integer", "minimum": SAMPLE_RATES_HZ[0], "maximum": SAMPLE_RATES_HZ[1]},
    "channels": {"type": "integer", "minimum": 1},
    "multichannel": SWITCH,
    "utterances": SWITCH,
    "paragraphs": SWITCH,
    "smart_format": SWITCH,
    "utt_split": {"type": "number", "maximum": 60},
    "file": {"type": "string", "format": "binary"},
    "response_format": {"type": "string", "enum": list(RESPONSE_FORMATS)},
    "timestamp_granularities[]": {"type": "array", "items": {"type": "string", "enum": list(GRANULARITIES)}},
    "include[]": {"type": "array", "items": {"type": "string", "enum": list(INCLUDED)}},
    "languages[]": {"type": "array", "items": TEXT},
    "keywords[]": {"type": "array", "items": TEXT},
    "stream": SWITCH,
    "temperature": {"type": "number"},
}
"""The values of parameters and fields; the others are texts."""
MEANINGS = {200: "The answer.", 400: "Something in the request is wrong.", 401: "No key, or an unknown one."}
MEANINGS |= {403: "The key, the origin or the host may not do this.", 404: "There is no such model."}
MEANINGS |= {408: "The body comes too slowly.", 410: "The stream is kept no more.", 413: "The recording is too large."}
MEANINGS |= {426: "Connect with a WebSocket here.", 429: "A limit of the key, or too many wrong keys."}
MEANINGS |= {500: "The server failed.", 503: "No place is free, or the server is starting; see Retry-After."}
DEEPGRAM_ERROR: Schema = {
    "type": "object",
    "required": ["err_code", "err_msg"],
    "properties": {"err_code": TEXT, "err_msg": TEXT, "request_id": TEXT},
}
OPENAI_ERROR: Schema = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {"message": TEXT, "type": TEXT, "param": {}, "code": {}},
        }
    },
}
Refusals = Iterable[tuple[type[AsrError], int, Any]]
GATE = (400, 401, 403, 429)
"""What any address with a key may answer before its route is asked."""


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The OpenAPI document of these routes; those of WebSockets and of static files are not in it."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        if isinstance(route, Route):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                address = route.path.replace(":path}", "}")
                paths.setdefault(address, {})[method.lower()] = _operation(route, method)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "steadyword",
            "version": version("steadyword"),
            "description": "Streaming speech recognition.",
        },
        "paths": paths,
        "components": {
            "schemas": {"DeepgramError": DEEPGRAM_ERROR, "Error": OPENAI_ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key or a token."},
                "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token KEY"},
                "azure": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
        },
    }


def _operation(route: Route, method: str) -> dict[str, Any]:
    from server.http.gate import DEEPGRAM_PATHS, scope_for

    path = route.path
    scope = scope_for({"type": "http", "path": path, "method": method})
    name = "DeepgramError" if path in DEEPGRAM_PATHS else "Error"
    named = f"`{method} {path.replace(':path}', '}')}`: "
    summary = inspect.cleandoc(route.endpoint.__doc__ or "").split("\n", 1)[0].removeprefix(named)
    summary = summary[:1].upper() + summary[1:]
    if is_socket(path, method):
        summary = "Why a WebSocket would be refused here; 426 if it would be accepted."
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{path.strip('/').replace('/', '_').replace('{name:path}', 'name') or 'page'}",
        "summary": summary.replace("`", ""),
        "responses": {str(status): _response(path, status, name) for status in sorted(statuses(path, method, scope))},
    }
    if scope is not None:
        operation["security"] = [{"bearer": []}, {"token": []}, {"azure": []}]
        operation["x-scope"] = scope
    if parameters := _parameters(path, method):
        operation["parameters"] = parameters
    if content := _content(path, method):
        operation["requestBody"] = {"required": path not in ("/v1/auth/grant",), "content": content}
    return operation


def statuses(path: str, method: str, scope: str | None) -> set[int]:
    """What an address may answer."""
    codes = {426} if is_socket(path, method) else {200}
    tables: dict[str, Refusals] = {"/v1/auth/grant": prerecorded.REFUSALS}
    if path == "/v1/listen" and method == "POST":
        tables[path] = prerecorded.REFUSALS
    elif path in ("/v1/listen", "/v2/listen"):
        tables[path] = listen.REFUSALS
    elif path in ("/v1/realtime", "/v1/jambonz", "/v1/realtime/client_secrets") or path.startswith("/v1/audio/"):
        tables[path] = errors.STATUSES
    codes |= {status for _, status, _ in tables.get(path, ()) if status != 426}
    if path == "/v1/models/{name:path}":
        codes.add(404)
    if path == "/readyz":
        codes.add(503)
    return codes | ({*GATE, 503} if scope is not None else set())


def is_socket(path: str, method: str) -> bool:
    """Whether this is the address of a WebSocket, asked without an upgrade."""
    return method == "GET" and path in ("/v1/listen", "/v2/listen", "/v1/realtime", "/v1/jambonz")


def _response(path: str, status: int, error: str) -> dict[str, Any]:
    response: dict[str, Any] = {"description": MEANINGS[status]}
    if status == 200 and path == "/metrics":
        response["content"] = {"text/plain": {"schema": TEXT}}
    elif status == 200 and path in ("/", "/docs"):
        response["content"] = {"text/html": {"schema": TEXT}}
    elif status == 200 or path == "/readyz":
        response["content"] = {"application/json": {"schema": {"type": "object"}}}
    else:
        response["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{error}"}}}
    if status in (429, 503):
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
    return response


def _parameters(path: str, method: str) -> list[dict[str, Any]]:
    if "{name" in path:
        return [{"name": "name", "in": "path", "required": True, "schema": TEXT}]
    if (path, method) != ("/v1/listen", "POST"):
        return []
    honoured = [*PRERECORDED_PARAMETERS, "detect_language", *HOTWORDS, *HINTS, *LABELS]
    repeated = {"detect_language", *HOTWORDS, *HINTS, *LABELS}
    found = [_parameter(name, name in repeated) for name in honoured]
    ignored = [name for name in PRERECORDED_IGNORED if name not in honoured]
    found += [_parameter(name) | {"description": "Accepted without effect."} for name in ignored]
    off = {"type": "string", "enum": ["false", "0"]}
    found += [
        {"name": name, "in": "query", "schema": off, "description": "Not supported: only switched off."}
        for name in PRERECORDED_UNSUPPORTED
    ]
    return found


def _parameter(name: str, repeated: bool = False) -> dict[str, Any]:
    schema = VALUES.get(name, TEXT)
    return {"name": name, "in": "query", "schema": {"type": "array", "items": schema} if repeated else schema}


def _content(path: str, method: str) -> dict[str, Any] | None:
    if path in ("/v1/audio/transcriptions", "/v1/audio/translations"):
        fields = (*(FIELDS if path.endswith("transcriptions") else TRANSLATED), *IGNORED)
        properties = {name: VALUES.get(name, TEXT) for name in fields}
        form = {"type": "object", "required": ["file"], "properties": properties}
        return {"multipart/form-data": {"schema": form}}
    if (path, method) == ("/v1/listen", "POST"):
        address = {"type": "object", "required": ["url"], "properties": {"url": {"type": "string", "format": "uri"}}}
        audio = {"type": "string", "format": "binary"}
        return {"application/octet-stream": {"schema": audio}, "application/json": {"schema": address}}
    if path == "/v1/auth/grant":
        limits = {"type": "integer", "minimum": 1, "maximum": grants.MAX_GRANT_TTL_S}
        return {"application/json": {"schema": {"type": "object", "properties": {"ttl_seconds": limits}}}}
    if path == "/v1/realtime/client_secrets":
        properties = {"expires_after": {"type": "object"}, "session": {"type": "object"}}
        return {"application/json": {"schema": {"type": "object", "properties": properties}}}
    return None


async def openapi_json(request: Request) -> JSONResponse:
    """`GET /openapi.json`: this description, for programs."""
    return JSONResponse(document(request.app.routes))


async def docs(request: Request) -> HTMLResponse:
    """`GET /docs`: this description, for people."""
    return HTMLResponse(page(document(request.app.routes)))


def page(described: Mapping[str, Any]) -> str:
    """The document as a page without script."""
    sections = [
        _section(method, path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html><html lang="en"><head>{head}<title>steadyword: HTTP</title>'
        '<link rel="icon" href="static/icon.svg"><link rel="stylesheet" href="static/docs.css"></head>'
        "<body><main><h1>HTTP addresses</h1>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>, and for the WebSockets '
        f'<a href="asyncapi.json">asyncapi.json</a>.</p>{"".join(sections)}</main></body></html>'
    )


def _section(method: str, path: str, operation: Mapping[str, Any]) -> str:
    text = html.escape
    parts = [f"<section><h2><code>{method.upper()} {text(path)}</code></h2><p>{text(operation['summary'])}</p>"]
    if scope := operation.get("x-scope"):
        parts.append(f"<p>Scope of the key: {text(scope)}</p>")
    named = [(p["name"], p["schema"], p.get("description", "")) for p in operation.get("parameters", ())]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: {text(kind)}</p>")
        named += [(name, schema, "") for name, schema in content["schema"].get("properties", {}).items()]
    rows = [
        f"<tr><td><code>{text(n)}</code></td><td>{text(_values(s))}</td><td>{text(d)}</td></tr>" for n, s, d in named
    ]
    if rows:
        parts.append(f"<table><tr><th>name</th><th>values</th><th></th></tr>{''.join(rows)}</table>")
    answers = [
        f"<tr><td>{code}</td><td>{text(r['description'])}</td></tr>" for code, r in operation["responses"].items()
    ]
    return f"{''.join(parts)}<table><tr><th>answer</th><th></th></tr>{''.join(answers)}</table></section>"


def _values(schema: Mapping[str, Any]) -> str:
    if schema.get("type") == "array":
        return f"several: {_values(schema['items'])}"
    if "enum" in schema:
        return ", ".join(schema["enum"])
    limits = " to ".join(str(schema[key]) for key in ("minimum", "maximum") if key in schema)
    if "maximum" not in schema and limits:
        limits += " or more"
    return f"{schema.get('type', 'any')} {limits}".strip()
