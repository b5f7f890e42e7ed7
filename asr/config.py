"""Frozen settings, one dataclass a part, units in the names; read from TOML, unknown keys refused."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from asr.errors import ConfigError

SAMPLE_RATE_HZ = 16_000
"""The one rate inside; only `asr.audio.files` knows others."""

SHORTEST_PAUSE_S = 0.09
"""Shorter silence is a closure inside a word (the p of "apart"), not a pause."""

DEFAULT_MODEL = "whisper-tiny.en"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VadSettings:
    """When speech begins and ends, on Silero's probability of one 32 ms frame."""

    start_threshold: float = 0.5
    end_threshold: float = 0.35
    min_speech_ms: int = 96
    """Speech must last this long before an utterance opens."""
    endpoint_ms: int = 1300
    """Silence that ends an utterance in a live stream."""
    file_endpoint_ms: int = 1500
    """The same in a recording, where nobody waits and more context is worth more."""
    pad_before_ms: int = 320
    """Audio kept from before the first speech frame."""
    pad_after_ms: int = 200
    """Audio kept after the last speech frame; when so much silence has passed the text is brought up to date."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a growing utterance is decoded."""

    update_ms: int = 0
    """New audio between two partial hypotheses; 0 leaves it to the model (Whisper 1300, CTC 320)."""
    window_soft_s: float = 15.0
    """From this length on the window is shortened at a committed word."""
    window_max_s: float = 28.0
    """Never encode more than this at once (Whisper's positions end at 30 s)."""
    file_window_s: float = 16.0
    """The same for recordings: attention costs with the square of a window, and long ones are left half written at
    times (docs/LOG.md)."""
    overlap_s: float = 1.5
    """Committed speech that a shortened window keeps."""
    stall_s: float = 0.65
    """So much speech without a new word: the window begins anew behind the text."""
    holdback_ms: int = 2000
    """A word that ends nearer than this to the window's end is not committed yet."""
    unsure_holdback_ms: int = 6000
    """The same for a word that the model is less sure of than `sure`."""
    sure: float = 0.7
    """A word's confidence from which on the shorter holdback is enough."""
    collapse_s: float = 1.0
    """A hypothesis that ends so much before the one before it is doubted."""


@dataclass(frozen=True, slots=True)
class CtcSettings:
    """How CTC models (wav2vec2 and its like) see a stream and search it; their chunk is `StreamSettings.update_ms`.

    What is left open here a model's folder may say in its `decoding.json`.
    """

    right_s: float = 0.0
    """A frame is final when it has heard so much of its future; 0 leaves it to the model (else 0.64)."""
    left_s: float = 8.0
    """So much of its past a frame attends to."""
    lm: str = ""
    """An n-gram model's file (KenLM), its words in lower case; "" leaves it to the model, with the two below."""
    lm_weight: float = 0.5
    word_bonus: float = 1.0
    """What the language model takes from a longer text, given back by the word (natural logarithm)."""
    hotword_weight: float = 5.0
    """How much more probable a hotword is made (natural logarithm)."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How a hypothesis is searched."""

    max_tokens_per_s: float = 12.0
    """Guard: text longer than this times the window's length (plus ten tokens) is a loop."""
    settle_s: float = 4.0
    """Audio frames are encoded anew while less than this of their future was heard."""
    beam_size: int = 1
    """So many texts are looked at side by side. For recordings: it costs as many times the decoder. 1 is greedy, or for
    a CTC model what its folder says; with hotwords or a language model it looks at 8 then."""
    fallback_temperatures: tuple[float, ...] = ()
    """A text that loops or is hardly believed is drawn again at these temperatures, one after the other."""
    hotword_boost: float = 3.0
    """What a token that goes on with a hotword gets added to its score (natural logarithm)."""
    ctc: CtcSettings = field(default_factory=CtcSettings)


@dataclass(frozen=True, slots=True)
class SessionSettings:
    vad: VadSettings = field(default_factory=VadSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a table; `ConfigError` when it is missing or broken."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no settings file at {path}; name an existing TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def build(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """`cls` from a TOML table; nested dataclasses from nested tables.

    Raises `ConfigError` that names the key, what was found and what is wanted.
    """
    hints = typing.get_type_hints(cls)
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}; known keys are {', '.join(known)}")
    values = {key: _value(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return cls(**values)
    except TypeError:
        missing = [f.name for f in dataclasses.fields(cls) if f.name not in values and _required(f)]  # type: ignore[arg-type]
        raise ConfigError(f"{where}: missing key {', '.join(missing)}") from None


def _required(f: "dataclasses.Field[Any]") -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, where: str) -> Any:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        hint = next(arg for arg in typing.get_args(hint) if arg is not type(None))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if not isinstance(value, dict):
            raise ConfigError(f"{where}: found {value!r}, wanted a table")
        return build(hint, value, where)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{where}: found {value!r}, wanted a list")
        return tuple(_value(typing.get_args(hint)[0], item, f"{where}[]") for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where}: found {value!r}, wanted {hint.__name__}")
    return value


def config_dir() -> Path:
    """Where the project's own `*.toml` lie: inside an installed package, or at the root of a checkout."""
    packaged = Path(__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "configs"
