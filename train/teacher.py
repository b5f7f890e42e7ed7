"""What a teacher hears, frame by frame, as numbers: clusters of its states, as HuBERT's targets are (Hsu et al. 2021).

The teacher is a layer of Whisper's encoder, which knows very many voices: a cluster of its states is near to a sound of
speech, whoever says it. The states themselves were tried as targets: most of their variance is finer than a small
network can tell, and after an epoch 93 % of it was still unexplained (docs/LOG.md).
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr.cache import write_atomically
from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError, ModelError
from asr.features import log_mel
from asr.models.whisper import TAIL_SAMPLES
from asr.models.whisper_encoder import FRAME_SAMPLES
from asr.weights import load_model_files
from eval.progress import progress
from train.config import TeacherSettings
from train.data import Example, Heard, Split
from train.whisper import layer_states, whisper_network

UNITS = "units.npz"
_ROUNDS = 15
"""Of k-means; later ones move hardly a frame."""
_FRAMES = 60_000
"""Of all states, to find the clusters with."""
_LEAST_SPREAD = 1e-3
"""A dimension that hardly moves tells nothing: divided by no less than this."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """One layer of a Whisper model's encoder, counted from 1."""

    encoder: Any
    bands: int
    layer: int

    def states(self, samples: np.ndarray) -> torch.Tensor:
        """Samples ``(n,)`` -> a state every 20 ms ``(n / 320, width)``, with a moment of silence heard behind."""
        padded = np.pad(samples, (0, TAIL_SAMPLES))
        mel = log_mel(padded[: len(padded) // FRAME_SAMPLES * FRAME_SAMPLES], self.bands)
        return layer_states(self.encoder, mel, self.layer)[: -(-len(samples) // FRAME_SAMPLES)]


def teacher_of(settings: TeacherSettings) -> Teacher:
    """Raises `ModelError` for a model that is no Whisper, `ConfigError` for a layer that it does not have."""
    files = load_model_files(settings.model)
    if files.architecture != "whisper":
        raise ModelError(f"{settings.model} is a {files.architecture} model, wanted a Whisper model as teacher.model")
    count = int(files.config["encoder_layers"])
    if not 1 <= settings.layer <= count:
        raise ConfigError(f"teacher.layer is {settings.layer}, wanted 1 to {count} for {settings.model}")
    return Teacher(whisper_network(files).model.encoder.eval(), int(files.config["num_mel_bins"]), settings.layer)


def taught(split: Split, settings: TeacherSettings, seed: int, kept: Path) -> Split:
    """The same examples with what the teacher hears in each, as it was spoken; the training part makes the units.

    They are kept in the file `kept`, so that a training that goes on need not listen again.
    """
    key = json.dumps([asdict(settings), seed, split.sha256])
    numbers = _read(kept, key)
    if numbers is None:
        teacher = teacher_of(settings)
        states = listened(teacher, (*split.train, *split.dev))
        numbers = clusters(states, len(split.train), settings.units, seed)
        _write(kept, key, numbers)
    examples = (*split.train, *split.dev)
    heard = tuple(
        replace(example, heard=Heard(row, len(example.samples))) for example, row in zip(examples, numbers, strict=True)
    )
    return replace(split, train=heard[: len(split.train)], dev=heard[len(split.train) :])


def listened(teacher: Teacher, examples: Sequence[Example]) -> list[torch.Tensor]:
    """The teacher's states of each, in half precision."""
    found = []
    with progress("listening to the teacher", sum(len(e.samples) for e in examples) / SAMPLE_RATE_HZ) as bar:
        for example in examples:
            found.append(teacher.states(example.samples).half())
            bar.advance(len(example.samples) / SAMPLE_RATE_HZ)
    return found


def _read(path: Path, key: str) -> list[np.ndarray] | None:
    """The units kept for `key`; None where there are none, or another's."""
    if not path.is_file():
        return None
    table = np.load(path)
    if str(table["key"]) != key:
        return None
    return np.split(table["units"], table["ends"][:-1])


def _write(path: Path, key: str, numbers: Sequence[np.ndarray]) -> None:
    ends = np.cumsum([len(row) for row in numbers])
    write_atomically(path, lambda to: _save(to, key=np.array(key), units=np.concatenate(numbers), ends=ends))


def _save(path: Path, **arrays: np.ndarray) -> None:
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def clusters(states: Sequence[torch.Tensor], of: int, count: int, seed: int) -> list[np.ndarray]:
    """The number of each state's cluster, recording by recording ``(n, width)`` -> ``(n,)``.

    The clusters are found (k-means) in some frames of the first `of` recordings, and every dimension counts the same:
    some of Whisper's are a hundred times as wide as others. Raises `ConfigError` for fewer frames than clusters.
    """
    flat = torch.cat([part.float() for part in _some(states[:of], seed)])
    if len(flat) < count:
        raise ConfigError(f"the recordings have {len(flat)} frames, wanted at least teacher.units = {count}")
    mean, spread = flat.mean(0), flat.std(0).clamp_min(_LEAST_SPREAD)
    centres = _centres((flat - mean) / spread, count, seed)
    return [_nearest((part.float() - mean) / spread, centres).numpy() for part in states]


def _some(states: Sequence[torch.Tensor], seed: int) -> list[torch.Tensor]:
    """Every so many-th frame of each recording, about `_FRAMES` of all."""
    stride = max(1, sum(map(len, states)) // _FRAMES)
    return [part[seed % stride :: stride] for part in states]


def _centres(points: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Lloyd's rounds from points drawn at random; a centre that loses all of its points begins at another one."""
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=generator)[:count]]
    for _ in range(_ROUNDS):
        nearest = _nearest(points, centres)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        anew = points[torch.randint(len(points), (count,), generator=generator)]
        centres = torch.where(sizes[:, None] > 0, sums / sizes.clamp_min(1)[:, None], anew)
    return centres


def _nearest(points: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """``(n, width), (k, width) -> (n,)``, some thousand rows at a time."""
    half = centres.square().sum(1) / 2
    return torch.cat([(part @ centres.t() - half).argmax(1) for part in points.split(8192)])
