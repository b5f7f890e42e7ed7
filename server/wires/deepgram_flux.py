"""Deepgram's conversational wire, `GET /v2/listen` (Flux), as a `server.wires.base.Wire`: turns instead of results.

Where Flux has a model that says how likely a turn is over, a pause stands here: its confidence is the pause's share of
`FULL_PAUSE_S`. A turn ends when the confidence reaches `eot_threshold`; `eager_eot_threshold` announces it earlier.

    Connected, then for each turn: StartOfTurn, Update ..., (EagerEndOfTurn, TurnResumed, Update ...) ..., EndOfTurn

Specification: https://developers.deepgram.com/reference/speech-to-text/listen-flux
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from asr.audio.streams import AUTO
from asr.errors import CallerError
from asr.events import Ended, Final, Partial, SpeechStarted, Word, shifted_words
from server.wires.base import (
    Audio,
    Cause,
    Command,
    End,
    Ending,
    Finalize,
    Frame,
    KeepAlive,
    Open,
    Progress,
    Reply,
    StreamEvent,
    StreamRequest,
    Summary,
)
from server.wires.deepgram_frames import CLOSES, read, written
from server.wires.deepgram_messages import ModelInfo, rounded, word_fields
from server.wires.deepgram_query import (
    LABELS,
    LIVE_IGNORED,
    MAX_HOTWORDS,
    PARAMETERS,
    RESUMING,
    UNSUPPORTED,
    ParameterError,
    Parameters,
    check_together,
    parse_name,
)
from server.wires.numbers import decimal_number

FULL_PAUSE_S = 1.0
"""A pause this long is the end of a turn beyond doubt."""
EOT_THRESHOLD = 0.7
THRESHOLDS: Mapping[str, tuple[float, float]] = {
    "eager_eot_threshold": (0.3, 0.9),
    "eot_threshold": (0.5, 0.9),
    "eot_timeout_ms": (500, 10_000),
}
"""Flux's ranges."""
EOT_TIMEOUT_MS = 5_000
ENGLISH = "flux-general-en"


@dataclass(frozen=True, slots=True)
class FluxOptions:
    """What a client asks for. None means the server's default, or that no eager end is wanted."""

    encoding: str = AUTO
    sample_rate: int | None = None
    channels: int = 1
    model: str | None = None
    language_hint: tuple[str, ...] = ()
    eager_eot_threshold: float | None = None
    eot_threshold: float = EOT_THRESHOLD
    eot_timeout_ms: int = EOT_TIMEOUT_MS
    hotwords: tuple[str, ...] = ()

    resumable: int = 0
    """A conversation ends with its connection: there is no resuming, so these three are never set."""
    resume: str = ""
    sequence: int = 0

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that may be spoken."""
        return self.language_hint or (("en",) if self.model == ENGLISH else ())

    @property
    def endpoint_ms(self) -> int:
        """The pause that ends a turn."""
        return min(round(self.eot_threshold * FULL_PAUSE_S * 1000), self.eot_timeout_ms)

    @property
    def stream(self) -> StreamRequest:
        """What the stream is opened with."""
        return StreamRequest(
            encoding=self.encoding,
            sample_rate_hz=self.sample_rate,
            channels=self.channels,
            model=self.model,
            languages=self.languages,
            partials=True,
            endpoint_ms=self.endpoint_ms,
            hotwords=self.hotwords,
        )


def _threshold(name: str, value: str) -> float:
    low, high = THRESHOLDS[name]
    number = decimal_number(value, low, high)
    if number is None:
        raise ParameterError(f"{name}: found {value[:100]!r}, wanted a number from {low:g} to {high:g}")
    return number


FLUX_PARAMETERS = {
    **{name: PARAMETERS[name] for name in ("encoding", "sample_rate", "channels", "model")},
    "eager_eot_threshold": _threshold,
    "eot_threshold": _threshold,
    "eot_timeout_ms": lambda name, value: round(_threshold(name, value)),
}
FLUX_UNSUPPORTED = (*UNSUPPORTED, *RESUMING)
FLUX_IGNORED = (*LIVE_IGNORED, *LABELS)
"""Flux's messages have no place for labels."""
_PARAMETERS = Parameters(FLUX_PARAMETERS, FLUX_IGNORED, FLUX_UNSUPPORTED)


