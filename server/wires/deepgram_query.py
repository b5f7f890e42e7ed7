"""The query of `GET /v1/listen` -> `ListenOptions`. Pure. Names and meanings are those of Deepgram's streaming API.

Specification: https://developers.deepgram.com/reference/speech-to-text/listen-streaming
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from asr.audio.pcm import MAX_CHANNELS
from asr.audio.streams import AUTO, ENCODINGS, MAX_RATE_HZ, MIN_RATE_HZ
from asr.errors import CallerError
from server.wires.base import StreamRequest
from server.wires.names import is_name
from server.wires.numbers import decimal_number, whole_number

ENCODING_NAMES = tuple(name for name in ENCODINGS if name != AUTO)
"""What a client may name. For `AUTO` it names none."""
SAMPLE_RATES_HZ = (MIN_RATE_HZ, MAX_RATE_HZ)
CHANNELS = (1, MAX_CHANNELS)
ENDPOINTING_MS = (10, 5_000)
UTTERANCE_END_MS = (1_000, 5_000)
MAX_PROMPT_CHARACTERS = 4_000
MAX_HOTWORDS = 100
RESUMABLE_S = (1, 86_400)
MAX_OFFSET_S = 1e7
MAX_SEQUENCE = 999_999_999
MAX_TOKEN_CHARACTERS = 400
MAX_LABEL_CHARACTERS = 2_048
"""Deepgram's limit."""
_BOOST = re.compile(r":-?[0-9]+(\.[0-9]+)?$")


_SHOWN = re.compile(r"[a-z]{1,8}|v?[0-9]{1,3}")
"""Values of parameters that are not supported, as a refusal repeats them. Others may be addresses, tokens or words."""


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
    multichannel: bool = False
    """Whether each channel is recognised alone; otherwise they are mixed down."""
    language_hint: tuple[str, ...] = ()
    """Without `language`: those that may be spoken."""
    hotwords: tuple[str, ...] = ()
    """Words and names to expect."""
    resumable: int = 0
    """Seconds for which the stream is kept after its connection is lost; 0: it ends then."""
    resume: str = ""
    """The token of a stream to go on with; the other options are those that it was opened with."""
    sequence: int = 0
    """With `resume`: the number of the last message received."""
    offset: float = 0.0
    """The time of the first sample, in seconds: times go on from a stream before."""
    extra: tuple[tuple[str, str], ...] = ()
    """Keys and values for the answers' ``metadata``."""
    tag: tuple[str, ...] = ()
    """Labels for the summary's ``tags``."""

    @property
    def stream(self) -> StreamRequest:
        """What the stream is opened with. The other options change only the messages."""
        return StreamRequest(
            encoding=self.encoding,
            sample_rate_hz=self.sample_rate,
            channels=self.channels,
            multichannel=self.multichannel,
            model=self.model,
            language=self.language,
            languages=self.language_hint,
            partials=self.interim_results,
            endpoint_ms=self.endpointing,
            prompt=self.prompt,
            hotwords=self.hotwords,
        )


def _whole(low: int, high: int) -> Callable[[str, str], int]:
    def parse(name: str, value: str) -> int:
        number = whole_number(value, low, high)
        if number is None:
            raise ParameterError(f"{name}: found {value[:100]!r}, wanted a whole number from {low} to {high}")
        return number

    return parse


def parse_flag(name: str, value: str) -> bool:
    """A switch. Raises `ParameterError`."""
    if value.lower() not in ("true", "false", "1", "0"):
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted true or false")
    return value.lower() in ("true", "1")


def _off(value: str) -> bool:
    return value.lower() in ("false", "0")


