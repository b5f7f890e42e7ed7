"""The wire of `GET /v1/listen`, without I/O: messages -> commands, events -> messages. In words: docs/PROTOCOL.md.

    command = receiver.receive_bytes(data)      # or receive_text; raises MessageError
    for message in sender.results(events, ...): ...
    sender.error(...), sender.metadata(...)     # the last ones

Message forms are Deepgram's, as its SDK's models have them (`deepgram/listen/v1/types`); fields of our own are added.
"""

import json
import string
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from asr.errors import CallerError
from asr.events import Event, Final, Partial, SpeechStarted, Word
from server.wires.deepgram_query import ListenOptions


class MessageError(CallerError):
    """A client message that is not part of the protocol, or not in this state."""


class MessageTooBig(MessageError):
    """A client message over the limit."""


# -- commands: what a client says ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Audio:
    data: bytes


@dataclass(frozen=True, slots=True)
class KeepAlive:
    pass


@dataclass(frozen=True, slots=True)
class Finalize:
    pass


@dataclass(frozen=True, slots=True)
class CloseStream:
    pass


Command = Audio | KeepAlive | Finalize | CloseStream

CLIENT_MESSAGES: dict[str, Command] = {
    "KeepAlive": KeepAlive(),
    "Finalize": Finalize(),
    "CloseStream": CloseStream(),
}
"""Text messages by their ``type``; a binary message is audio, an empty one is a CloseStream."""


class State(Enum):
    OPEN = "open"
    CLOSING = "closing"
    """The client has said CloseStream; results still flow."""


TRANSITIONS: dict[tuple[State, type[Command]], State | None] = {
    (State.OPEN, Audio): State.OPEN,
    (State.OPEN, KeepAlive): State.OPEN,
    (State.OPEN, Finalize): State.OPEN,
    (State.OPEN, CloseStream): State.CLOSING,
    (State.CLOSING, Audio): None,
    (State.CLOSING, KeepAlive): State.CLOSING,
    (State.CLOSING, Finalize): State.CLOSING,
    (State.CLOSING, CloseStream): State.CLOSING,
}
"""The state after a command; None where the command is an error. (Closed is the socket's matter.)"""


class Receiver:
    """The client's side of one connection."""

    def __init__(self, max_message_bytes: int) -> None:
        self.state = State.OPEN
        self._max_message_bytes = max_message_bytes

    def receive_bytes(self, data: bytes) -> Command:
        """A binary message. Raises `MessageError`."""
        self._check_size(len(data))
        return self._advance(Audio(data) if data else CloseStream())

    def receive_text(self, text: str) -> Command:
        """A text message. Raises `MessageError`."""
        self._check_size(len(text))
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise MessageError(f"found a text message that is no JSON ({_start_of(text)}); {_WANTED}") from None
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
            raise MessageError(f"found a text message of no known type ({_start_of(text)}); {_WANTED}")
        return self._advance(CLIENT_MESSAGES[kind])

    def _advance(self, command: Command) -> Command:
        """What is let be after CloseStream comes out as the message that asks for nothing."""
        before, after = self.state, TRANSITIONS[self.state, type(command)]
        if after is None:
            raise MessageError(f"{type(command).__name__} arrived after CloseStream; open a new stream for it")
        self.state = after
        return command if before is State.OPEN else KeepAlive()

    def _check_size(self, size: int) -> None:
        if size > self._max_message_bytes:
            raise MessageTooBig(f"found a message of {size} bytes, wanted at most {self._max_message_bytes}")


_WANTED = 'wanted {"type": ...} with one of ' + ", ".join(CLIENT_MESSAGES)


def _start_of(text: str) -> str:
    return ascii(text if len(text) <= 40 else text[:40] + "...")


# -- endings: how a connection closes --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ending:
    """A WebSocket close code, with the variant that its `Error` message carries ("" where there is none)."""

    close_code: int
    variant: str
    meaning: str


NORMAL = Ending(1000, "", "all was said after CloseStream")
BAD_AUDIO = Ending(1008, "DATA-0000", "the audio cannot be decoded")
BAD_MESSAGE = Ending(1008, "DATA-0001", "a message is not part of the protocol, or came after CloseStream")
NO_AUDIO = Ending(1008, "DATA-0002", "the stream ended without any audio")
TOO_BIG = Ending(1009, "DATA-0003", "a message is over the size limit")
IDLE = Ending(1011, "NET-0001", "the client sent neither audio nor KeepAlive for too long")
BROKEN = Ending(1011, "INTERNAL", "the server failed; the fault is its own")
OVERLOADED = Ending(1013, "NET-0002", "the server cannot keep up with this stream")
RESTART = Ending(1012, "", "the server is shutting down; all that was heard was said")
ENDINGS = (NORMAL, BAD_AUDIO, BAD_MESSAGE, NO_AUDIO, TOO_BIG, IDLE, BROKEN, OVERLOADED, RESTART)

