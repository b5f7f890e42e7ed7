"""Deepgram's live wire, `GET /v1/listen`, as a `server.wires.base.Wire`; message by message in docs/PROTOCOL.md.

The settings come with the query (`server.wires.deepgram_query`), so the stream is open from the start.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from asr.events import Event
from server.wires.base import (
    Audio,
    Cause,
    Command,
    End,
    Ending,
    Finalize,
    Frame,
    KeepAlive,
    MessageError,
    Progress,
    Summary,
)
from server.wires.deepgram_messages import ModelInfo, Sender
from server.wires.deepgram_query import ListenOptions


class DeepgramWire:
    """One connection of Deepgram's live protocol."""

    def __init__(self, options: ListenOptions, model: ModelInfo, request_id: str) -> None:
        self._receiver = Receiver()
        self._sender = Sender(options, model, request_id)

    def open(self) -> tuple[Frame, ...]:
        """None: the client does not wait for a greeting."""
        return ()

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        return (self._receiver.receive(frame),)

    def send(self, events: Sequence[Event], progress: Progress) -> Iterator[Frame]:
        return map(_written, self._sender.results(events, progress))

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        close = CLOSES[cause]
        if not close.variant:
            return Ending((_written(self._sender.metadata(summary)),), close.code, description)
        message = self._sender.error(close.variant, description)
        return Ending((_written(message),), close.code, f"{close.variant}: {description}", close.variant)


def _written(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


# -- what the client sends -------------------------------------------------------------------------------------------

CLIENT_MESSAGES: dict[str, Command] = {"KeepAlive": KeepAlive(), "Finalize": Finalize(), "CloseStream": End()}
"""Text messages by their ``type``. A binary message is audio; an empty one is a CloseStream."""

_WANTED = 'wanted {"type": ...} with one of ' + ", ".join(CLIENT_MESSAGES)


class State(Enum):
    """Of the client's side. That the connection is closed is the socket's state."""

    OPEN = "open"
    CLOSING = "closing"
    """The client has sent CloseStream; results are still on their way."""


TRANSITIONS: dict[tuple[State, type[Command]], State | None] = {
    (State.OPEN, Audio): State.OPEN,
    (State.OPEN, KeepAlive): State.OPEN,
    (State.OPEN, Finalize): State.OPEN,
    (State.OPEN, End): State.CLOSING,
    (State.CLOSING, Audio): None,
    (State.CLOSING, KeepAlive): State.CLOSING,
    (State.CLOSING, Finalize): State.CLOSING,
    (State.CLOSING, End): State.CLOSING,
}
"""The state after a command; None where the command is an error."""


class Receiver:
    """Turns the client's messages into commands."""

    def __init__(self) -> None:
        self.state = State.OPEN

    def receive(self, frame: Frame) -> Command:
        """The command of one message. Messages that CloseStream makes pointless are returned as `KeepAlive`.

        Raises `MessageError` for text that is no known message, and for audio after CloseStream.
        """
        command = _command(frame)
        before, after = self.state, TRANSITIONS[self.state, type(command)]
        if after is None:
            raise MessageError(f"{type(command).__name__} arrived after CloseStream; open a new stream for it")
        self.state = after
        return command if before is State.OPEN else KeepAlive()


def _command(frame: Frame) -> Command:
    if isinstance(frame, bytes):
        return Audio(frame) if frame else End()
    try:
        message = json.loads(frame)
    except (ValueError, RecursionError):
        raise MessageError(f"found a text message that is not JSON ({_start_of(frame)}); {_WANTED}") from None
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
        raise MessageError(f"found a text message of unknown type ({_start_of(frame)}); {_WANTED}")
    return CLIENT_MESSAGES[kind]


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
