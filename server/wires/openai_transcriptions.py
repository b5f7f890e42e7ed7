"""OpenAI's `POST /v1/audio/transcriptions` and `/v1/audio/translations`, without I/O: forms -> options, transcripts ->
response bodies.

Specification: https://platform.openai.com/docs/api-reference/audio
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asr.errors import CallerError
from asr.events import Event, Final, Word
from asr.transcripts.formats import FORMATS, Transcript
from server.wires.deepgram_query import MAX_HOTWORDS, MAX_PROMPT_CHARACTERS, pause_ms

RESPONSE_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")

INCLUDED = ("logprobs",)
STREAMED_FORMATS = ("json", "text")
LOGPROB_FORMATS = ("json", "verbose_json")

IGNORED = ("temperature",)
"""Accepted without effect: decoding is greedy."""

FIELDS = (
    "file", "model", "language", "languages[]", "prompt", "hotwords", "keywords[]", "response_format",
    "timestamp_granularities[]", "include[]", "chunking_strategy", "stream",
)  # fmt: skip
"""The fields that change something."""
TRANSLATION_FIELDS = ("file", "model", "prompt", "response_format")
"""Those of a translation."""
CHUNKING_FIELDS = ("type", "silence_duration_ms", "prefix_padding_ms", "threshold")
"""Of a `chunking_strategy`. The last two have no effect: the voice detector has thresholds of its own."""

_CHUNKING = re.compile(r"chunking_strategy(?:\[(\w*)\])?")
"""Forms write objects as `chunking_strategy[type]`."""


class FormError(CallerError):
    """A form that cannot be served; HTTP 400. ``param`` is the field at fault."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """What a client asks for. None means the server's default."""

    model: str | None = None
    languages: tuple[str, ...] = ()
    """Those the recording may be in; any, if none is given."""
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    response_format: str = "json"
    granularities: tuple[str, ...] = ("segment",)
    logprobs: bool = False
    """Whether to send each word's logarithmic probability."""
    stream: bool = False
    """Whether to send the text as server-sent events while it is recognised."""
    endpoint_ms: int | None = None
    """Silence that ends an utterance, and with it a segment."""
    translate: bool = False
    """Whether to write in English what is said in any language."""


def parse_form(items: Iterable[tuple[str, str]], *, translate: bool = False) -> TranscriptionOptions:
    """The options of a form's text fields. Raises `FormError`."""
    fields = TRANSLATION_FIELDS if translate else FIELDS
    lists: dict[str, list[str]] = {}
    values: dict[str, Any] = {}
    chunking: dict[str, str] = {}
    for name, value in items:
        base = name.removesuffix("[]")
        if base in _LISTS and not {base, f"{base}[]"}.isdisjoint(fields):
            lists.setdefault(base, []).extend(_LISTS[base](name, value))
        elif part := "chunking_strategy" in fields and _CHUNKING.fullmatch(name):
            chunking[part[1] or ""] = value
        elif name not in fields and name not in IGNORED:
            raise FormError(name, f"unknown field {name[:100]!r}; known are {', '.join(fields)}")
        elif value and name in _VALUES:  # without a value it is not given
            if name in values:
                raise FormError(name, f"{name} is given twice; give it once")
            values[name] = _VALUES[name](name, value)
    hotwords = lists.get("hotwords", []) + lists.get("keywords", [])
    if len(hotwords) > MAX_HOTWORDS:
        raise FormError("hotwords", f"hotwords: found {len(hotwords)}, wanted at most {MAX_HOTWORDS}")
    language = values.pop("language", "")
    options = TranscriptionOptions(
        **values,
        languages=(language,) if language else tuple(lists.get("languages", [])),
        hotwords=tuple(hotwords),
        granularities=tuple(lists.get("timestamp_granularities", [])) or ("segment",),
        logprobs="logprobs" in lists.get("include", []),
        endpoint_ms=_pause_ms(chunking),
        translate=translate,
    )
    _check_together(options, with_granularities="timestamp_granularities" in lists)
    return options


