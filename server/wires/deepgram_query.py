"""The query of `GET /v1/listen` -> `ListenOptions`. Pure. Names and meanings are those of Deepgram's streaming API.

Specification: https://developers.deepgram.com/reference/speech-to-text/listen-streaming
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asr.audio.pcm import MAX_CHANNELS
from asr.audio.streams import AUTO, ENCODINGS, MAX_RATE_HZ, MIN_RATE_HZ
from asr.errors import CallerError
from server.wires.base import StreamRequest

ENCODING_NAMES = tuple(name for name in ENCODINGS if name != AUTO)
"""What a client may name. For `AUTO` it names none."""
SAMPLE_RATES_HZ = (MIN_RATE_HZ, MAX_RATE_HZ)
CHANNELS = (1, MAX_CHANNELS)
ENDPOINTING_MS = (10, 5_000)
UTTERANCE_END_MS = (1_000, 5_000)
MAX_PROMPT_CHARACTERS = 4_000
MAX_HOTWORDS = 100
_BOOST = re.compile(r":-?[0-9]+(\.[0-9]+)?$")


class ParameterError(CallerError):
    """A query that cannot be served; HTTP 400 before the upgrade."""


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What a client asks for. None means the server's default."""

    encoding: str = AUTO
    """A key of `asr.audio.streams.ENCODINGS`."""
    sample_rate: int | None = None
    channels: int = 1
    model: str | None = None
    language: str | None = None
    interim_results: bool = False
    endpointing: int | None = None
    """Milliseconds of silence that end an utterance."""
    utterance_end_ms: int | None = None
    vad_events: bool = False
    prompt: str = ""
    """Text that the audio continues: its spellings and style."""
    hotwords: tuple[str, ...] = ()
    """Words and names to expect."""

    @property
    def stream(self) -> StreamRequest:
        """What the stream is opened with. The other options change only the messages."""
        return StreamRequest(
            encoding=self.encoding,
            sample_rate_hz=self.sample_rate,
            channels=self.channels,
            model=self.model,
            language=self.language,
            partials=self.interim_results,
            endpoint_ms=self.endpointing,
            prompt=self.prompt,
            hotwords=self.hotwords,
        )


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def parse(name: str, value: str) -> int:
        if not (value.isascii() and value.isdigit() and low <= int(value[:9]) <= high):
            raise ParameterError(f"{name}: found {value!r}, wanted a whole number from {low} to {high}")
        return int(value)

    return parse


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise ParameterError(f"{name}: found {value!r}, wanted true or false")
    return value.lower() in ("true", "1")


def _off(value: str) -> bool:
    return value.lower() in ("false", "0")


def _encoding(name: str, value: str) -> str:
    if value not in ENCODING_NAMES:
        listed = ", ".join(ENCODING_NAMES)
        raise ParameterError(
            f"{name}: found {value!r}, wanted one of {listed} (or none for Ogg, WebM, WAV, FLAC, MP3 or MP4)"
        )
    return value


def _endpointing(name: str, value: str) -> int | None:
    """``false``, or 0, is the longest pause allowed: an utterance that never ends would never be final."""
    if value.lower() == "true":
        return None
    if _off(value):
        return ENDPOINTING_MS[1]
    try:
        return _whole(*ENDPOINTING_MS)(name, value)
    except ParameterError as error:
        raise ParameterError(f"{error} milliseconds, true or false") from None


def _utterance_end(name: str, value: str) -> int | None:
    return None if _off(value) else _whole(*UTTERANCE_END_MS)(name, value)


def _word(name: str, value: str) -> str:
    if not value or len(value) > 100 or not value.isprintable():
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted a name")
    return value


def _prompt(name: str, value: str) -> str:
    if len(value) > MAX_PROMPT_CHARACTERS:
        raise ParameterError(f"{name}: found {len(value)} characters, wanted at most {MAX_PROMPT_CHARACTERS}")
    return value


def _keyword(name: str, value: str) -> str:
    """Deepgram's ``word:boost``. The boost is ignored; a negative one is refused, since no word can be suppressed."""
    word, _, boost = value.rpartition(":") if _BOOST.search(value) else (value, "", "")
    if boost.startswith("-"):
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted a word to expect; words cannot be suppressed here")
    return _word(name, word)


PARAMETERS: dict[str, Callable[[str, str], Any]] = {
    "encoding": _encoding,
    "sample_rate": _whole(*SAMPLE_RATES_HZ),
    "channels": _whole(*CHANNELS),
    "model": _word,
    "language": _word,
    "interim_results": _flag,
    "endpointing": _endpointing,
    "utterance_end_ms": _utterance_end,
    "vad_events": _flag,
    "prompt": _prompt,
}
"""The parameters that change something, each with its parser."""

HOTWORDS: dict[str, Callable[[str, str], str]] = {"keyterm": _word, "keywords": _keyword}
"""Parameters that may be repeated: each is an expected word, or a phrase."""

IGNORED = (
    "punctuate", "smart_format", "numerals", "filler_words", "profanity_filter", "dictation", "measurements",
    "no_delay", "mip_opt_out", "tier", "version", "tag", "extra", "detect_language",
)  # fmt: skip
"""Accepted with any value, without effect: the model writes punctuation and numbers as it was trained to, and detects
the language wherever none is given."""

UNSUPPORTED = (
    "multichannel", "diarize", "diarize_model", "redact", "replace", "search", "detect_entities", "language_hint",
    "callback", "callback_method", "alternatives",
)  # fmt: skip
"""Deepgram's, but not supported here: accepted if switched off (``alternatives`` as 1), refused otherwise."""

KNOWN = frozenset((*PARAMETERS, *HOTWORDS, *IGNORED, *UNSUPPORTED))


def parse_query(items: Iterable[tuple[str, str]]) -> ListenOptions:
    """The options of a query's decoded pairs. Raises `ParameterError` for the first that is wrong."""
    values: dict[str, Any] = {}
    hotwords: list[str] = []
    for name, value in items:
        if not value and name in KNOWN:  # templates write parameters without a value; it means that none is given
            continue
        if name in PARAMETERS:
            if name in values:
                raise ParameterError(f"{name} is given twice; give it once")
            values[name] = PARAMETERS[name](name, value)
        elif name in HOTWORDS:
            hotwords.append(HOTWORDS[name](name, value))
        else:
            _check_other(name, value)
    if len(hotwords) > MAX_HOTWORDS:
        raise ParameterError(f"found {len(hotwords)} hotwords, wanted at most {MAX_HOTWORDS}")
    options = ListenOptions(**values, hotwords=tuple(hotwords))
    _check_together(options)
    return options


def _check_other(name: str, value: str) -> None:
    if name in IGNORED or (name in UNSUPPORTED and (_off(value) or (name, value) == ("alternatives", "1"))):
        return
    if name in UNSUPPORTED:
        raise ParameterError(f"{name}={value[:100]} is not supported here; leave it out")
    raise ParameterError(f"unknown parameter {name[:100]!r}; known are {', '.join([*PARAMETERS, *HOTWORDS])}")


def _check_together(options: ListenOptions) -> None:
    encoding = ENCODINGS[options.encoding]
    if not encoding.has_header and options.sample_rate is None:
        raise ParameterError(f"encoding={options.encoding} has no header; give sample_rate, in hertz, with it")
    if options.channels > encoding.max_channels:
        wanted = f"wanted 1 to {encoding.max_channels} with encoding={options.encoding}"
        raise ParameterError(f"channels: found {options.channels}, {wanted}")
