"""What a training is made of, frozen, read from `configs/train/*.toml`; unknown keys refused."""

from dataclasses import dataclass, field
from pathlib import Path

from asr.config import build, read_toml
from asr.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Which recordings. Paths are relative to the working directory."""

    train: tuple[str, ...]
    """Data sets as `asr eval run --data` takes them."""
    left_out_speakers: tuple[str, ...] = ()
    """All of theirs is kept away: for testing."""
    dev_speakers: tuple[str, ...] = ()
    """All of theirs tells when to stop; where there are none, `dev_share` of the recordings does."""
    dev_share: float = 0.1
    words: tuple[str, ...] = ()
    """Only recordings in which nothing but these words is said, whatever their case; empty for all."""
    longest_s: float = 20.0
    """Longer recordings are left out."""
    language: str = "en"
    limit: int = 0
    """Use no more recordings than this; 0 for all."""


@dataclass(frozen=True, slots=True)
class LabelSettings:
    """How texts become what the model writes. Anything that then is not in its vocabulary is refused."""

    case: str = "auto"
    """lower, upper, keep; auto is the vocabulary's own where it has one case only, else keep."""
    drop: str = ""
    """Characters to leave out, such as punctuation."""
    language_model: bool = False
    """Put a model of the labels' words beside the weights, and search with it; for a closed vocabulary."""
    replace: tuple[str, ...] = ()
    """Rules such as "é=e", in order."""


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What is trained. With `start` "random" the sizes below are the network's; else they are the start's own.

    With kind = distil only the convolutions are random, and the transformer with its sizes is the teacher's.
    """

    start: str = "random"
    """random, a folder, or a hub id."""
    freeze: tuple[str, ...] = ()
    """Parameters whose name begins so stay as they are, such as "wav2vec2.feature_extractor"."""
    train_only: tuple[str, ...] = ()
    """Where any are given, all other parameters stay as they are."""
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    filters: str = "random"
    """The first layer's start: random, or mel (filters of speech bands in four phases; `train.filters`)."""
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Whom a student of kind distil learns from."""

    model: str = "whisper-tiny.en"
    """A Whisper model's name, folder or hub id."""


@dataclass(frozen=True, slots=True)
class AugmentSettings:
    """What recordings go through, anew in each epoch. A share is the probability for one example."""

    ramp: float = 0.0
    """Over this share of the training all of the below grows from nothing to what it says; short, clean examples first
    show CTC where letters are."""
    join: int = 1
    """Up to so many recordings of one speaker make an example."""
    gap_s: tuple[float, ...] = (0.05, 0.6)
    """Silence between joined recordings, from and to."""
    edge_s: tuple[float, ...] = (0.0, 0.0)
    """Silence before and behind an example, from and to."""
    speed: tuple[float, ...] = (1.0, 1.0)
    """Played so much faster, pitch and formants with it, from and to."""
    gain_db: tuple[float, ...] = (0.0, 0.0)
    colour_db: float = 0.0
    """A microphone of its own for each example: gains of up to so much, up or down, at some frequencies."""
    noise: tuple[str, ...] = ()
    noise_share: float = 0.5
    snr_db: tuple[float, ...] = (5.0, 35.0)
    rooms: tuple[str, ...] = ()
    room_share: float = 0.3
    mask_time_prob: float = 0.05
    """SpecAugment (Park et al. 2019) as Transformers does it on the features: share of masked frames."""
    mask_time_length: int = 10
    mask_feature_prob: float = 0.0
    mask_feature_length: int = 10


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """How it is trained."""

    epochs: int = 30
    batch_s: float = 20.0
    """Audio in one step."""
    learning_rate: float = 5e-4
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    patience: int = 0
    """Stop after so many epochs without a better dev WER; 0 for never."""
    dev_every: int = 1
    """Epochs between two looks at the dev set."""
    keep: str = "best"
    """Which weights are the result: the best of the looks, or the last, for a dev set too small to tell them apart."""
    save_every_s: float = 60.0
    device: str = "auto"
    threads: int = 0
    """Of torch; 0 leaves it as it is."""


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """``kind`` is ctc (Wav2Vec2ForCTC and its like), whisper, or distil (a start for ctc that Whisper teaches)."""

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
    """The settings of a file. Raises `ConfigError`."""
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
    for key in ("gap_s", "edge_s", "speed", "gain_db", "snr_db"):
        found = getattr(settings.augment, key)
        if len(found) != 2 or found[0] > found[1]:
            raise ConfigError(f"{path}: augment.{key} is {list(found)}, wanted two numbers, from and to")
    return settings
