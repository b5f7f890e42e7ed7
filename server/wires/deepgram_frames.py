"""What Deepgram's two live wires share: frames -> messages or audio, messages -> text, and how a connection closes."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from server.wires.base import Cause, Frame, MessageError

_MAX_BINARY_MESSAGE_BYTES = 256
"""Of JSON in a binary message. Audio is longer; its bytes are not looked at further."""


def read(frame: Frame, known: Collection[str]) -> dict[str, Any] | bytes:
    """A message whose ``type`` is one of `known`, or audio. An empty binary message is a CloseStream.

    Raises `MessageError` for text that is no such message.
    """
    if isinstance(frame, str):
        return typed_message(frame, known)
    if not frame:
        return {"type": "CloseStream"}
    return _in_binary(frame, known) or frame


def written(message: Mapping[str, Any]) -> str:
    """A server message as text."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def typed_message(text: str, known: Collection[str]) -> dict[str, Any]:
    """A JSON object whose ``type`` is one of `known`. Raises `MessageError`."""
    wanted = 'wanted {"type": ...} with one of ' + ", ".join(known)
    try:
        message: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageError(f"found a text message that is not JSON ({_start_of(text)}); {wanted}") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in known:
        raise MessageError(f"found a text message of unknown type ({_start_of(text)}); {wanted}")
    return dict(message)


def _in_binary(data: bytes, known: Collection[str]) -> dict[str, Any] | None:
    """A message that a client sent as the bytes of its JSON, as SDKs do that have one `send` for both; None: audio.

    Raises `MessageError` for JSON with another ``type``.
    """
    if len(data) > _MAX_BINARY_MESSAGE_BYTES or data.lstrip()[:1] != b"{":
        return None
    try:
        text = data.decode()
        has_type = isinstance(json.loads(text).get("type"), str)
    except (ValueError, RecursionError):
        return None
    return typed_message(text, known) if has_type else None


def _start_of(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


@dataclass(frozen=True, slots=True)
class Close:
    """A WebSocket close code, and the ``variant`` of the `Error` before it ("": the stream ends well)."""

    code: int
    variant: str


CLOSES: Mapping[Cause, Close] = {
    Cause.FINISHED: Close(1000, ""),
    Cause.SHUTDOWN: Close(1012, ""),
    Cause.BAD_AUDIO: Close(1008, "DATA-0000"),
    Cause.BAD_MESSAGE: Close(1008, "DATA-0001"),
    Cause.NO_AUDIO: Close(1008, "DATA-0002"),
    Cause.MESSAGE_TOO_BIG: Close(1009, "DATA-0003"),
    Cause.IDLE: Close(1011, "NET-0001"),
    Cause.KEY_LIMIT: Close(1008, "KEY-LIMIT"),
    Cause.INTERNAL: Close(1011, "INTERNAL"),
    Cause.OVERLOADED: Close(1013, "NET-0002"),
}
"""Codes and variants are Deepgram's where it has them."""