def parse_flux(items: Iterable[tuple[str, str]]) -> FluxOptions:
    """The options of a query's decoded pairs. Raises `ParameterError` for the first that is wrong."""
    options = FluxOptions(**_PARAMETERS.parse(items))
    check_together(options)
    return options


class FluxWire:
    """One connection. The stream is open from the start; `Configure` may open another, whose times go on."""

    def __init__(self, options: FluxOptions, model: ModelInfo, request_id: str) -> None:
        self._options, self._request_id = options, request_id
        self._turns = _Turns(options.eager_eot_threshold)
        self._sequence = 0

    def open(self) -> tuple[Frame, ...]:
        """`Connected`, which clients await."""
        return (self._message("Connected"),)

    # -- what the client sends ---------------------------------------------------------------------------------------

    def receive(self, frame: Frame) -> tuple[Command, ...]:
        message = read(frame, FLUX_MESSAGES)
        if isinstance(message, bytes):
            return (Audio(message),)
        if message["type"] == "Configure":
            return self._configure(message)
        return (COMMANDS[message["type"]],)

    def _configure(self, message: Mapping[str, Any]) -> tuple[Command, ...]:
        try:
            options = _configured(self._options, message)
        except CallerError as error:
            return (self._reply("ConfigureFailure", code="INVALID_CONFIGURATION", description=str(error)),)
        changed = options.stream != self._options.stream
        self._options = options
        self._turns.eager_threshold = options.eager_eot_threshold
        thresholds = {name: getattr(options, name) for name in THRESHOLDS}
        fields = {"thresholds": thresholds, "keyterms": list(options.hotwords)}
        hints = {"language_hints": list(options.language_hint)} if options.language_hint else {}
        reply = self._reply("ConfigureSuccess", **fields, **hints)
        return (Open(options.stream), reply) if changed else (reply,)

    # -- what the server sends ---------------------------------------------------------------------------------------

    def send(self, events: Sequence[StreamEvent], progress: Progress) -> Iterator[Frame]:
        for fields in self._turns.results(events, progress):
            yield self._message("TurnInfo", **fields, **progress.named_release)

    def end(self, cause: Cause, description: str, summary: Summary) -> Ending:
        close = CLOSES[cause]
        if not close.variant:
            return Ending((), close.code, description)
        message = self._message("Error", code=close.variant, description=description)
        return Ending((message,), close.code, f"{close.variant}: {description}", close.variant)

    def _message(self, kind: str, **fields: Any) -> str:
        message = {"type": kind, "request_id": self._request_id, "sequence_id": self._sequence, **fields}
        self._sequence += 1
        return written(message)

    def _reply(self, kind: str, **fields: Any) -> Reply:
        """Numbered when it is sent, among the results."""
        return Reply(self._message(kind, **fields) for _ in range(1))


