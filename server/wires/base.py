"""What a wire is: the protocol of one kind of client, without I/O. Frames become commands, events become frames.

`server.streams.connection.Connection` owns the socket and the stream. It carries out a wire's commands and sends a
wire's frames, and names no wire. A wire object serves one connection. The connection calls it in this order:

    wire.open()                             once, before anything is received: the frames that the client awaits first
    wire.receive(frame)                     for every frame up to an `End`, in order: the commands that it stands for
    wire.send(events, progress)             after every model step, with or without events: the frames that report them
    wire.end(cause, description, summary)   once, last: the last frames and how to close. Nothing is called after it

`receive` runs ahead of `send`: frames are read while earlier audio still waits for the model. A frame that has to be
answered in its place among the results is therefore returned as a `Reply`.

A small wire (`tests/server/wires/test_base.py` runs one like it over a real WebSocket):

    class LineWire:
        def open(self):
            return ()

        def receive(self, frame):
            if isinstance(frame, bytes):
                return (Audio(frame),)
            if frame.startswith("start "):
                return (Open(StreamRequest("linear16", 16_000, model=frame.removeprefix("start "))), Reply(("ready",)))
            if frame == "stop":
                return (End(),)
            raise MessageError(f"found {frame!r}, wanted 'start MODEL' or 'stop'")

        def send(self, events, progress):
            return [event.text for event in events if isinstance(event, Final) and says_something(event)]

        def end(self, cause, description, summary):
            failed = cause is not Cause.FINISHED
            return Ending((description,) if failed else ("bye",), 4000 if failed else 1000, error=cause.name.lower())
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from asr.errors import CallerError
from asr.events import Event, Final

Frame = str | bytes
"""One message of the transport: text or binary."""


class NumberedFrame(str):
    """A text frame of a stream that can be resumed: what was not received is sent again by its number."""

    __slots__ = ("is_interim", "sequence")

    sequence: int
    """1, 2, 3, ... in a stream."""
    is_interim: bool
    """Whether a later frame replaces it: then it is not sent again."""

    def __new__(cls, text: str, sequence: int, is_interim: bool) -> "NumberedFrame":
        frame = super().__new__(cls, text)
        frame.sequence, frame.is_interim = sequence, is_interim
        return frame


# -- errors that a wire raises ---------------------------------------------------------------------------------------


class MessageError(CallerError):
    """A frame that is not part of the protocol, or not allowed in this state."""


class MessageTooBig(MessageError):
    """A frame over the size limit. The connection checks the size of every frame; a wire does not have to."""


# -- commands: what a frame asks for ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a client asks of a stream, whatever wire it speaks. None means the server's default."""

    encoding: str = "auto"
    """One of `asr.audio.streams.ENCODINGS`; "auto" detects a container by its first bytes."""
    sample_rate_hz: int | None = None
    channels: int = 1
    multichannel: bool = False
    """Whether each channel is recognised alone; its results come as `InChannel`. Otherwise channels are mixed down."""
    model: str | None = None
    language: str | None = None
    languages: tuple[str, ...] = ()
    """Without `language`: those that may be spoken. One is the language, among several it is detected."""
    partials: bool = False
    """Whether the session reports hypotheses that may still change."""
    endpoint_ms: int | None = None
    """Silence that ends an utterance."""
    prompt: str = ""
    """Text that the audio continues: its spellings and style."""
    hotwords: tuple[str, ...] = ()
    """Words and names to expect."""


@dataclass(frozen=True, slots=True)
class Open:
    """Open the requested stream. A stream that is open is finished first, with all its results.

    For wires whose settings come in messages. Where they come with the handshake the stream is open from the start.
    """

    request: StreamRequest


@dataclass(frozen=True, slots=True)
class Audio:
    """Bytes in the stream's encoding, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Finalize:
    """Commit everything received so far; the stream stays open."""


@dataclass(frozen=True, slots=True)
class Release:
    """Finish the stream that is open, with all its results, and free its place. A later `Open` opens another."""


@dataclass(frozen=True, slots=True)
class End:
    """No audio follows: recognise the rest, send it and close. Frames that arrive after it are dropped."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing to do. Any frame restarts the idle timer; this one has no other purpose."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Send these frames when everything received before has been processed.

    They are iterated then, and once: a wire that numbers its frames gives a generator.
    """

    frames: Iterable[Frame]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The client has received the messages up to this number: they need not be kept. Only of `ResumableWire`s."""

    sequence: int


