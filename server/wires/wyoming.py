"""Wyoming, the protocol of Home Assistant's voice services, as a `server.wires.base.Wire`: speech to text alone.

An event is a line of JSON with a type, then `data_length` bytes of JSON, then `payload_length` bytes. A `Frame` here is
one whole event; `lengths` tells a transport how many bytes follow a line. One connection may carry several recordings,
each from `audio-start` to `audio-stop`.

Specification: https://github.com/OHF-Voice/wyoming#event-types
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr.audio.pcm import MAX_CHANNELS
from asr.audio.streams import MAX_RATE_HZ, MIN_RATE_HZ
from asr.events import Ended, Final
from server.wires.base import (
    Audio,
    Cause,
    Command,
    Ending,
    Frame,
    MessageError,
    Open,
    Progress,
    Release,
    Reply,
    StreamEvent,
    StreamRequest,
    Summary,
)
from server.wires.deepgram_query import MAX_HOTWORDS
from server.wires.names import is_name
from server.wires.openai_transcriptions import TextDeltas

SAMPLE_BYTES = 2
PROGRAM = "steadyword"
ATTRIBUTION = {"name": PROGRAM, "url": ""}


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that the server has. `languages` is empty if it does not say."""

    name: str
    languages: tuple[str, ...]
    version: str


class WyomingWire:
    """One connection of the Wyoming protocol. `models` are offered in `info`; the first is the default."""

    def __init__(self, models: Sequence[OfferedModel]) -> None:
        self._models = models
        self._transcribe: Mapping[str, Any] = {}
        self._opened: tuple[int, int] | None = None
        """Rate and channels of the stream that is open."""
        self._deltas = TextDeltas()
        self._language = ""
        self._named_release: dict[str, str] = {}
        self._started = False

    def open(self) -> tuple[Frame, ...]:
        """None: the client speaks first."""
        return ()

    # -- what the client sends ---------------------------------------------------------------------------------------

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        """Events of other kinds than these are ignored, as in every Wyoming service."""
        kind, data, payload = parse_event(frame if isinstance(frame, bytes) else frame.encode())
        if kind == "describe":
            return (Reply((event("info", self._info()),)),)
        if kind == "ping":
            return (Reply((event("pong", {"text": data.get("text")}),)),)
        if kind == "transcribe":
            self._transcribe = _checked_request(data)
            return ()
        if kind == "audio-start":
            return self._open(_format(data))
        if kind == "audio-chunk":
            return self._audio(_format(data), payload)
        return self._stop() if kind == "audio-stop" else ()

    def _open(self, form: tuple[int, int]) -> tuple[Command, ...]:
        self._opened = form
        request = self._transcribe
        names = [*(request.get("transcript_names") or []), *(request.get("transcript_terms") or [])]
        stream = StreamRequest(
            encoding="linear16",
            sample_rate_hz=form[0],
            channels=form[1],
            model=request.get("name") or None,
            language=request.get("language") or None,
            partials=True,  # so that words become final before a pause
            hotwords=tuple(names),
        )
        return (Open(stream),)

    def _audio(self, form: tuple[int, int], payload: bytes) -> tuple[Command, ...]:
        opening = () if self._opened else self._open(form)
        if form != self._opened:
            raise MessageError(
                f"found audio of {form[0]} Hz and {form[1]} channels after another form; wanted one form"
            )
        return (*opening, Audio(payload)) if payload else opening

    def _stop(self) -> tuple[Command, ...]:
        self._transcribe = {}
        if self._opened is None:
            return (Reply(tuple(self._transcript())),)
        self._opened = None
        return (Release(),)

    # -- what the server sends ---------------------------------------------------------------------------------------

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        self._named_release = progress.named_release
        for item in events:
            if isinstance(item, Final) and item.words:
                self._language = item.language or self._language
                yield from self._start()
                yield event("transcript-chunk", {"text": self._deltas.add(item)[0]})
            elif isinstance(item, Ended):
                yield from self._transcript()

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        code, error = CLOSES[cause]
        frames = (event("error", {"text": description, "code": error}),) if error else ()
        return Ending(frames, code, description, error)

    def _start(self) -> Iterator[bytes]:
        if not self._started:
            self._started = True
            yield event("transcript-start", self._language_field())

    def _transcript(self) -> Iterator[bytes]:
        """The end of a recording: its whole text, for clients that do not read the chunks."""
        yield from self._start()
        yield event("transcript", {"text": self._deltas.text} | self._language_field() | self._named_release)
        yield event("transcript-stop", {})
        self._deltas, self._language, self._started = TextDeltas(), "", False

    def _language_field(self) -> dict[str, Any]:
        return {"language": self._language} if self._language else {}

    def _info(self) -> dict[str, Any]:
        models = [
            {
                "name": model.name,
                "attribution": ATTRIBUTION,
                "installed": True,
                "description": model.name,
                "version": model.version,
                "languages": list(model.languages),
            }
            for model in self._models
        ]
        program = {
            "name": PROGRAM,
            "attribution": ATTRIBUTION,
            "installed": True,
            "description": "Streaming speech recognition",
            "version": None,
            "models": models,
            "supports_transcript_streaming": True,
            "requires_external_vad": True,
        }
        return {"asr": [program], "tts": [], "handle": [], "intent": [], "wake": [], "mic": [], "snd": []}


