"""Deepgram's live wire, `GET /v1/listen`, as a `server.wires.base.Wire`; message by message in docs/PROTOCOL.md.

The settings come with the query (`server.wires.deepgram_query`), so the stream is open from the start.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

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
    Progress,
    Reply,
    StreamEvent,
    Summary,
)
from server.wires.deepgram_frames import CLOSES, read, written
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
        message = read(frame, CLIENT_MESSAGES)
        if isinstance(message, bytes):
            return (Audio(message),)
        if message["type"] == "Configure":
            return (Reply(map(written, self._senders[0].configured(message))),)
        return (COMMANDS[message["type"]],)

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        channels = [event for event in events if isinstance(event, InChannel)]
        if not channels:
            mixed = tuple(event for event in events if not isinstance(event, InChannel))
            channels = [InChannel(0, mixed, progress)]
        for item in channels:
            yield from map(written, self._senders[item.channel].results(item.events, item.progress))

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        close = CLOSES[cause]
        if not close.variant:
            return Ending((written(self._senders[0].metadata(summary)),), close.code, description)
        message = self._senders[0].error(close.variant, description)
        return Ending((written(message),), close.code, f"{close.variant}: {description}", close.variant)


# -- what the client sends -------------------------------------------------------------------------------------------

COMMANDS: Mapping[str, Command] = {"KeepAlive": KeepAlive(), "Finalize": Finalize(), "CloseStream": End()}
CLIENT_MESSAGES = (*COMMANDS, "Configure")
"""By their ``type``. A binary message is audio, unless it is the JSON of a message; an empty one is a CloseStream."""
