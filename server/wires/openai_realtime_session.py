"""The settings of an OpenAI Realtime transcription session: `session.update` -> what the stream is opened with. Pure.

Every `error` ends a client's session (LiveKit raises, Pipecat reconnects). So what does no harm is accepted and echoed:
only what cannot be served is refused.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from asr.audio.streams import MAX_RATE_HZ, MIN_RATE_HZ
from asr.errors import CallerError
from server.wires.base import StreamRequest
from server.wires.deepgram_query import MAX_HOTWORDS, MAX_PROMPT_CHARACTERS, pause_ms

FORMATS: Mapping[str, tuple[str, int, int]] = {
    "audio/pcm": ("linear16", 24_000, 2),
    "audio/pcmu": ("mulaw", 8_000, 1),
    "audio/pcma": ("alaw", 8_000, 1),
}
"""Each format's encoding in `asr.audio.streams`, its rate where none is given, and the bytes of a sample."""

FLAT: Mapping[str, str] = {
    "input_audio_format": "format",
    "input_audio_transcription": "transcription",
    "turn_detection": "turn_detection",
    "input_audio_noise_reduction": "noise_reduction",
}
"""The fields of a session in the API's beta, which had no ``audio.input``, and where they stand today."""
FLAT_FORMATS: Mapping[str, str] = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}

SILENCE_MS = 500
"""`silence_duration_ms` where none is given, as at OpenAI."""
EAGERNESS_MS: Mapping[str, int] = {"low": 1_800, "medium": 900, "auto": 900, "high": 500}
"""Silence that ends a turn with `semantic_vad`: a pause stands for meaning here, so the times are our choice."""
COMMITTED_MODELS = ("gpt-realtime-whisper", "gpt-live-transcribe")
"""With these no `turn_detection` means none: their clients commit."""
LOGPROBS = "item.input_audio_transcription.logprobs"
_MAX_NAME_CHARACTERS = 100
_INPUT = "session.audio.input"


class SessionError(CallerError):
    """Settings that cannot be served. ``param`` is the field at fault."""

    def __init__(self, param: str, message: str) -> None:
        super().__init__(f"{param}: {message}")
        self.param = param


@dataclass(frozen=True, slots=True)
class RealtimeSession:
    """The settings as they are now, in the form in which they are echoed; each part is checked."""

    format: dict[str, Any] = field(default_factory=lambda: {"type": "audio/pcm", "rate": 24_000})
    transcription: dict[str, Any] = field(default_factory=dict)
    turn_detection: dict[str, Any] | None = field(
        default_factory=lambda: {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": SILENCE_MS,
        }
    )
    noise_reduction: dict[str, Any] | None = None
    include: tuple[str, ...] = ()

    @classmethod
    def of_model(cls, model: str) -> "RealtimeSession":
        """The settings of a connection that has sent none, with the model of its address."""
        session = cls(transcription={"model": model})
        return replace(session, turn_detection=None) if model in COMMITTED_MODELS else session

    @property
    def model(self) -> str | None:
        """The transcription model's name; None: the server's default."""
        return self.transcription.get("model") or None

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that may be spoken; any, if none is given."""
        language = self.transcription.get("language")
        return (language,) if language else tuple(self.transcription.get("languages") or ())

    @property
    def is_manual(self) -> bool:
        """Whether the client commits, instead of voice activity."""
        return self.turn_detection is None

    @property
    def with_logprobs(self) -> bool:
        """Whether each word's logarithmic probability was asked for."""
        return LOGPROBS in self.include

    @property
    def bytes_per_s(self) -> int:
        """Of the audio."""
        return self._rate_hz * self.sample_bytes

    @property
    def sample_bytes(self) -> int:
        """Of one sample."""
        return FORMATS[self.format["type"]][2]

    @property
    def _rate_hz(self) -> int:
        return int(self.format.get("rate") or FORMATS[self.format["type"]][1])

    def stream(self, language: str | None) -> StreamRequest:
        """What the stream is opened with. Partials keep words becoming final while somebody speaks."""
        return StreamRequest(
            encoding=FORMATS[self.format["type"]][0],
            sample_rate_hz=self._rate_hz,
            model=self.model,
            language=language,
            partials=True,
            endpoint_ms=self._endpoint_ms(),
            prompt=self.transcription.get("prompt") or "",
            hotwords=tuple(self.transcription.get("keywords") or ()),
        )

    def _endpoint_ms(self) -> int | None:
        detection = self.turn_detection
        if detection is None:
            return None
        if detection["type"] == "semantic_vad":
            return EAGERNESS_MS[detection.get("eagerness") or "auto"]
        silence_ms = detection.get("silence_duration_ms")
        return pause_ms(silence_ms) if silence_ms is not None else SILENCE_MS

    def updated(self, session: Any) -> "RealtimeSession":
        """With the settings of a `session.update`; what it leaves out stays. Raises `SessionError`."""
        table = _nested(_table("session", session))
        if table.get("type", "transcription") != "transcription":
            raise SessionError("session.type", f"found {_short(table['type'])}, wanted transcription: nobody answers")
        given = _table(_INPUT, _table("session.audio", table.get("audio") or {}).get("input") or {})
        changes: dict[str, Any] = {}
        if given.get("format") is not None:
            changes["format"] = _format(given["format"])
        if "transcription" in given:
            changes["transcription"] = self.transcription | _transcription(given["transcription"] or {})
        if "turn_detection" in given:
            changes["turn_detection"] = _turn_detection(given["turn_detection"])
        elif changes.get("transcription", {}).get("model") in COMMITTED_MODELS:
            changes["turn_detection"] = None
        if "noise_reduction" in given:
            changes["noise_reduction"] = _leaf(f"{_INPUT}.noise_reduction", given["noise_reduction"] or {}) or None
        if "include" in table:
            wanted = _texts("session.include", table["include"] or [])
            changes["include"] = tuple(name for name in (LOGPROBS,) if name in wanted)  # nothing else can be included
        return RealtimeSession(**(self._parts() | changes))

    def needs_new_stream(self, new: "RealtimeSession") -> bool:
        """Whether the stream that is open cannot go on with the new settings."""
        return any(getattr(self, name) != getattr(new, name) for name in ("format", "transcription", "turn_detection"))

    def _parts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def fields(self) -> dict[str, Any]:
        """The ``audio`` and ``include`` of a session, as they are echoed."""
        given = {name: value for name, value in self._parts().items() if name != "include"}
        return {"audio": {"input": given}, "include": list(self.include) or None}

    def flat_fields(self) -> dict[str, Any]:
        """The same in the form of the beta."""
        given = {flat: getattr(self, name) for flat, name in FLAT.items()}
        written = next(name for name, kind in FLAT_FORMATS.items() if kind == self.format["type"])
        return given | {"input_audio_format": written, "include": list(self.include) or None}


