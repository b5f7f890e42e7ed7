"""OpenAI's `POST /v1/audio/transcriptions`, without I/O: form fields -> options, transcript -> response body.

Specification: https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from asr.errors import CallerError
from asr.transcripts.formats import FORMATS, Transcript
from server.wires.deepgram_query import MAX_HOTWORDS, MAX_PROMPT_CHARACTERS

RESPONSE_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("segment", "word")

IGNORED = ("temperature", "chunking_strategy", "include")
"""Accepted without effect: decoding is greedy and cut by voice activity, and the response has all that there is."""


class FormError(CallerError):
    """A form that cannot be served; HTTP 400. ``param`` is the field at fault."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """What a client asks for. None means the server's default."""

    model: str | None = None
    language: str | None = None
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    response_format: str = "json"
    granularities: tuple[str, ...] = ("segment",)


def parse_form(items: Iterable[tuple[str, str]]) -> TranscriptionOptions:
    """The options of a form's text fields. Raises `FormError`."""
    values: dict[str, Any] = {}
    granularities: list[str] = []
    hotwords: list[str] = []
    for name, value in items:
        if name in ("timestamp_granularities[]", "timestamp_granularities"):
            granularities.append(_one_of(name, value, GRANULARITIES))
        elif name == "response_format":
            values[name] = _one_of(name, value, RESPONSE_FORMATS)
        elif name in ("hotwords", "hotwords[]"):
            hotwords += [word.strip() for word in _text(name, value).split(",") if word.strip()]
        elif name in ("model", "language", "prompt"):
            values[name] = _text(name, value)
        elif name == "stream":
            _check_stream(value)
        elif _base_name(name) not in IGNORED:
            known = ", ".join(
                ("file", "model", "language", "prompt", "hotwords", "response_format", "timestamp_granularities[]")
            )
            raise FormError(name, f"unknown field {name[:100]!r}; known are {known}")
    if granularities:
        values["granularities"] = tuple(granularities)
    if len(hotwords) > MAX_HOTWORDS:
        raise FormError("hotwords", f"hotwords: found {len(hotwords)}, wanted at most {MAX_HOTWORDS}")
    options = TranscriptionOptions(**values, hotwords=tuple(hotwords))
    if granularities and options.response_format != "verbose_json":
        raise FormError("timestamp_granularities[]", "timestamp_granularities[] needs response_format=verbose_json")
    return options


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise FormError(name, f"{name}: found {value[:100]!r}, wanted one of {', '.join(known)}")
    return value


def _check_stream(value: str) -> None:
    """SDKs read a JSON response as no event at all: an empty transcript without an error."""
    if value.lower() not in ("", "false", "0"):
        raise FormError(
            "stream",
            f"stream: found {value[:100]!r}, wanted false: the transcript is sent whole when it is done; for words as "
            "they are recognised, open a WebSocket at /v1/listen",
        )


def _base_name(name: str) -> str:
    """Without the brackets in which forms write lists and objects: `include[]`, `chunking_strategy[type]`."""
    return name.partition("[")[0]


def _text(name: str, value: str) -> str:
    limit = 100 if name in ("model", "language") else MAX_PROMPT_CHARACTERS
    if len(value) > limit:
        raise FormError(name, f"{name}: found {len(value)} characters, wanted at most {limit}")
    return value


def response_body(transcript: Transcript, options: TranscriptionOptions) -> tuple[str, str]:
    """The response's media type and text."""
    if options.response_format == "text":
        return "text/plain", transcript.text + "\n"
    if options.response_format == "srt":
        return "application/x-subrip", FORMATS["srt"](transcript)
    if options.response_format == "vtt":
        return "text/vtt", FORMATS["vtt"](transcript)
    usage = {"type": "duration", "seconds": math.ceil(transcript.duration_s)}
    body: dict[str, Any] = {"text": transcript.text, "usage": usage}
    if options.response_format == "verbose_json":
        body |= _verbose(transcript, options.granularities)
    return "application/json", json.dumps(body, ensure_ascii=False)


def _verbose(transcript: Transcript, granularities: tuple[str, ...]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": transcript.language,
        "duration": round(transcript.duration_s, 3),
    }
    if "segment" in granularities:
        body["segments"] = [_segment(i, segment) for i, segment in enumerate(transcript.segments)]
    if "word" in granularities:
        words = (word for segment in transcript.segments for word in segment.words)
        body["words"] = [{"word": word.text.strip(), "start": word.start_s, "end": word.end_s} for word in words]
    return body


def _segment(index: int, segment: Any) -> dict[str, Any]:
    """One segment. Fields that only OpenAI's own decoder has are constants: its clients require them."""
    confidences = [max(word.confidence, 1e-6) for word in segment.words]
    mean_logprob = sum(map(math.log, confidences)) / len(confidences) if confidences else 0.0
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
