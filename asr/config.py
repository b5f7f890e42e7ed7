"""Settings: one frozen dataclass for each part, units in the names. Read from TOML; unknown keys are errors."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from asr.errors import ConfigError
from asr.text_files import decoded, fault

SAMPLE_RATE_HZ = 16_000
"""The sample rate of all audio inside. `asr.audio` converts other rates at the door."""

SHORTEST_PAUSE_S = 0.09
"""Shorter silence is a closure inside a word (the p of "apart"), not a pause."""

DEFAULT_MODEL = "whisper-tiny.en"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VadSettings:
    """When speech begins and ends. Thresholds are on Silero's speech probability of one 32 ms frame."""

    start_threshold: float = 0.5
    end_threshold: float = 0.35
    sure_threshold: float = 0.7
    """An utterance is decoded once a frame reaches this. Noise that passes for speech seldom does, a word always
    (docs/log/decoding.md#words-in-noise)."""
    min_speech_ms: int = 96
    """Speech must last this long before an utterance opens."""
    endpoint_ms: int = 1300
    """Silence that ends an utterance in a live stream."""
    speech_final_ms: int = 0
    """A shorter silence after which the words so far are final, while the utterance and its window stay open; 0: none.
    """
    speech_final_floor_ms: int = 400
    """The shortest of these silences: a client that asks for less waits as long. What the model writes before a shorter
    pause changes too often when speech goes on (docs/log/decoding.md#final-words-in-short-pauses)."""
    file_endpoint_ms: int = 1500
    """The same in a recording: nobody waits, and longer utterances give the model more context."""
    pad_before_ms: int = 320
    """Audio kept from before the first speech frame."""
    pad_after_ms: int = 200
    """Audio kept after the last speech frame. After this much silence the partial hypothesis is updated."""
    ahead_ms: int = 32
    """After this much silence the window of a finalize request is decoded ahead. It ends here even if the request comes
    later. Silence is heard 0.09 s after the last sound (median), a request comes 0.2 s after it: 64 left no time."""
    ahead_unused: int = 6
    """So many windows in a row are decoded ahead for a client that neither finalizes nor asks for `speech_final`, then
    none. Speech has one each 3 s, so they reach past a first turn of 15 s."""


def with_endpoint(vad: VadSettings, silence_ms: int) -> VadSettings:
    """The settings with another silence that makes words final. A shorter one than `endpoint_ms` ends no utterance."""
    if silence_ms >= vad.endpoint_ms:
        return replace(vad, endpoint_ms=silence_ms)
    return replace(vad, speech_final_ms=max(silence_ms, vad.speech_final_floor_ms))


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How a growing utterance is decoded."""

    update_ms: int = 0
    """New audio between two partial hypotheses; 0: the model's own value (Whisper 1300, CTC 320)."""
    window_soft_s: float = 15.0
    """A longer window is shortened: it drops its oldest committed words."""
    window_max_s: float = 28.0
    """The longest window (Whisper's positions end at 30 s)."""
    file_window_s: float = 16.0
    """The same for recordings. Shorter, because attention costs grow with the square of the length, and because
    Whisper sometimes leaves the second half of a long window unwritten (docs/log/decoding.md#windows-of-16-s)."""
    overlap_s: float = 1.5
    """How much committed speech a shortened window keeps."""
    stall_s: float = 0.65
    """After this much speech without a new word the window restarts behind the committed text."""
    holdback_ms: int = 2000
    """A word is not committed before it ends this far from the window's end."""
    unsure_holdback_ms: int = 6000
    """The same for a word whose confidence is below `sure`."""
    long_window_s: float = 8.0
    """In a longer window old words are held and the next two holdbacks count
    (docs/log/decoding.md#long-windows-settle-sooner)."""
    long_holdback_ms: int = 1300
    """`holdback_ms` of a long window."""
    long_unsure_holdback_ms: int = 1800
    """`unsure_holdback_ms` of a long window."""
    hold_s: float = 1.5
    """A word that ended this long before the end of a long window is held: see `DecodeSettings.hold_nats`."""
    sure: float = 0.7
    """The confidence that a word needs for the shorter holdback."""
    collapse_s: float = 1.0
    """A hypothesis that ends this much earlier than the previous one is doubted."""
    gap_s: float = 1.0
    """More speech than this that no word covers is decoded again (`asr.streaming.unread`)."""