def _check_together(options: TranscriptionOptions, *, with_granularities: bool) -> None:
    """Refuses what the response format cannot carry: no client reads an answer in another form."""
    found = options.response_format
    if with_granularities and found != "verbose_json":
        raise FormError("timestamp_granularities[]", "timestamp_granularities[] needs response_format=verbose_json")
    if options.logprobs and found not in LOGPROB_FORMATS:
        wanted = " or ".join(LOGPROB_FORMATS)
        raise FormError("include[]", f"include[]=logprobs needs response_format={wanted}, found {found}")
    if options.stream and found not in STREAMED_FORMATS:
        wanted = " or ".join(STREAMED_FORMATS)
        raise FormError("stream", f"stream=true needs response_format={wanted}, found {found}: events carry text only")


def _pause_ms(chunking: dict[str, str]) -> int | None:
    """Of a `chunking_strategy`: "auto", or an object, as fields or as JSON. Raises `FormError`."""
    whole = chunking.pop("", "")
    given: Any = dict(chunking)
    if whole and whole != "auto":
        try:
            given = json.loads(whole) | given
        except (ValueError, TypeError, RecursionError):
            given = {"type": whole}
    if not given:
        return None
    name, kind = "chunking_strategy", given.get("type")
    if kind != "server_vad" or not set(given) <= set(CHUNKING_FIELDS):
        wanted = f"wanted auto, or an object of type server_vad with {', '.join(CHUNKING_FIELDS[1:])}"
        raise FormError(name, f"{name}: found {ascii(given)[:100]}, {wanted}")
    silence_ms = given.get("silence_duration_ms")
    return None if silence_ms is None else pause_ms(_milliseconds(name, silence_ms))


def _milliseconds(name: str, value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise FormError(name, f"{name}: found a silence_duration_ms of {ascii(value)[:60]}, wanted milliseconds")
    return number


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise FormError(name, f"{name}: found {value[:100]!r}, wanted one of {', '.join(known)}")
    return value


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "1", "false", "0", ""):
        raise FormError(name, f"{name}: found {value[:100]!r}, wanted true or false")
    return value.lower() in ("true", "1")


def _text(name: str, value: str) -> str:
    limit = 100 if name in ("model", "language", "languages[]") else MAX_PROMPT_CHARACTERS
    if len(value) > limit:
        raise FormError(name, f"{name}: found {len(value)} characters, wanted at most {limit}")
    return value


def _words(name: str, value: str) -> list[str]:
    return [word.strip() for word in _text(name, value).split(",") if word.strip()]


_VALUES: Mapping[str, Callable[[str, str], Any]] = {
    "model": _text,
    "language": _text,
    "prompt": _text,
    "response_format": lambda name, value: _one_of(name, value, RESPONSE_FORMATS),
    "stream": _flag,
}
_LISTS: Mapping[str, Callable[[str, str], list[str]]] = {
    "hotwords": _words,
    "keywords": lambda name, value: [_text(name, value)] if value.strip() else [],
    "languages": lambda name, value: [_text(name, value)] if value.strip() else [],
    "timestamp_granularities": lambda name, value: [_one_of(name, value, GRANULARITIES)],
    "include": lambda name, value: [_one_of(name, value, INCLUDED)],
}
"""Fields that may be repeated, with or without brackets behind the name."""


def response_body(transcript: Transcript, options: TranscriptionOptions) -> tuple[str, str]:
    """The response's media type and text."""
    if options.response_format == "text":
        return "text/plain", transcript.text + "\n"
    if options.response_format == "srt":
        return "application/x-subrip", FORMATS["srt"](transcript)
    if options.response_format == "vtt":
        return "text/vtt", FORMATS["vtt"](transcript)
    body: dict[str, Any] = {"text": transcript.text, "usage": usage(transcript.duration_s)}
    if options.logprobs:
        words = [word for segment in transcript.segments for word in segment.words]
        body["logprobs"] = [_logprob(word, is_first=not i) for i, word in enumerate(words)]
    if options.response_format == "verbose_json":
        body |= _verbose(transcript, options)
    return "application/json", json.dumps(body, ensure_ascii=False)


