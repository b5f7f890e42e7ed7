"""Settings of a training, read from `configs/train/*.toml`. Unknown keys are refused."""

from dataclasses import dataclass, field
from pathlib import Path

from asr.config import build, read_toml
from asr.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which recordings to use. Paths are relative to the working directory."""

    train: tuple[str, ...]
    """Data sets as `asr eval run --data` takes them."""
    left_out_speakers: tuple[str, ...] = ()
    """None of their recordings are used, so that they can test the model."""
    dev_speakers: tuple[str, ...] = ()
    """All their recordings form the dev set; if empty, `dev_share` of all recordings does."""
    dev_share: float = 0.1
    words: tuple[str, ...] = ()
    """Use only recordings whose words are all in this list, ignoring case; empty for no restriction."""
    longest_s: float = 20.0
    """Longer recordings are left out."""
    language: str = "en"
    limit: int = 0
    """Use at most this many recordings; 0 for all."""


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """How reference texts become labels. A label with a letter outside the model's vocabulary is an error."""

    case: str = "auto"
    """lower, upper or keep; auto takes the vocabulary's case if it has only one, else keep."""
    drop: str = ""
    """Characters to remove, such as punctuation."""
    language_model: bool = False
    """Save a unigram model of the labels' words with the weights and use it in decoding; for closed vocabularies."""
    replace: tuple[str, ...] = ()
    """Replacements such as "é=e", applied in order."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The model to train. The sizes below apply if `start` is "random"; otherwise the start has its own.

    With kind = distil only the convolutions start random; the transformer and its sizes are the teacher's.
    """

    start: str = "random"
    """random, a folder, or a hub id."""
    freeze: tuple[str, ...] = ()
    """Name prefixes of parameters that are not trained, such as "wav2vec2.feature_extractor"."""
    train_only: tuple[str, ...] = ()
    """If not empty: only parameters with one of these name prefixes are trained."""
    start_share: float = 0.0
    """Share of the start's weights in those that are evaluated and saved (Wortsman et al. 2022, WiSE-FT): a model that
    learned one kind of speech then forgets less of others (docs/log/watch.md#a-full-training-on-all-training-sets)."""
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    filters: str = "random"
    """Initial filters of the first layer: random, or mel (speech bands in four phases; `train.filters`)."""
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """The teacher of kind = distil."""

    model: str = "whisper-tiny.en"
    """A Whisper model's name, folder or hub id."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """Augmentation, drawn again in each epoch. A share is the probability per example."""

    ramp: float = 0.0
    """Share of the training over which all augmentation below grows from nothing to its full value. CTC finds the
    letters more easily in short, clean examples first."""
    join: int = 1
    """Join up to this many recordings of one speaker into an example."""
    gap_s: tuple[float, ...] = (0.05, 0.6)
    """Silence between joined recordings: minimum and maximum."""
    edge_s: tuple[float, ...] = (0.0, 0.0)
    """Silence before and after an example: minimum and maximum."""
    speed: tuple[float, ...] = (1.0, 1.0)
    """Playback speed, which also shifts pitch and formants: minimum and maximum."""
    gain_db: tuple[float, ...] = (0.0, 0.0)
    colour_db: float = 0.0
    """Simulates another microphone for each example: random gains of up to this many dB at several frequencies."""
    noise: tuple[str, ...] = ()
    noise_share: float = 0.5
    snr_db: tuple[float, ...] = (5.0, 35.0)
    rooms: tuple[str, ...] = ()
    room_share: float = 0.3
    conditions: str = ""
    """Chains as `asr eval run --condition` takes them, such as "telephone+mulaw,noise:10". Their sounds are those of
    `noise` and `rooms`."""
    condition_share: float = 0.5
    """Share of the examples that get one of these chains, drawn for each."""
    mask_time_prob: float = 0.05
    """SpecAugment (Park et al. 2019) on the features, as in Transformers: share of masked frames."""
    mask_time_length: int = 10
    mask_feature_prob: float = 0.0
    mask_feature_length: int = 10


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How long a training runs, how often it is judged, and which weights it keeps."""

    epochs: int = 30
    batch_s: float = 20.0
    """Seconds of audio per step."""
    learning_rate: float = 5e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    patience: int = 0
    """Stop after this many evaluations without a better dev error rate; 0 for never."""
    dev_every: int = 1
    """Epochs between two evaluations on the dev set."""
    keep: str = "best"
    """Which weights to keep: best (of all evaluations), or last, for a dev set too small to rank them."""
    save_every_s: float = 60.0
    device: str = "auto"
    threads: int = 0
    """Threads of torch; 0 keeps its default."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """All settings. ``kind``: ctc (wav2vec 2.0, HuBERT, WavLM), whisper, distil (a start for ctc, from Whisper)."""

    name: str
    data: DataSettings
    kind: str = "ctc"
    labels: LabelSettings = field(default_factory=LabelSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    loop: LoopSettings = field(default_factory=LoopSettings)


KINDS = ("ctc", "whisper", "distil")


def load_settings(path: Path) -> TrainSettings:
    """Reads the settings. Raises `ConfigError` for unknown keys and values."""
    settings = build(TrainSettings, read_toml(path), str(path))
    if settings.kind not in KINDS:
        raise ConfigError(f"{path}: kind is {settings.kind!r}, wanted {', '.join(KINDS[:-1])} or {KINDS[-1]}")
    if settings.labels.case not in ("auto", "lower", "upper", "keep"):
        raise ConfigError(f"{path}: labels.case is {settings.labels.case!r}, wanted auto, lower, upper or keep")
    for rule in settings.labels.replace:
        if rule.find("=") < 1:
            raise ConfigError(f"{path}: labels.replace has {rule!r}, wanted rules such as 'é=e'")
    if settings.loop.keep not in ("best", "last"):
        raise ConfigError(f"{path}: loop.keep is {settings.loop.keep!r}, wanted best or last")
    share = settings.model.start_share
    if not 0.0 <= share < 1.0 or (share and settings.model.start == "random"):
        wanted = "a share from 0 to below 1, and with it a start that is not random"
        raise ConfigError(
            f"{path}: model.start_share is {share:g} with start {settings.model.start!r}, wanted {wanted}"
        )
    for key in ("gap_s", "edge_s", "speed", "gain_db", "snr_db"):
        limits = getattr(settings.augment, key)
        if len(limits) != 2 or limits[0] > limits[1]:
            raise ConfigError(f"{path}: augment.{key} is {list(limits)}, wanted two numbers: minimum and maximum")
    return settings