MAX_REASON_BYTES = 123
"""RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code."""


def close_reason(ending: Ending, description: str) -> str:
    """The text of the close frame, cut to what fits in one."""
    reason = f"{ending.variant}: {description}" if ending.variant else description
    return reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore")


# -- messages: what the server says ----------------------------------------------------------------------------------

SERVER_MESSAGES = ("Results", "SpeechStarted", "UtteranceEnd", "Error", "Metadata")

_CHANNEL = [0, 1]
"""Channel 0 of 1: channels are mixed down."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    name: str
    weights_sha256: str
    architecture: str = "whisper"

    @property
    def uuid(self) -> str:
        """Deepgram's clients want one; the same weights have the same."""
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.weights_sha256))

    @property
    def fields(self) -> dict[str, str]:
        return {"name": self.name, "version": self.weights_sha256[:12], "arch": self.architecture}


class Sender:
    """The server's side of one connection: gives messages as dicts, numbered in order."""

    def __init__(self, options: ListenOptions, model: ModelInfo, request_id: str) -> None:
        self._options = options
        self._model = model
        self._request_id = request_id
        self._created = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._sequence = 0
        self._last_word_end_s: float | None = None

    def results(self, events: Iterable[Event], *, decoded_s: float, lag_s: float) -> Iterator[dict[str, Any]]:
        """The messages for what a session said; the two times are the session's after it."""
        for event in events:
            if isinstance(event, SpeechStarted) and self._options.vad_events:
                yield self._message("SpeechStarted", channel=_CHANNEL, timestamp=event.at_s)
            elif isinstance(event, Partial | Final):
                yield from self._text(event, lag_s)
        yield from self._utterance_end(decoded_s)

    def metadata(self, *, duration_s: float, audio_sha256: str, lag_s: float) -> dict[str, Any]:
        """The summary, the last message of a stream that ends well."""
        return self._message(
            "Metadata",
            transaction_key="deprecated",
            request_id=self._request_id,
            sha256=audio_sha256,
            created=self._created,
            duration=_s(duration_s),
            channels=1,
            models=[self._model.uuid],
            model_info={self._model.uuid: self._model.fields},
            weights_sha256=self._model.weights_sha256,
            lag_s=_s(lag_s),
        )

    def error(self, ending: Ending, description: str) -> dict[str, Any]:
        """Why the stream ends early."""
        return self._message(
            "Error", variant=ending.variant, description=description, message=description, request_id=self._request_id
        )

    def _text(self, event: Partial | Final, lag_s: float) -> Iterator[dict[str, Any]]:
        if isinstance(event, Partial):
            wanted = self._options.interim_results
        else:
            wanted = bool(event.words) or event.ends_utterance or event.from_finalize
        if not wanted:
            return
        if event.words:
            yield from self._utterance_end(event.words[0].start_s)
            self._last_word_end_s = event.words[-1].end_s
        yield self._results(event, lag_s)

    def _results(self, event: Partial | Final, lag_s: float) -> dict[str, Any]:
        final = event if isinstance(event, Final) else None
        return self._message(
            "Results",
            channel_index=_CHANNEL,
            start=_s(event.start_s),
            duration=_s(event.end_s - event.start_s),
            is_final=final is not None,
            speech_final=final is not None and final.ends_utterance,
            from_finalize=final is not None and final.from_finalize,
            channel={"alternatives": [_alternative(event)]},
            metadata={
                "request_id": self._request_id,
                "model_info": self._model.fields,
                "model_uuid": self._model.uuid,
                "weights_sha256": self._model.weights_sha256,
            },
            lag_s=_s(lag_s),
        )

    def _utterance_end(self, now_s: float) -> Iterator[dict[str, Any]]:
        """Due once after each run of words, when the gap behind it is long enough in audio time."""
        last, gap_ms = self._last_word_end_s, self._options.utterance_end_ms
        if last is not None and gap_ms is not None and now_s - last >= gap_ms / 1000:
            self._last_word_end_s = None
            yield self._message("UtteranceEnd", channel=_CHANNEL, last_word_end=_s(last))

    def _message(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._sequence += 1
        return {"type": kind, "sequence": self._sequence, **fields}


def _alternative(event: Partial | Final) -> dict[str, Any]:
    confidences = [word.confidence for word in event.words]
    return {
        "transcript": event.text.strip(),
        "confidence": round(sum(confidences) / len(confidences), 4) if confidences else 0.0,
        "words": [_word(word) for word in event.words],
        "languages": [event.language] if event.language else [],
        "text": event.text,
    }


def _word(word: Word) -> dict[str, Any]:
    written = word.text.strip()
    return {
        "word": written.strip(string.punctuation).lower() or written,
        "start": _s(word.start_s),
        "end": _s(word.end_s),
        "confidence": round(word.confidence, 4),
        "punctuated_word": written,
    }


def _s(seconds: float) -> float:
    return round(seconds, 3)
