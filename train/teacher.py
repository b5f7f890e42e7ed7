"""Whisper's encoder as a teacher: the outputs of its convolutions and of its last layers."""

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
"""The student learns the states of this many last layers; the last one after the final layer norm."""
_EVERY = 7
"""Normalisation statistics use every 7th frame of the states, and the front-end of every 7th recording."""
_MIN_SPREAD = 1e-3
"""Lower bound of a standard deviation: a nearly constant dimension must not dominate the loss."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A Whisper model's encoder, frozen, and its number of mel bands."""

    encoder: Any
    bands: int

    @torch.no_grad()
    def front(self, samples: np.ndarray) -> torch.Tensor:
        """Samples ``(n,)`` -> output of the convolutions ``(n / 320, width)``, a frame every 20 ms.

        The encoder sees `TAIL_SAMPLES` of silence after the samples, as in recognition.
        """
        padded = np.pad(samples, (0, TAIL_SAMPLES))
        mel = log_mel(padded[: len(padded) // FRAME_SAMPLES * FRAME_SAMPLES], self.bands)
        return convolved(self.encoder, mel)[: -(-len(samples) // FRAME_SAMPLES)]

    @torch.no_grad()
    def states(self, samples: np.ndarray) -> torch.Tensor:
        """Samples ``(n,)`` -> states of the last layers ``(n / 320, LAYERS, width)``, a frame every 20 ms."""
        states = layer_states(self.encoder, self.front(samples))
        return torch.stack([*states[-LAYERS:-1], self.encoder.layer_norm(states[-1])], 1)


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and standard deviation of a teacher's outputs: some of Whisper's dimensions vary 100 times more than others.

    For the states both are per dimension ``(LAYERS, width)``. For the front-end the mean is ``(width,)`` and the spread
    a scalar ``()`` common to all dimensions.
    """

    mean: torch.Tensor
    spread: torch.Tensor

    def apply(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` of the same trailing shape, with mean 0 and standard deviation 1."""
        return (x - self.mean) / self.spread


def front_normalisation(examples: Sequence[Example], teacher: Teacher) -> Normalisation:
    """The normalisation of the front-end, from some of the examples."""
    fronts = torch.cat([teacher.front(e.samples) for e in examples[::_EVERY]])
    return Normalisation(fronts.mean(0), fronts.var(0).mean().sqrt())


def load_teacher(settings: TeacherSettings) -> Teacher:
    """The encoder of a Whisper model. Raises `ModelError` for another model."""
    files = whisper_files(settings.model, "as teacher.model")
    encoder = whisper_network(files).model.encoder.eval().requires_grad_(False)
    return Teacher(encoder, int(files.config["num_mel_bins"]))


def with_teacher_states(split: Split, teacher: Teacher) -> tuple[Split, Normalisation]:
    """Adds the teacher's states to each unaugmented example, in half precision. Returns also their normalisation."""
    examples = (*split.train, *split.dev)
    labelled = []
    with progress("running the teacher", sum(len(e.samples) for e in examples) / SAMPLE_RATE_HZ) as bar:
        for example in examples:
            states = teacher.states(example.samples).half()
            labelled.append(replace(example, teacher=TeacherStates(states, len(example.samples))))
            bar.advance(len(example.samples) / SAMPLE_RATE_HZ)
    train = tuple(labelled[: len(split.train)])
    states = torch.cat([e.teacher.states[::_EVERY].float() for e in train if e.teacher is not None])
    normalisation = Normalisation(states.mean(0), states.std(0).clamp_min(_MIN_SPREAD))
    return replace(split, train=train, dev=tuple(labelled[len(split.train) :])), normalisation
