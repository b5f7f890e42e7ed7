"""What a teacher hears: Whisper's encoder, which knows very many voices; its convolutions and its last layers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from asr.config import SAMPLE_RATE_HZ
from asr.models.whisper.encoder import FRAME_SAMPLES
from asr.models.whisper.features import log_mel
from asr.models.whisper.network import TAIL_SAMPLES
from eval.progress import progress
from train.config import TeacherSettings
from train.data import Example, Split, TeacherStates
from train.whisper_task import convolved, layer_states, whisper_files, whisper_network

LAYERS = 2
"""So many last layers' states are what a student is to have, the very last one's normed."""
_EVERY = 7
"""So many-th frames, and recordings, tell what the teacher's numbers are measured by."""
_LEAST_SPREAD = 1e-3
"""A dimension that hardly moves tells nothing: divided by no less than this."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A Whisper model's encoder."""

    encoder: Any
    bands: int

    def front(self, samples: np.ndarray) -> torch.Tensor:
        """Samples ``(n,)`` -> what the convolutions make of them, every 20 ms ``(n / 320, width)``.

        A moment of silence is heard behind.
        """
        padded = np.pad(samples, (0, TAIL_SAMPLES))
        mel = log_mel(padded[: len(padded) // FRAME_SAMPLES * FRAME_SAMPLES], self.bands)
        return convolved(self.encoder, mel)[: -(-len(samples) // FRAME_SAMPLES)]

    @torch.no_grad()
    def states(self, samples: np.ndarray) -> torch.Tensor:
        """Samples ``(n,)`` -> the last layers' states, every 20 ms ``(n / 320, LAYERS, width)``."""
        states = layer_states(self.encoder, self.front(samples))
        return torch.stack([*states[-LAYERS:-1], self.encoder.layer_norm(states[-1])], 1)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """What a teacher's numbers are measured by: some of Whisper's dimensions are a hundred times as wide as others.

    Of the states each dimension's mean and spread ``(LAYERS, width)``; of the front its means ``(width,)`` and one
    common spread ``()``.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def of(self, x: torch.Tensor) -> torch.Tensor:
        """Measured: mean 0 and spread 1."""
        return (x - self.mean) / self.spread


def front_normalisation(examples: Sequence[Example], teacher: Teacher) -> Normalisation:
    """From some of the examples."""
    fronts = torch.cat([teacher.front(e.samples) for e in examples[::_EVERY]])
    return Normalisation(fronts.mean(0), fronts.var(0).mean().sqrt())


def load_teacher(settings: TeacherSettings) -> Teacher:
    """The encoder of a Whisper model. Raises `ModelError` for another model."""
    files = whisper_files(settings.model, "as teacher.model")
    encoder = whisper_network(files).model.encoder.eval().requires_grad_(False)
    return Teacher(encoder, int(files.config["num_mel_bins"]))


def with_teacher_states(split: Split, teacher: Teacher) -> tuple[Split, Normalisation]:
    """The same examples, each with the teacher's states of it as it was spoken, in half precision; and their scale."""
    examples = (*split.train, *split.dev)
    heard = []
    with progress("listening to the teacher", sum(len(e.samples) for e in examples) / SAMPLE_RATE_HZ) as bar:
        for example in examples:
            states = teacher.states(example.samples).half()
            heard.append(replace(example, heard=TeacherStates(states, len(example.samples))))
            bar.advance(len(example.samples) / SAMPLE_RATE_HZ)
    train = tuple(heard[: len(split.train)])
    states = torch.cat([e.heard.states[::_EVERY].float() for e in train if e.heard is not None])
    scale = Normalisation(states.mean(0), states.std(0).clamp_min(_LEAST_SPREAD))
    return replace(split, train=train, dev=tuple(heard[len(split.train) :])), scale