Command = Open | Audio | Finalize | Release | End | KeepAlive | Reply | Acknowledge


# -- results ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the stream is, in seconds of audio since its first sample."""

    received_s: float
    decoded_s: float
    voiced_until_s: float = 0.0
    """The end of the last voiced frame before `decoded_s`."""
    release: str = ""
    """`NAME/7`, which serves the stream; "" for a model that is no release of a ledger."""

    @property
    def named_release(self) -> dict[str, str]:
        """Our own field of messages that a wire has no other place for; left out where there is no release."""
        return {"release": self.release} if self.release else {}

    @property
    def lag_s(self) -> float:
        """Audio received and not recognised yet."""
        return self.received_s - self.decoded_s


@dataclass(frozen=True, slots=True)
class InChannel:
    """What the session of one channel emitted in a step, and how far it is. Only where a wire asked for channels."""

    channel: int
    events: tuple[Event, ...]
    progress: Progress


StreamEvent = Event | InChannel


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole connection, at its end. ``audio_sha256`` is of the audio's bytes as received."""

    received_s: float
    lag_s: float
    audio_sha256: str
    notices: tuple[str, ...] = ()
    """What the client should know about its audio, such as channels that cancel each other."""


def says_something(final: Final) -> bool:
    """False for a final without words that neither ends an utterance nor answers Finalize.

    Wires do not send such a final and metrics do not count it.
    """
    return bool(final.words) or final.ends_utterance or final.from_finalize


# -- endings ---------------------------------------------------------------------------------------------------------


class Cause(Enum):
    """Why a connection ends. The value says it in words."""

    FINISHED = "the client ended the stream and has all its results"
    SHUTDOWN = "the server is shutting down; everything received was recognised and sent, or moves to another server"
    # The client's fault.
    BAD_MESSAGE = "a message is not part of the protocol, or came in the wrong state"
    MESSAGE_TOO_BIG = "a message is over the size limit"
    BAD_AUDIO = "the audio cannot be decoded"
    NO_AUDIO = "the stream ended without any audio"
    IDLE = "the client sent nothing for too long"
    KEY_LIMIT = "the key has used its audio of the day, has as many streams as it may, or was removed"
    # The server's fault.
    OVERLOADED = "the server cannot keep up with this stream, or has no room for it"
    INTERNAL = "the server failed"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a wire ends a connection: its last frames, then the close."""

    frames: tuple[Frame, ...]
    close_code: int
    """A WebSocket close code (RFC 6455, 7.4); counted in `asr_ended` for wires without WebSocket too."""
    reason: str = ""
    """Text of the close frame. The transport cuts it to what fits."""
    error: str = ""
    """The wire's name for the error, counted in `asr_errors`; "" when the connection ends well."""


# -- the contract ----------------------------------------------------------------------------------------------------


class Wire(Protocol):
    """One connection's protocol. The module's docstring has the order of calls and an example."""

    def open(self) -> Iterable[Frame]:
        """The frames to send before anything is received."""

    def receive(self, frame: Frame) -> Sequence[Command]:
        """The commands that a frame stands for, in order; none for a frame to ignore. Raises `MessageError`."""

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterable[Frame]:
        """The frames that report what a session emitted, in its order; `progress` is the session's after it.

        `InChannel` alone if the stream was opened with `multichannel`, else never.
        """

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        """The last frames and the close. `description` is a sentence for the client, "" with `Cause.FINISHED`."""


class ResumableWire(Wire, Protocol):
    """A wire whose streams outlive their connection. Its frames are `NumberedFrame`s, but those of these methods."""

    @property
    def is_ending(self) -> bool:
        """Whether the client's `End` was received."""

    def session(self, token: str | None, seconds: float, sequence: int) -> Frame:
        """The first frame of each connection: what was received so far, and that frames above `sequence` follow.

        With `token` another connection may resume the stream until `seconds` after this one is lost. None: never
        again.
        """

    def received(self) -> Frame:
        """What was received so far, sent when there is nothing else to send."""
