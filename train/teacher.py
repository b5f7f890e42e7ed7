"""What a teacher hears, frame by frame, as numbers: clusters of its states, as HuBERT's targets are (Hsu et al. 2021).

The teacher is a layer of Whisper's encoder, which knows very many voices: a cluster of its states is near to a sound of
speech, whoever says it. The states themselves were tried as targets: most of their variance is finer than a small
network can tell, and after an epoch 93 % of it was still unexplained (docs/LOG.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from asr.errors import ConfigError, ModelError
from asr.features import log_mel
from asr.models.whisper import TAIL_SAMPLES
from asr.models.whisper_encoder import FRAME_SAMPLES
from asr.weights import load_model_files
from eval.progress import progress
from train.config import TeacherSettings
from train.data import Heard, Split
from train.whisper import layer_states, whisper_network

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


def taught(split: Split, teacher: Teacher, units: int, seed: int) -> Split:
    """The same examples with what the teacher hears in each, as it was spoken; the training part makes the units."""
    examples = (*split.train, *split.dev)
    with progress("listening to the teacher", len(examples)) as bar:
        found = []
        for example in examples:
            found.append(teacher.states(example.samples).half())
            bar.advance(1)
    numbers = clusters(found, len(split.train), units, seed)
    heard = tuple(
        replace(example, heard=Heard(row, len(example.samples))) for example, row in zip(examples, numbers, strict=True)
    )
    return replace(split, train=heard[: len(split.train)], dev=heard[len(split.train) :])


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
