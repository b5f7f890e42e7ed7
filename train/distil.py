"""A wav2vec2 network that learns to hear what a teacher hears, frame by frame, before it ever sees a letter.

Targets for every frame are learned far faster than CTC's, whose letters may be anywhere, and need no labels: any
recordings will do, of as many voices as there are (compare DistilHuBERT, Chang et al. 2022, whose loss this is). Only
what the student hears is altered: the teacher hears a recording as it was spoken, so a voice that is moved up or down
keeps the targets of the voice that it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.errors import ConfigError
from train.config import AugmentSettings, ModelSettings
from train.ctc import FIRST, masks_of, padded, random_config, with_filters, write_preprocessor
from train.data import Example
from train.task import freeze


@dataclass(frozen=True, slots=True)
class Unexplained:
    """How far from the teacher's states, squared and summed; the rate is the share of their variance not told."""

    squared: float = 0.0
    variance: float = 0.0

    def __add__(self, other: "Unexplained") -> "Unexplained":
        return Unexplained(self.squared + other.squared, self.variance + other.variance)

    @property
    def rate(self) -> float | None:
        return self.squared / self.variance if self.variance else None


class Student(torch.nn.Module):
    """The body of a CTC model, with a head for the teacher's states that is thrown away in the end."""

    def __init__(self, body: Any, width: int) -> None:
        super().__init__()
        self.wav2vec2 = body
        self.head = torch.nn.Linear(int(body.config.hidden_size), width)


class DistilTask:
    """`train.task.Task` for a student; its examples have been `taught`."""

    measure = "unexplained variance"

    def __init__(self, model: Student, device: torch.device) -> None:
        self.model: torch.nn.Module = model.to(device)
        self._student, self._device = model, device

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """The mean absolute difference of a frame's states, and how far their directions are from the same."""
        told, wanted = self._frames(batch)
        return F.l1_loss(told, wanted) - F.logsigmoid(F.cosine_similarity(told, wanted, dim=-1)).mean()

    def errors(self, batch: Sequence[Example]) -> Unexplained:
        """The teacher's states are of mean 0."""
        told, wanted = self._frames(batch)
        return Unexplained(float((told - wanted).square().sum()), float(wanted.square().sum()))

    def save(self, folder: Path) -> None:
        """The body in Transformers' layout, without a vocabulary: a start for CTC."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._student.wav2vec2.save_pretrained(folder)
        write_preprocessor(folder, normalise=False)

    def _frames(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """What is told and what is wanted ``(frames, width)``, of all frames that have heard sound only."""
        body = self._student.wav2vec2
        values, mask = padded([torch.from_numpy(example.samples) for example in batch])
        states = body(values.to(self._device), attention_mask=mask.to(self._device)).last_hidden_state
        counts = body._get_feat_extract_output_lengths(mask.sum(-1)).tolist()
        told = torch.cat([row[:count] for row, count in zip(states, counts, strict=True)])
        wanted = [targets(example, self._centres(count)) for example, count in zip(batch, counts, strict=True)]
        return self._student.head(told).float(), torch.from_numpy(np.concatenate(wanted)).to(self._device)

    def _centres(self, count: int) -> np.ndarray:
        config = self._student.wav2vec2.config
        return frame_centres(config.conv_kernel, config.conv_stride, count)


def frame_centres(kernels: Sequence[int], strides: Sequence[int], count: int) -> np.ndarray:
    """The sample in the middle of what each frame of a stack of convolutions hears ``(count,)``."""
    hop, field = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    centres: np.ndarray = np.arange(count) * hop + (field - 1) / 2
    return centres


def targets(example: Example, centres: np.ndarray) -> np.ndarray:
    """The teacher's states ``(T, width)`` at `centres` ``(T,)``, in samples of the example, between its own frames.

    The example may be played at another speed than the teacher heard it: then its states are spread evenly over it.
    """
    heard = example.heard
    assert heard is not None
    places = np.clip(centres * (heard.samples / len(example.samples)) / heard.frame_samples, 0, len(heard.states) - 1)
    before = places.astype(int)
    behind = np.minimum(before + 1, len(heard.states) - 1)
    share = (places - before).astype(np.float32)[:, None]
    states: np.ndarray = heard.states[before] * (1 - share) + heard.states[behind] * share
    return states


def distil_task(settings: ModelSettings, augment: AugmentSettings, width: int, device: torch.device) -> DistilTask:
    """A student from chance; `width` is the teacher's. Raises `ConfigError` for what would part the two in time."""
    from transformers import Wav2Vec2Model

    if settings.start != "random":
        raise ConfigError(f"model.start is {settings.start!r}, wanted random for kind = distil")
    if augment.join != 1 or any(augment.edge_s):
        raise ConfigError(
            f"augment.join is {augment.join} and edge_s {list(augment.edge_s)}, wanted 1 and [0, 0] for kind = distil: "
            "the teacher heard no joined recordings"
        )
    body = Wav2Vec2Model(random_config(settings, masks_of(augment)))
    with_filters(body.get_parameter(FIRST), settings.filters)
    task = DistilTask(Student(body, width), device)
    freeze(task.model, settings.freeze, settings.train_only)
    return task
