"""What a teacher hears: the states of a layer of Whisper's encoder, which knows very many voices.

Layer 3 of tiny.en's four tells digits of an unheard voice apart best (a linear probe, docs/LOG.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asr.errors import ConfigError, ModelError
from asr.features import log_mel
from asr.models.whisper import TAIL_SAMPLES
from asr.models.whisper_encoder import FRAME_SAMPLES
from asr.weights import load_model_files
from eval.progress import progress
from train.config import TeacherSettings
from train.data import Heard, Split
from train.whisper import layer_states, whisper_network

_FEWEST = 1e-3
"""The least spread of a dimension that is divided by: one that never moves tells nothing."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """One layer of a Whisper model's encoder, counted from 1."""

    encoder: Any
    bands: int
    layer: int

    @property
    def width(self) -> int:
        return int(self.encoder.config.d_model)

    def states(self, samples: np.ndarray) -> np.ndarray:
        """Samples ``(n,)`` -> a state every 20 ms ``(n / 320, width)``, with a moment of silence heard behind."""
        padded = np.pad(samples, (0, TAIL_SAMPLES))
        mel = log_mel(padded[: len(padded) // FRAME_SAMPLES * FRAME_SAMPLES], self.bands)
        states = layer_states(self.encoder, mel, self.layer)
        return states[: -(-len(samples) // FRAME_SAMPLES)].numpy()


def teacher_of(settings: TeacherSettings) -> Teacher:
    """Raises `ModelError` for a model that is no Whisper, `ConfigError` for a layer that it does not have."""
    files = load_model_files(settings.model)
    if files.architecture != "whisper":
        raise ModelError(f"{settings.model} is a {files.architecture} model, wanted a Whisper model as teacher.model")
    count = int(files.config["encoder_layers"])
    if not 1 <= settings.layer <= count:
        raise ConfigError(f"teacher.layer is {settings.layer}, wanted 1 to {count} for {settings.model}")
    return Teacher(whisper_network(files).model.encoder.eval(), int(files.config["num_mel_bins"]), settings.layer)


def taught(split: Split, teacher: Teacher) -> Split:
    """The same examples with what the teacher hears in each, as it was spoken; every dimension counts the same.

    Some of Whisper's are a hundred times as wide as others: all are scaled by what the training part has.
    """
    with progress("listening to the teacher", len(split.train) + len(split.dev)) as bar:
        found = []
        for example in (*split.train, *split.dev):
            found.append(teacher.states(example.samples))
            bar.advance(1)
    mean, spread = _scale(found[: len(split.train)])
    heard = [
        replace(example, heard=Heard(((states - mean) / spread).astype(np.float16), len(example.samples)))
        for example, states in zip((*split.train, *split.dev), found, strict=True)
    ]
    return replace(split, train=tuple(heard[: len(split.train)]), dev=tuple(heard[len(split.train) :]))


def _scale(found: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of each dimension ``(width,)`` over all frames."""
    frames = sum(map(len, found))
    mean = sum(states.sum(0, dtype=np.float64) for states in found) / frames
    variance = sum(np.square(states - mean).sum(0) for states in found) / frames
    return mean.astype(np.float32), np.maximum(np.sqrt(variance), _FEWEST).astype(np.float32)
