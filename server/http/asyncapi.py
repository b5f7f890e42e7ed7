"""What the WebSockets take and send, as AsyncAPI 3.0, made from the tables of the wires: `GET /asyncapi.json`.

docs/PROTOCOL.md says what each message and parameter means.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from server.http.openapi import TEXT, VALUES
from server.wires import jambonz, openai_realtime
from server.wires.deepgram import CLIENT_MESSAGES, RESUMABLE_MESSAGES
from server.wires.deepgram_flux import FLUX_IGNORED, FLUX_MESSAGES, FLUX_PARAMETERS
from server.wires.deepgram_frames import CLOSES
from server.wires.deepgram_query import HINTS, HOTWORDS, LABELS, LIVE_IGNORED, PARAMETERS
from server.wires.openai_realtime_messages import TRANSCRIPTION

AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class Socket:
    """One address: its query, the `type` of each message that a client sends and gets, and the close codes."""

    path: str
    title: str
    parameters: tuple[str, ...]
    ignored: tuple[str, ...]
    client: tuple[str, ...]
    server: tuple[str, ...]
    codes: tuple[int, ...]
    binary_audio: bool = True


SOCKETS = (
    Socket(
        "/v1/listen",
        "Live streams in Deepgram's form",
        (*PARAMETERS, *HOTWORDS, *HINTS, *LABELS),
        LIVE_IGNORED,
        (*CLIENT_MESSAGES, *RESUMABLE_MESSAGES),
        (
            *("Results", "SpeechStarted", "UtteranceEnd", "Metadata", "Error", "ConfigureSuccess", "ConfigureFailure"),
            *("Session", "Received"),
        ),
        tuple(sorted({close.code for close in CLOSES.values()})),
    ),
    Socket(
        "/v2/listen",
        "Turns of a conversation in the form of Deepgram's Flux",
        (*FLUX_PARAMETERS, *HOTWORDS, *HINTS),
        FLUX_IGNORED,
        FLUX_MESSAGES,
        ("Connected", "TurnInfo", "ConfigureSuccess", "ConfigureFailure", "Error"),
        tuple(sorted({close.code for close in CLOSES.values()})),
    ),
    Socket(
        "/v1/realtime",
        "Transcription in the form of OpenAI's Realtime API",
        ("model", "intent"),
        (),
        openai_realtime.CLIENT_EVENTS,
        (
            *("session.created", "session.updated", "transcription_session.created", "transcription_session.updated"),
            *(f"input_audio_buffer.{what}" for what in ("speech_started", "speech_stopped", "committed", "cleared")),
            *(f"conversation.item.{what}" for what in ("added", "done", "retrieved", "deleted")),
            *(f"{TRANSCRIPTION}.{what}" for what in ("delta", "completed", "failed")),
            "error",
        ),
        tuple(sorted(set(openai_realtime.CLOSE_CODES.values()))),
        binary_audio=False,
    ),
    Socket(
        "/v1/jambonz",
        "Telephone calls in the form of jambonz",
        (),
        (),
        jambonz.MESSAGES,
        ("transcription", "error"),
        (1000,),
    ),
)


def document() -> dict[str, Any]:
    """The AsyncAPI document."""
    channels = {_key(socket): _channel(socket) for socket in SOCKETS}
    operations: dict[str, Any] = {}
    for socket in SOCKETS:
        operations[f"{_key(socket)}_send"] = _operation(socket, "receive", _sent(socket))
        operations[f"{_key(socket)}_get"] = _operation(socket, "send", socket.server)
    info = {"title": "steadyword", "version": version("steadyword"), "description": "Live streams by WebSocket."}
    server = {"host": "127.0.0.1:8000", "protocol": "ws"}
    return {
        "asyncapi": "3.0.0",
        "info": info,
        "servers": {"local": server},
        "channels": channels,
        "operations": operations,
    }


def _key(socket: Socket) -> str:
    return socket.path.strip("/").replace("/", "_")


def _sent(socket: Socket) -> Sequence[str]:
    return (*socket.client, *((AUDIO,) if socket.binary_audio else ()))


def _channel(socket: Socket) -> dict[str, Any]:
    properties = {name: VALUES.get(name, TEXT) for name in socket.parameters}
    properties |= {
        name: {"type": "string", "description": "Accepted without effect."}
        for name in socket.ignored
        if name not in properties
    }
    return {
        "address": socket.path,
        "title": socket.title,
        "description": f"Close codes: {', '.join(map(str, socket.codes))}; docs/PROTOCOL.md says when.",
        "messages": {name: _message(name) for name in dict.fromkeys((*_sent(socket), *socket.server))},
        "bindings": {"ws": {"method": "GET", "query": {"type": "object", "properties": properties}}},
    }


def _message(name: str) -> dict[str, Any]:
    if name == AUDIO:
        return {"contentType": "application/octet-stream", "payload": {"type": "string", "format": "binary"}}
    payload = {"type": "object", "required": ["type"], "properties": {"type": {"const": name}}}
    return {"contentType": "application/json", "payload": payload}


def _operation(socket: Socket, action: str, names: Iterable[str]) -> dict[str, Any]:
    """An operation of the server: it receives what clients send."""
    channel = f"#/channels/{_key(socket)}"
    messages = [{"$ref": f"{channel}/messages/{name}"} for name in names]
    return {"action": action, "channel": {"$ref": channel}, "messages": messages}


async def asyncapi_json(request: Request) -> JSONResponse:
    """`GET /asyncapi.json`: the WebSockets and their messages, for programs."""
    return JSONResponse(document())
