"""jambonz' custom speech, `GET /v1/jambonz`, as a `server.wires.base.Wire`: telephone calls.

    start, audio ..., stop   ->   transcription ..., then the server closes

A final ends the caller's turn there (`gather` goes on with it). So it is a whole utterance; words that are final before
its end come as interim results.

Specification: https://docs.jambonz.org/guides/features/adding-speech-providers
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asr.audio.streams import MAX_RATE_HZ, MIN_RATE_HZ
from asr.events import Ended, Final, Partial, Word
from server.wires.base import (
    Audio,
    Cause,
    Command,
    End,
    Ending,
    Frame,
    MessageError,
    Open,
    Progress,
    StreamEvent,
    StreamRequest,
    Summary,
)
from server.wires.deepgram_frames import CLOSES, typed_message, written
from server.wires.deepgram_messages import mean_confidence
from server.wires.deepgram_query import MAX_HOTWORDS
from server.wires.names import is_name

RATE_HZ = 8_000
"""Where none is given."""
MESSAGES = ("start", "stop")


class JambonzWire:
    """One connection. The stream is opened by `start`."""

    def __init__(self) -> None:
        self._interim = False
        self._final: list[Word] = []
        self._shown = ""
        self._language = ""

    def open(self) -> tuple[Frame, ...]:
        """None: the client speaks first."""
        return ()

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        if isinstance(frame, bytes):
            return (Audio(frame),) if frame else ()
        message = typed_message(frame, MESSAGES)
        if message["type"] == "stop":
            return (End(),)
        self._interim = bool(message.get("interimResults"))
        return (Open(_request(message)),)

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        for event in events:
            if isinstance(event, Partial):
                yield from self._update([*self._final, *event.words])
            elif isinstance(event, Final):
                self._final += event.words
                self._language = event.language or self._language
                yield from self._end() if event.ends_utterance else self._update(self._final)
            elif isinstance(event, Ended):
                yield from self._end()

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        close = CLOSES[cause]
        if not close.variant:
            return Ending((), close.code, description)
        return Ending((written({"type": "error", "error": description}),), close.code, description, close.variant)

    def _update(self, words: Sequence[Word]) -> Iterator[Frame]:
        text = "".join(word.text for word in words).strip()
        if self._interim and text not in ("", self._shown):
            self._shown = text
            yield self._transcription(words, text, is_final=False)

    def _end(self) -> Iterator[Frame]:
        text = "".join(word.text for word in self._final).strip()
        if text:
            yield self._transcription(self._final, text, is_final=True)
        self._final, self._shown = [], ""

    def _transcription(self, words: Sequence[Word], text: str, *, is_final: bool) -> str:
        alternative = {"confidence": mean_confidence(words), "transcript": text}
        message = {"type": "transcription", "is_final": is_final, "alternatives": [alternative], "channel": 0}
        return written(message | ({"language": self._language} if self._language else {}))


def _request(message: Mapping[str, Any]) -> StreamRequest:
    """What a `start` asks for. Its ``options`` are the application's: ``hints`` and ``model`` are read."""
    encoding, rate_hz = message.get("encoding", "LINEAR16"), message.get("sampleRateHz", RATE_HZ)
    if encoding != "LINEAR16":
        raise MessageError(f"encoding: found {ascii(encoding)[:60]}, wanted LINEAR16")
    if not (type(rate_hz) is int and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ):
        raise MessageError(f"sampleRateHz: found {ascii(rate_hz)[:60]}, wanted {MIN_RATE_HZ} to {MAX_RATE_HZ}")
    options = message.get("options") or {}
    if not isinstance(options, dict):
        raise MessageError(f"options: found {ascii(options)[:60]}, wanted an object")
    return StreamRequest(
        encoding="linear16",
        sample_rate_hz=rate_hz,
        model=_name("options.model", options.get("model")),
        language=_name("language", message.get("language")),
        partials=True,  # so that words become final before a pause
        hotwords=_hints(options.get("hints") or []),
    )


def _hints(value: Any) -> tuple[str, ...]:
    """Phrases, or objects with a ``phrase``, whose boost is ignored."""
    if not isinstance(value, list) or len(value) > MAX_HOTWORDS:
        raise MessageError(f"options.hints: wanted a list of at most {MAX_HOTWORDS} phrases")
    phrases = [hint.get("phrase") if isinstance(hint, dict) else hint for hint in value]
    return tuple(name for phrase in phrases if (name := _name("options.hints", phrase)))


def _name(field: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not (isinstance(value, str) and is_name(value)):
        raise MessageError(f"{field}: found {ascii(value)[:60]}, wanted a name")
    return value