def _encoding(name: str, value: str) -> str:
    if value not in ENCODING_NAMES:
        listed = ", ".join(ENCODING_NAMES)
        raise ParameterError(
            f"{name}: found {value[:100]!r}, wanted one of {listed} (or none for Ogg, WebM, WAV, FLAC, MP3 or MP4)"
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


def pause_ms(milliseconds: float) -> int:
    """The pause that ends an utterance where another API asks for this one: the closest that is allowed."""
    low, high = ENDPOINTING_MS
    return round(min(max(milliseconds, low), high))


def _utterance_end(name: str, value: str) -> int | None:
    return None if _off(value) else _whole(*UTTERANCE_END_MS)(name, value)


def parse_name(name: str, value: str) -> str:
    """A name, a code or a phrase. Raises `ParameterError`."""
    if not value or not is_name(value):
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
    return parse_name(name, word)


def _token(name: str, value: str) -> str:
    """The value is a secret, so no sentence repeats it."""
    if len(value) > MAX_TOKEN_CHARACTERS or not (value.isascii() and value.isprintable()):
        raise ParameterError(f"{name}: found no token, wanted the one of the stream's last Session message")
    return value


def _sequence(name: str, value: str) -> int:
    number = whole_number(value, 0, MAX_SEQUENCE)
    if number is None:
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted the number of the last message received, or 0")
    return number


def _resumable(name: str, value: str) -> int:
    return 0 if _off(value) else _whole(*RESUMABLE_S)(name, value)


def _offset(name: str, value: str) -> float:
    seconds = decimal_number(value, 0.0, MAX_OFFSET_S)
    if seconds is None:
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted seconds from 0 to {MAX_OFFSET_S:g}")
    return seconds


def _label(name: str, value: str) -> str:
    """A text for the answer, of which nothing is read here."""
    if len(value) > MAX_LABEL_CHARACTERS:
        raise ParameterError(f"{name}: found {len(value)} characters, wanted at most {MAX_LABEL_CHARACTERS}")
    return value.encode(errors="replace").decode()  # half of a surrogate pair cannot be sent back


def _extra(name: str, value: str) -> tuple[str, str]:
    """Deepgram's ``KEY:VALUE``; without a colon the value is empty."""
    key, _, text = _label(name, value).partition(":")
    return key, text


PARAMETERS: dict[str, Callable[[str, str], Any]] = {
    "encoding": _encoding,
    "sample_rate": _whole(*SAMPLE_RATES_HZ),
    "channels": _whole(*CHANNELS),
    "model": parse_name,
    "language": parse_name,
    "interim_results": parse_flag,
    "endpointing": _endpointing,
    "utterance_end_ms": _utterance_end,
    "vad_events": parse_flag,
    "prompt": _prompt,
    "multichannel": parse_flag,
    "resumable": _resumable,
    "resume": _token,
    "sequence": _sequence,
    "offset": _offset,
}
"""The parameters that change something, each with its parser."""

HOTWORDS: dict[str, Callable[[str, str], str]] = {"keyterm": parse_name, "keywords": _keyword}
"""Parameters that may be repeated: each is an expected word, or a phrase."""

HINTS: dict[str, Callable[[str, str], str]] = {"language_hint": parse_name}
"""Parameters that may be repeated: each is a language that may be spoken."""

LABELS: dict[str, Callable[[str, str], Any]] = {"extra": _extra, "tag": _label}
"""Parameters that may be repeated: each comes back in the answer's ``metadata``."""

IGNORED = (
    "punctuate", "smart_format", "numerals", "filler_words", "profanity_filter", "dictation", "measurements",
    "no_delay", "mip_opt_out", "tier", "version", "client_id", "consent",
)  # fmt: skip
"""Accepted with any value, without effect: the model writes punctuation and numbers as it was trained to.
`server.http.gate` reads ``client_id``, ``consent`` and ``mip_opt_out``."""
RECORDINGS_ONLY = ("detect_language", "utterances", "utt_split", "paragraphs")
"""Accepted without effect in a live stream, which detects the language wherever none is given."""
LIVE_IGNORED = IGNORED + RECORDINGS_ONLY

RESUMING = ("resumable", "resume", "sequence", "offset")
"""Parameters of streams that outlive their connection, which other addresses do not have."""

UNSUPPORTED = (
    "diarize", "diarize_model", "diarize_version", "redact", "replace", "search", "detect_entities", "callback",
    "callback_method", "alternatives", "summarize", "topics", "detect_topics", "intents", "sentiment", "custom_topic",
    "custom_topic_mode", "custom_intent", "custom_intent_mode",
)  # fmt: skip
"""Deepgram's, but not supported here: accepted if switched off (``alternatives`` as 1), refused otherwise."""

KNOWN = frozenset((*PARAMETERS, *HOTWORDS, *HINTS, *LABELS, *LIVE_IGNORED, *UNSUPPORTED))


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of one address, besides `HOTWORDS`, which each has. Those in `repeated` may be given again."""

    parsers: Mapping[str, Callable[[str, str], Any]]
    ignored: Collection[str]
    unsupported: Collection[str]
    repeated: Mapping[str, Callable[[str, str], Any]] = field(default_factory=lambda: HINTS)

    def parse(self, items: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """The values of a query's decoded pairs, by name: tuples of the `repeated` and of ``hotwords``.

        Raises `ParameterError` for the first that is wrong.
        """
        values: dict[str, Any] = {}
        lists: dict[str, list[Any]] = {"hotwords": []}
        for name, value in items:
            if not value and self._knows(name):  # templates write parameters without a value: none is given
                continue
            if name in self.parsers:
                if name in values:
                    raise ParameterError(f"{name} is given twice; give it once")
                values[name] = self.parsers[name](name, value)
            elif name in self.repeated:
                lists.setdefault(name, []).append(self.repeated[name](name, value))
            elif name in HOTWORDS:
                lists["hotwords"].append(HOTWORDS[name](name, value))
            else:
                self._check_other(name, value)
        for name, given in lists.items():
            if len(given) > MAX_HOTWORDS:
                raise ParameterError(f"found {len(given)} {name}, wanted at most {MAX_HOTWORDS}")
        return values | {name: tuple(given) for name, given in lists.items()}

    def _knows(self, name: str) -> bool:
        return any(name in names for names in (self.parsers, self.repeated, HOTWORDS, self.ignored, self.unsupported))

    def _check_other(self, name: str, value: str) -> None:
        if name in self.ignored:
            return
        if name in self.unsupported:
            if _off(value) or (name, value) == ("alternatives", "1"):
                return
            given = f"{name}={value}" if _SHOWN.fullmatch(value) else name
            raise ParameterError(f"{given} is not supported here; leave it out")
        known = ", ".join([*self.parsers, *self.repeated, *HOTWORDS])
        raise ParameterError(f"unknown parameter {name[:100]!r}; known are {known}")


_LIVE = Parameters(PARAMETERS, LIVE_IGNORED, UNSUPPORTED, repeated=HINTS | LABELS)


def parse_query(items: Iterable[tuple[str, str]]) -> ListenOptions:
    """The options of a live stream's query, in decoded pairs. Raises `ParameterError` for the first that is wrong."""
    options = ListenOptions(**_LIVE.parse(items))
    if options.sequence and not options.resume:
        raise ParameterError("sequence goes with resume, the token of a stream; give both or neither")
    if not options.resume:
        check_together(options)
    return options


class Labelled(Protocol):
    """The options that come back in the answer."""

    @property
    def extra(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def tag(self) -> tuple[str, ...]: ...


def extra_fields(options: Labelled) -> dict[str, Any]:
    """``extra`` of the answers' metadata, if any was given. Of a key given twice the last value counts."""
    return {"extra": dict(options.extra)} if options.extra else {}


def label_fields(options: Labelled) -> dict[str, Any]:
    """``extra`` and ``tags`` of the summary, if any were given."""
    return extra_fields(options) | ({"tags": list(options.tag)} if options.tag else {})


class Encoded(Protocol):
    """The options that say how audio is encoded."""

    @property
    def encoding(self) -> str: ...
    @property
    def sample_rate(self) -> int | None: ...
    @property
    def channels(self) -> int: ...


def check_together(options: Encoded) -> None:
    """Raises `ParameterError` for a rate that is missing, and for channels that the encoding cannot have."""
    encoding = ENCODINGS[options.encoding]
    if not encoding.has_header and options.sample_rate is None:
        raise ParameterError(f"encoding={options.encoding} has no header; give sample_rate, in hertz, with it")
    if options.channels > encoding.max_channels:
        wanted = f"wanted 1 to {encoding.max_channels} with encoding={options.encoding}"
        raise ParameterError(f"channels: found {options.channels}, {wanted}")