def usage(duration_s: float) -> dict[str, Any]:
    """What was recognised, in OpenAI's form."""
    return {"type": "duration", "seconds": math.ceil(duration_s)}


def _logprob(word: Word, *, is_first: bool) -> dict[str, Any]:
    """A word as OpenAI writes a token: with the space before it, unless it is the text's first."""
    token = word.text.lstrip() if is_first else word.text
    return {"token": token, "bytes": list(token.encode()), "logprob": round(log_of(word.confidence), 4)}


def log_of(confidence: float) -> float:
    """The natural logarithm; finite for 0, too, since JSON has no infinity."""
    return math.log(max(confidence, 1e-6))


class TextDeltas:
    """Finals -> pieces of text that are only ever appended. Joined they are the transcript."""

    def __init__(self) -> None:
        self.text = ""
        self.logprobs: list[dict[str, Any]] = []

    def add(self, final: Final) -> tuple[str, list[dict[str, Any]]]:
        """The final's piece ("" for one without words), and its words with their logarithmic probabilities."""
        delta = final.text if self.text else final.text.lstrip()
        added = [_logprob(word, is_first=not (self.text or i)) for i, word in enumerate(final.words)]
        self.text += delta
        self.logprobs += added
        return delta, added


class EventWriter:
    """A recording's events -> server-sent events: `deltas` as they come, `done` once."""

    def __init__(self, options: TranscriptionOptions) -> None:
        self._with_logprobs = options.logprobs
        self._deltas = TextDeltas()

    def deltas(self, events: Iterable[Event]) -> Iterator[str]:
        """An event for each final with words."""
        for event in events:
            if isinstance(event, Final) and event.words:
                delta, logprobs = self._deltas.add(event)
                yield server_sent(self._event("transcript.text.delta", {"delta": delta}, logprobs))

    def done(self, duration_s: float) -> Iterator[str]:
        """The whole text, and the mark after which clients stop reading."""
        fields = {"text": self._deltas.text, "usage": usage(duration_s)}
        yield server_sent(self._event("transcript.text.done", fields, self._deltas.logprobs))
        yield "data: [DONE]\n\n"

    def _event(self, kind: str, fields: dict[str, Any], logprobs: list[dict[str, Any]]) -> dict[str, Any]:
        return {"type": kind, **fields, **({"logprobs": logprobs} if self._with_logprobs else {})}


def server_sent(event: Mapping[str, Any]) -> str:
    """One event in the form of `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def _verbose(transcript: Transcript, options: TranscriptionOptions) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "translate" if options.translate else "transcribe",
        "language": "en" if options.translate else transcript.language,
        "duration": round(transcript.duration_s, 3),
    }
    if "segment" in options.granularities:
        body["segments"] = [_segment(i, segment) for i, segment in enumerate(transcript.segments)]
    if "word" in options.granularities:
        words = (word for segment in transcript.segments for word in segment.words)
        body["words"] = [{"word": word.text.strip(), "start": word.start_s, "end": word.end_s} for word in words]
    return body


def _segment(index: int, segment: Any) -> dict[str, Any]:
    """One segment. Fields that only OpenAI's own decoder has are constants: its clients require them."""
    logprobs = [log_of(word.confidence) for word in segment.words]
    mean_logprob = sum(logprobs) / len(logprobs) if logprobs else 0.0
    return {
        "id": index,
        "seek": 0,
        "start": segment.start_s,
        "end": segment.end_s,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(mean_logprob, 4),
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def error_body(
    message: str, *, kind: str = "invalid_request_error", param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
