"""Deepgram's live wire, `GET /v1/listen`, as a `server.wires.base.Wire`; message by message in docs/PROTOCOL.md.

The settings come with the query (`server.wires.deepgram_query`), so the stream is open from the start.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from server.wires.base import (
    Audio,
    Cause,
    Command,
    End,
    Ending,
    Finalize,
    Frame,
    InChannel,
    KeepAlive,
    MessageError,
    Progress,
    StreamEvent,
    Summary,
)
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_query import ListenOptions


class DeepgramWire:
    """One connection of Deepgram's live protocol."""

    def __init__(self, options: ListenOptions, model: ModelInfo, request_id: str) -> None:
        channels = options.channels if options.multichannel else 1
        sequence = count(1)
        self._senders = [
            Sender(options, model, request_id, channel=(index, channels), sequence=sequence)
            for index in range(channels)
        ]

    def open(self) -> tuple[Frame, ...]:
        """None: the client does not wait for a greeting."""
        return ()

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        return (_command(frame),)

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        channels = [event for event in events if isinstance(event, InChannel)]
        if not channels:
            mixed = tuple(event for event in events if not isinstance(event, InChannel))
            channels = [InChannel(0, mixed, progress)]
        for item in channels:
            yield from map(_written, self._senders[item.channel].results(item.events, item.progress))

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        close = CLOSES[cause]
        if not close.variant:
            return Ending((_written(self._senders[0].metadata(summary)),), close.code, description)
        message = self._senders[0].error(close.variant, description)
        return Ending((_written(message),), close.code, f"{close.variant}: {description}", close.variant)


def _written(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


# -- what the client sends -------------------------------------------------------------------------------------------

CLIENT_MESSAGES: dict[str, Command] = {"KeepAlive": KeepAlive(), "Finalize": Finalize(), "CloseStream": End()}
"""By their ``type``. A binary message is audio, unless it is the JSON of a message; an empty one is a CloseStream."""

_WANTED = 'wanted {"type": ...} with one of ' + ", ".join(CLIENT_MESSAGES)
_MAX_BINARY_MESSAGE_BYTES = 256
"""Of JSON in a binary message. Audio is longer; its bytes are not looked at further."""


def _command(frame: Frame) -> Command:
    """The command of one message. Raises `MessageError` for text that is no known message."""
    if isinstance(frame, bytes):
        return _binary_command(frame)
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        raise MessageError(f"found a text message that is not JSON ({_start_of(frame)}); {_WANTED}") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
        raise MessageError(f"found a text message of unknown type ({_start_of(frame)}); {_WANTED}")
    return CLIENT_MESSAGES[kind]


def _binary_command(data: bytes) -> Command:
    """Audio, or a message that a client sent as the bytes of its JSON, as SDKs do that have one `send` for both."""
    if not data:
        return End()
    if len(data) <= _MAX_BINARY_MESSAGE_BYTES and data.lstrip()[:1] == b"{":
        try:
            text = data.decode()
            if isinstance(json.loads(text).get("type"), str):
                return _command(text)
        except (ValueError, RecursionError):
            pass
    return Audio(data)


def _start_of(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


# -- how the connection closes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Close:
    """A WebSocket close code, and the ``variant`` of the `Error` before it ("": the last message is `Metadata`)."""

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
    Cause.INTERNAL: Close(1011, "INTERNAL"),
    Cause.OVERLOADED: Close(1013, "NET-0002"),
}
"""Codes and variants are Deepgram's where it has them."""