def _nested(table: dict[str, Any]) -> dict[str, Any]:
    """A session in which the beta's flat fields stand where they stand today. Raises `SessionError`."""
    flat = {name: table[old] for old, name in FLAT.items() if old in table}
    if not flat:
        return table
    form = flat.get("format")
    if isinstance(form, str):
        if form not in FLAT_FORMATS:
            wanted = f"wanted {', '.join(FLAT_FORMATS)}"
            raise SessionError("session.input_audio_format", f"found {_short(form)}, {wanted}")
        flat["format"] = {"type": FLAT_FORMATS[form]}
    audio = _table("session.audio", table.get("audio") or {})
    given = _table(_INPUT, audio.get("input") or {})
    return table | {"audio": audio | {"input": flat | given}}


def _format(value: Any) -> dict[str, Any]:
    table = _leaf(f"{_INPUT}.format", value)
    kind, rate = value.get("type"), value.get("rate")
    if not isinstance(kind, str) or kind not in FORMATS:
        raise SessionError(f"{_INPUT}.format.type", f"found {_short(kind)}, wanted {', '.join(FORMATS)}")
    rate_fits = rate is None or (_is_number(rate) and rate == int(rate) and MIN_RATE_HZ <= rate <= MAX_RATE_HZ)
    if not rate_fits:
        wanted = f"wanted a whole number from {MIN_RATE_HZ} to {MAX_RATE_HZ}"
        raise SessionError(f"{_INPUT}.format.rate", f"found {_short(rate)}, {wanted}")
    return table


def _transcription(value: Any) -> dict[str, Any]:
    name = f"{_INPUT}.transcription"
    table = _leaf(name, value)
    for key, limit in (
        ("model", _MAX_NAME_CHARACTERS),
        ("language", _MAX_NAME_CHARACTERS),
        ("prompt", MAX_PROMPT_CHARACTERS),
    ):
        text = table.get(key)
        if text is not None and not (isinstance(text, str) and len(text) <= limit):
            raise SessionError(f"{name}.{key}", f"found {_short(text)}, wanted a text of at most {limit} characters")
    for key in ("languages", "keywords"):
        if key in value and key not in table:
            raise SessionError(f"{name}.{key}", f"found {_short(value[key])}, wanted a list of texts")
        texts = _texts(f"{name}.{key}", table.get(key) or [])
        if len(texts) > MAX_HOTWORDS or any(len(text) > _MAX_NAME_CHARACTERS for text in texts):
            wanted = f"wanted at most {MAX_HOTWORDS} texts of at most {_MAX_NAME_CHARACTERS} characters"
            raise SessionError(f"{name}.{key}", f"found {len(texts)} texts, {wanted}")
    return table


def _turn_detection(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    name = f"{_INPUT}.turn_detection"
    table = _leaf(name, value)
    kind, eagerness, silence_ms = table.get("type"), table.get("eagerness"), table.get("silence_duration_ms")
    if kind not in ("server_vad", "semantic_vad"):
        raise SessionError(f"{name}.type", f"found {_short(kind)}, wanted server_vad, semantic_vad or null")
    if kind == "semantic_vad" and eagerness is not None and eagerness not in tuple(EAGERNESS_MS):
        raise SessionError(f"{name}.eagerness", f"found {_short(eagerness)}, wanted {', '.join(EAGERNESS_MS)}")
    if kind == "server_vad" and silence_ms is not None and not (_is_number(silence_ms) and silence_ms >= 0):
        raise SessionError(f"{name}.silence_duration_ms", f"found {_short(silence_ms)}, wanted milliseconds")
    return table


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SessionError(name, f"found {_short(value)}, wanted an object")
    return value


def _leaf(name: str, value: Any) -> dict[str, Any]:
    """An object's plain values and lists of texts, which are echoed; anything nested deeper means nothing here."""
    table = {key: item for key, item in _table(name, value).items() if _is_plain(item)}
    try:
        "".join(text for item in table.items() for text in _texts_in(item)).encode()
    except UnicodeEncodeError:
        raise SessionError(name, "found half of a surrogate pair, wanted text") from None
    return table


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in value)
    return value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))


def _texts_in(item: tuple[str, Any]) -> list[str]:
    key, value = item
    return [key, *([value] if isinstance(value, str) else value if isinstance(value, list) else [])]


def _texts(name: str, value: Any) -> Sequence[str]:
    if not (isinstance(value, list) and _is_plain(value)):
        raise SessionError(name, f"found {_short(value)}, wanted a list of texts")
    return value


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _short(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = ascii(value)
    return text if len(text) <= 60 else text[:60] + "..."
