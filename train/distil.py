"""A wav2vec2 network that learns to tell what a teacher hears, frame by frame, before it ever sees a letter.

Targets for every frame are learned far faster than CTC's, whose letters may be anywhere, and need no labels: any
recordings will do, of as many voices as there are. Only what the student hears is altered: the teacher hears each
as it was spoken, so a voice that is moved up or down keeps the targets of the voice that it was.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.errors import ConfigError
from asr.models.whisper_encoder import FRAME_SAMPLES
from eval.counts import Counts
from train.config import AugmentSettings, ModelSettings
from train.ctc import FIRST, masks_of, padded, random_config, with_filters, write_preprocessor
from train.data import Example
from train.task import freeze


class Student(torch.nn.Module):
    """The body of a CTC model, with a head for the teacher's units that is thrown away in the end."""

    def __init__(self, body: Any, units: int) -> None:
        super().__init__()
        self.wav2vec2 = body
        self.head = torch.nn.Linear(int(body.config.hidden_size), units)


class DistilTask:
    """`train.task.Task` for a student; its examples have been `taught`. Errors are frames told otherwise."""

    measure = "frame error rate"

    def __init__(self, model: Student, device: torch.device) -> None:
        self.model: torch.nn.Module = model.to(device)
        self._student, self._device = model, device

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """The mean cross entropy of a frame."""
        scores, wanted = self._frames(batch)
        return F.cross_entropy(scores, wanted)

    def errors(self, batch: Sequence[Example]) -> Counts:
        """Frames told as the teacher hears them are hits, others substitutions."""
        scores, wanted = self._frames(batch)
        right = int((scores.argmax(-1) == wanted).sum())
        return Counts(hits=right, substitutions=len(wanted) - right)

    def save(self, folder: Path) -> None:
        """The body in Transformers' layout, without a vocabulary: a start for CTC."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._student.wav2vec2.save_pretrained(folder)
        write_preprocessor(folder, normalise=False)

    def _frames(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores ``(frames, units)`` and what is wanted ``(frames,)``, of all frames that have heard sound only."""
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
    """The teacher's unit ``(T,)`` that is nearest to each of `centres` ``(T,)``, in samples of the example.

    The example may be played at another speed than the teacher heard it: then its units are spread evenly over it.
    """
    heard = example.heard
    assert heard is not None
    places = np.round(centres * (heard.samples / len(example.samples)) / FRAME_SAMPLES).astype(int)
    units: np.ndarray = heard.units[np.clip(places, 0, len(heard.units) - 1)]
    return units


def distil_task(settings: ModelSettings, augment: AugmentSettings, units: int, device: torch.device) -> DistilTask:
    """A student from chance, of so many units. Raises `ConfigError` for what would part it from its teacher in time."""
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
    task = DistilTask(Student(body, units), device)
    freeze(task.model, settings.freeze, settings.train_only)
    return task