CLOSES: Mapping[Cause, tuple[int, str]] = {
    Cause.FINISHED: (1000, ""),
    Cause.SHUTDOWN: (1012, "shutdown"),
    Cause.BAD_MESSAGE: (1008, "bad-message"),
    Cause.BAD_AUDIO: (1008, "bad-audio"),
    Cause.NO_AUDIO: (1008, "no-audio"),
    Cause.MESSAGE_TOO_BIG: (1009, "message-too-big"),
    Cause.IDLE: (1011, "idle"),
    Cause.KEY_LIMIT: (1008, "bad-message"),  # never: there are no keys here
    Cause.INTERNAL: (1011, "internal"),
    Cause.OVERLOADED: (1013, "overloaded"),
}
"""A code for the metrics, and the ``code`` of the `error` event before the connection is closed."""


# -- events as bytes -------------------------------------------------------------------------------------------------


def event(kind: str, data: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """One event."""
    body = json.dumps(data, ensure_ascii=False).encode() if data else b""
    line = {
        "type": kind,
        **({"data_length": len(body)} if body else {}),
        **({"payload_length": len(payload)} if payload else {}),
    }
    return json.dumps(line).encode() + b"\n" + body + payload


def lengths(line: bytes) -> tuple[int, int]:
    """How many bytes of data and of payload follow a line. Raises `MessageError`."""
    header = _object(line)
    found = [header.get(name) or 0 for name in ("data_length", "payload_length")]
    if not all(isinstance(length, int) and length >= 0 for length in found):
        raise MessageError("found an event with a length that is no number of bytes")
    return found[0], found[1]


def parse_event(frame: bytes) -> tuple[str, dict[str, Any], bytes]:
    """Type, data and payload of one whole event. Raises `MessageError`."""
    line, _, rest = frame.partition(b"\n")
    header, (data_bytes, payload_bytes) = _object(line), lengths(line)
    kind, data = header.get("type"), header.get("data") or {}
    if not isinstance(kind, str) or not isinstance(data, dict) or len(rest) != data_bytes + payload_bytes:
        raise MessageError('found an event in another form, wanted {"type": ...} in a line, its data and its payload')
    return kind, data | (_object(rest[:data_bytes]) if data_bytes else {}), rest[data_bytes:]


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise MessageError("found what is no Wyoming event, wanted a line of JSON")
    return value


def _format(data: Mapping[str, Any]) -> tuple[int, int]:
    """Rate and channels of audio. Raises `MessageError` for those that cannot be read."""
    rate_hz, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
    if width != SAMPLE_BYTES:
        raise MessageError(f"found audio of width {_short(width)}, wanted {SAMPLE_BYTES} bytes")
    if not (type(rate_hz) is int and MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ):
        raise MessageError(f"found audio of rate {_short(rate_hz)}, wanted {MIN_RATE_HZ} to {MAX_RATE_HZ}")
    if not (type(channels) is int and 1 <= channels <= MAX_CHANNELS):
        raise MessageError(f"found audio of {_short(channels)} channels, wanted 1 to {MAX_CHANNELS}")
    return rate_hz, channels


def _checked_request(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data of a `transcribe`. Raises `MessageError`."""
    for name in ("name", "language"):
        if not _is_name(data.get(name) or ""):
            raise MessageError(f"found a transcribe whose {name} is {_short(data[name])}, wanted a name")
    for name in ("transcript_names", "transcript_terms"):
        words = data.get(name) or []
        if not (isinstance(words, list) and len(words) <= MAX_HOTWORDS // 2 and all(map(_is_name, words))):
            raise MessageError(f"found {name} in another form, wanted a list of at most {MAX_HOTWORDS // 2} names")
    return data


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and is_name(value)


def _short(value: Any) -> str:
    return ascii(value)[:60]