@dataclass(frozen=True, slots=True)
class CtcSettings:
    """Context and search of CTC models (wav2vec 2.0, HuBERT, WavLM). Their chunk is `StreamSettings.update_ms`.

    A model's folder can have its own values, in its `decoding.json`; they hold where the settings are left at "open".
    """

    right_s: float = 0.0
    """Right context: a frame is final after this much more audio; 0 (open): the model's own value, else 0.64."""
    left_s: float = 8.0
    """Left context: how much earlier audio a frame attends to."""
    lm: str = ""
    """File of an n-gram model (KenLM) in lower case; "" (open): the model's own, with the next two values."""
    lm_weight: float = 0.5
    """Weight of the language model's log-probability; the acoustic score has weight 1."""
    word_bonus: float = 1.0
    """Added to the score for each word (natural logarithm), since a language model favours short texts."""
    hotword_weight: float = 5.0
    """Added to the score for each hotword (natural logarithm)."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """How the text of a window is searched: limits, beams, fallback temperatures, hotwords."""

    max_tokens_per_s: float = 12.0
    """Loop guard: a text may have this many tokens a second of the window, plus ten. A longer one counts as a loop."""
    settle_s: float = 4.0
    """Whisper's encoder computes a frame again with each update until this much audio follows it."""
    beam_size: int = 1
    """Hypotheses kept in parallel; the decoder's cost is proportional, so more than 1 is for recordings. 1 is greedy
    search. For a CTC model 1 means the model's own value, else 8 with hotwords or a language model, else greedy."""
    fallback_temperatures: tuple[float, ...] = ()
    """A text that loops or is improbable is sampled again at these temperatures, in order, until one is neither."""
    hold_nats: float = 0.7
    """In a long window a word of the previous hypothesis that ended `StreamSettings.hold_s` ago changes only if the new
    one is more probable by this much (natural logarithm). Whisper only; 0: never held."""
    hotword_boost: float = 3.0
    """What each token of a hotword is worth: it is written where it costs less log-probability. Whisper only."""
    translate: bool = False
    """Write in English what is said in any language. Whisper models of several languages only."""
    ctc: CtcSettings = field(default_factory=CtcSettings)
    """What only CTC models read. An architecture with settings of its own gets such a field."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """All settings of one session."""

    vad: VadSettings = field(default_factory=VadSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    decode: DecodeSettings = field(default_factory=DecodeSettings)


def read_toml(path: Path) -> dict[str, Any]:
    """The table in a TOML file. Raises `ConfigError` for a file that is missing or not valid TOML."""
    try:
        text = decoded(path.read_bytes())
        if fault(text):
            raise ConfigError(f"{path} is not valid TOML: {fault(text)}")
        return tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"no settings file at {path}; name an existing TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def build(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls` from a TOML table; nested dataclasses from nested tables.

    `where` names the table in errors. Raises `ConfigError` that names the key, what was found and what is wanted.
    """
    hints = typing.get_type_hints(cls)
    keys = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in table:
        if key not in keys:
            raise ConfigError(f"{where}: unknown key {key!r}; known keys are {', '.join(keys)}")
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
    """The folder of the project's own `*.toml`: inside an installed package, else at the root of the checkout."""
    packaged = Path(__file__).parent / "configs"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "configs"


def load_session_settings(path: Path | None) -> SessionSettings:
    """The settings in a TOML file with the tables [vad], [stream] and [decode]; the defaults without a file.

    Raises `ConfigError`.
    """
    return SessionSettings() if path is None else build(SessionSettings, read_toml(path), str(path))
