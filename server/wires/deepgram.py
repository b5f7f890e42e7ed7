"""Deepgram's live wire, `GET /v1/listen`, as a `server.wires.base.Wire`; message by message in docs/PROTOCOL.md.

The settings come with the query (`server.wires.deepgram_query`), so the stream is open from the start.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from server.wires.base import (
    Acknowledge,
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
    NumberedFrame,
    Progress,
    Reply,
    StreamEvent,
    Summary,
)
from server.wires.deepgram_frames import CLOSES, read, written
from server.wires.deepgram_messages import ModelInfo, Sender, rounded
from server.wires.deepgram_query import ListenOptions


class DeepgramWire:
    """One stream of Deepgram's live protocol.

    With `resumable` options it is a `ResumableWire`: its messages say what was received, which other clients never see.
    """

    def __init__(self, options: ListenOptions, model: ModelInfo, request_id: str) -> None:
        self._is_resumable = options.resumable > 0
        self._known = CLIENT_MESSAGES + RESUMABLE_MESSAGES if self._is_resumable else CLIENT_MESSAGES
        self._received_bytes = self._received_commands = 0
        self.is_ending = False
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
        message = read(frame, self._known)
        if isinstance(message, bytes):
            self._received_bytes += len(message)
            return (Audio(message),)
        kind = message["type"]
        if kind == "Ack":
            return (_acknowledge(message.get("sequence")),)
        self._received_commands += kind in COUNTED
        self.is_ending = self.is_ending or kind == "CloseStream"
        if kind == "Configure":
            return (Reply(map(self._frame, self._senders[0].configured(message))),)
        return (COMMANDS[kind],)

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        channels = [event for event in events if isinstance(event, InChannel)]
        if not channels:
            mixed = tuple(event for event in events if not isinstance(event, InChannel))
            channels = [InChannel(0, mixed, progress)]
        for item in channels:
            yield from map(self._frame, self._senders[item.channel].results(item.events, item.progress))

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        close = CLOSES[cause]
        if not close.variant:
            return Ending((self._frame(self._senders[0].metadata(summary)),), close.code, description)
        message = self._senders[0].error(close.variant, description)
        return Ending((self._frame(message),), close.code, f"{close.variant}: {description}", close.variant)

    # -- streams that outlive their connection -----------------------------------------------------------------------

    def session(self, token: str | None, seconds: float, sequence: int) -> Frame:
        """`Session`, which is not numbered. Without `settled_s`: finals from before that may still follow."""
        return written(
            {
                "type": "Session",
                "resume": token,
                "resumable": seconds,
                "sequence": sequence,
                "received_bytes": self._received_bytes,
                "received_commands": self._received_commands,
                "closing": self.is_ending,
            }
        )

    def received(self) -> Frame:
        """`Received`, which is not numbered either."""
        return written({"type": "Received", **self._progress()})

    def _progress(self) -> dict[str, Any]:
        settled_s = min(sender.settled_s for sender in self._senders)
        return {"received_bytes": self._received_bytes, "settled_s": rounded(settled_s)}

    def _frame(self, message: dict[str, Any]) -> Frame:
        if not self._is_resumable:
            return written(message)
        is_interim = message["type"] == "Results" and not message["is_final"]
        return NumberedFrame(written(message | self._progress()), message["sequence"], is_interim)


# -- what the client sends -------------------------------------------------------------------------------------------

COMMANDS: Mapping[str, Command] = {"KeepAlive": KeepAlive(), "Finalize": Finalize(), "CloseStream": End()}
CLIENT_MESSAGES = (*COMMANDS, "Configure")
"""By their ``type``. A binary message is audio, unless it is the JSON of a message; an empty one is a CloseStream."""
RESUMABLE_MESSAGES = ("Ack",)
"""Further ones, of streams that can be resumed."""
COUNTED = ("Finalize", "Configure")
"""Each is answered. So a client that resumes must know which of them were received, as it must of audio."""


def _acknowledge(sequence: object) -> Acknowledge:
    if isinstance(sequence, bool) or not isinstance(sequence, int) or sequence < 0:
        raise MessageError(f"Ack: found the sequence {ascii(sequence)[:40]}, wanted the number of a message")
    return Acknowledge(sequence)