class _Turns:
    """A session's events -> the `TurnInfo`s of turns, without their numbering."""

    def __init__(self, eager_threshold: float | None) -> None:
        self.eager_threshold = eager_threshold
        self._offset_s = 0.0
        """The audio of the streams before."""
        self._index = 0
        self._start_s = 0.0
        self._final: list[Word] = []
        self._tail: tuple[Word, ...] = ()
        self._language = ""
        self._shown: str | None = None
        """The turn's text as it was sent last; None before its first words."""
        self._eager: str | None = None
        """The text of an eager end that nothing has followed yet."""

    def results(self, events: Iterable[StreamEvent], progress: Progress) -> Iterator[dict[str, Any]]:
        end_s = self._offset_s + progress.decoded_s
        pause_s = max(0.0, progress.decoded_s - progress.voiced_until_s)
        confidence = round(min(1.0, pause_s / FULL_PAUSE_S), 4)
        for event in events:
            if isinstance(event, SpeechStarted):
                confidence = 0.0
            elif isinstance(event, Partial):
                self._tail, self._language = event.words, event.language or self._language
                yield from self._update(end_s, confidence)
            elif isinstance(event, Final):
                is_end = event.ends_utterance or event.from_finalize
                self._final += event.words
                # The rest of the tail stays until the next partial: a text that shrinks for a moment misleads agents.
                self._tail = () if is_end else self._tail[len(event.words) :]
                self._language = event.language or self._language
                yield from self._update(end_s, confidence)
                if is_end:
                    yield from self._end(end_s, "manual" if event.from_finalize else "model")
            elif isinstance(event, Ended):
                self._offset_s += event.duration_s
        yield from self._eager_end(end_s, confidence)

    def _update(self, end_s: float, confidence: float) -> Iterator[dict[str, Any]]:
        text = self._text()
        if text == (self._shown or ""):
            return
        if self._eager is not None:
            self._eager = None
            yield self._info("TurnResumed", end_s, confidence)
        else:
            yield self._info("StartOfTurn" if self._shown is None else "Update", end_s, confidence)
        self._shown = text

    def _eager_end(self, end_s: float, confidence: float) -> Iterator[dict[str, Any]]:
        """Once for each pause; when the voice goes on the turn is resumed, with or without new words."""
        if self.eager_threshold is None or self._shown is None:
            return
        if self._eager is None and confidence >= self.eager_threshold:
            self._eager = self._text()
            yield self._info("EagerEndOfTurn", end_s, confidence)
        elif self._eager is not None and confidence < self.eager_threshold:
            self._eager = None
            yield self._info("TurnResumed", end_s, confidence)

    def _end(self, end_s: float, trigger: Literal["model", "manual"]) -> Iterator[dict[str, Any]]:
        if self._shown is not None:
            yield self._info("EndOfTurn", end_s, 1.0) | {"trigger": trigger}
            self._index, self._start_s = self._index + 1, end_s
        self._final, self._tail, self._shown, self._eager = [], (), None, None

    def _info(self, event: str, end_s: float, confidence: float) -> dict[str, Any]:
        return {
            "event": event,
            "turn_index": self._index,
            "audio_window_start": rounded(self._start_s),
            "audio_window_end": rounded(end_s),
            "transcript": self._text(),
            "words": [_word(word) for word in shifted_words(self._words(), self._offset_s)],
            "end_of_turn_confidence": confidence,
            **({"languages": [self._language]} if self._language else {}),
        }

    def _words(self) -> list[Word]:
        return [*self._final, *self._tail]

    def _text(self) -> str:
        return "".join(word.text for word in self._words()).strip()


def _word(word: Word) -> dict[str, Any]:
    """Flux writes words as they are in the transcript."""
    fields = word_fields(word)
    return {name: fields[name] for name in ("confidence", "start", "end")} | {"word": fields["punctuated_word"]}


COMMANDS: Mapping[str, Command] = {"CloseStream": End(), "ForceEndTurn": Finalize(), "KeepAlive": KeepAlive()}
FLUX_MESSAGES = ("Configure", *COMMANDS)


def _configured(options: FluxOptions, message: Mapping[str, Any]) -> FluxOptions:
    """The options with those of a `Configure`; what it leaves out stays. Raises `ParameterError`."""
    thresholds = message.get("thresholds") or {}
    if not isinstance(thresholds, dict) or not set(thresholds) <= set(THRESHOLDS):
        raise ParameterError(f"thresholds: wanted an object with {', '.join(THRESHOLDS)}")
    changes: dict[str, Any] = {}
    for name, value in thresholds.items():
        if value is not None:
            number = _threshold(name, str(value) if isinstance(value, int | float) else ascii(value))
            changes[name] = round(number) if name == "eot_timeout_ms" else number
    for key, name in (("keyterms", "hotwords"), ("language_hints", "language_hint")):
        if message.get(key) is not None:
            changes[name] = _names(key, message[key])
    return replace(options, **changes)


def _names(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_HOTWORDS or not all(isinstance(item, str) for item in value):
        raise ParameterError(f"{name}: wanted a list of at most {MAX_HOTWORDS} names")
    return tuple(parse_name(name, item) for item in value)
