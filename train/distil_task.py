"""A wav2vec2-style student that starts as Whisper's encoder and learns its states from the waveform, without labels.

The student has the teacher's transformer, but with relative positions (WavLM's bias, Chen et al. 2022) instead of
absolute ones, so it can process an endless stream. Its front-end, convolutions over the waveform, starts random and
learns the output of the teacher's convolutions over the mel spectrum. The teacher always receives the original
recording, while the student receives it augmented: faster or slower, in noise. So the student learns the same states
for all variants of a voice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.errors import ConfigError, ModelError
from asr.model_files.source import read_object
from asr.models.whisper.encoder import FRAME_SAMPLES
from eval.metrics.word_errors import Counts
from train.config import AugmentSettings, ModelSettings
from train.ctc_task import FIRST, masks_of, padded, start_folder, training_config, with_filters, write_preprocessor
from train.data import Example, Split
from train.task import freeze
from train.teacher import LAYERS, Normalisation, Teacher, front_normalisation, with_teacher_states

_BUCKETS, _FURTHEST = 320, 800
"""WavLM's defaults: distances of up to 80 frames have a bucket each, larger ones share buckets."""
_FALL = 0.15
"""Initial decrease of the attention scores per frame of distance: about as local as the teacher's attention."""
_GATE = 1.75
"""Factor that WavLM applies to the bias if its gate's weights are zero."""
_EVERY = 10
"""The frame error rate compares every 10th frame, because neighbouring frames are alike."""


class Student(torch.nn.Module):
    """A WavLM without an output layer: the start of a CTC model."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.wavlm = body

    @property
    def trains_transformer(self) -> bool:
        """True unless only the front-end (the convolutions and their projection) is trained."""
        return any(parameter.requires_grad for parameter in self.wavlm.encoder.parameters())


class DistilTask:
    """`train.task.TrainingTask` for a student. Its examples have the teacher's states unless ``states`` is None.

    A frame error: the nearest of the teacher's frames is not the one with the same index.
    """

    measure = "frame error rate"

    def __init__(
        self,
        student: Student,
        teacher: Teacher,
        front: Normalisation,
        states: Normalisation | None,
        device: torch.device,
    ) -> None:
        self.model: torch.nn.Module = student.to(device)
        self._student, self._teacher, self._device = student, teacher, device
        self._front_normalisation, self._normalisation = front, states
        config = student.wavlm.config
        self._centre = first_centre(config.conv_kernel, config.conv_stride)

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """Mean squared error to the teacher's front-end and, unless the transformer is frozen, to its states."""
        front, states, counts = self._student_outputs(batch)
        loss = F.mse_loss(front, self._teacher_front(batch, counts))
        return loss if states is None else loss + LAYERS * F.mse_loss(states, self._teacher_states(batch, counts))

    def errors(self, batch: Sequence[Example]) -> Counts:
        """Frames whose nearest teacher frame in the batch has the same index are hits, the others substitutions."""
        front, states, counts = self._student_outputs(batch)
        if states is None:
            student, teacher = front, self._teacher_front(batch, counts)
        else:
            student, teacher = states[:, -1], self._teacher_states(batch, counts)[:, -1]
        nearest = torch.cdist(student[::_EVERY], teacher[::_EVERY]).argmin(1)
        hits = int((nearest == torch.arange(len(nearest), device=nearest.device)).sum())
        return Counts(hits=hits, substitutions=len(nearest) - hits)

    def save(self, folder: Path) -> None:
        """Writes the student in Transformers' layout, without a vocabulary: a start for CTC."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._student.wavlm.save_pretrained(folder)
        write_preprocessor(folder, normalise=False)

    def _student_outputs(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor | None, list[int]]:
        """The student's front-end ``(n, width)``, states ``(n, LAYERS, width)``, and number of frames per example.

        ``n`` is the number of frames of the batch, without padding. The states are None if the transformer is frozen.
        """
        body = self._student.wavlm
        values, mask = padded([torch.from_numpy(example.samples) for example in batch])
        counts: list[int] = body._get_feat_extract_output_lengths(mask.sum(-1)).tolist()
        x, _ = body.feature_projection(body.feature_extractor(values.to(self._device)).transpose(1, 2))
        front = self._front_normalisation.apply(_unpadded(x, counts))
        if self._normalisation is None:
            return front, None, counts
        frames = torch.arange(x.shape[1], device=x.device)[None] < torch.tensor(counts, device=x.device)[:, None]
        x = x.masked_fill(~frames[..., None], 0.0)
        x, bias, states = x + body.encoder.pos_conv_embed(x), None, []
        for layer in body.encoder.layers:
            x, bias = layer(x, attention_mask=frames, position_bias=bias)
            states.append(x)
        states = [*states[-LAYERS:-1], body.encoder.layer_norm(x)]
        stacked = torch.stack([_unpadded(layer, counts) for layer in states], 1)
        return front, self._normalisation.apply(stacked), counts

    def _teacher_front(self, batch: Sequence[Example], counts: Sequence[int]) -> torch.Tensor:
        """The teacher's convolutions on the same samples ``(n, width)``, aligned with the student's frames."""
        whole, rest = divmod(round(self._centre), FRAME_SAMPLES)
        fronts = [self._teacher.front(e.samples[rest:])[whole : whole + n] for e, n in zip(batch, counts, strict=True)]
        return self._front_normalisation.apply(torch.cat(fronts).to(self._device))

    def _teacher_states(self, batch: Sequence[Example], counts: Sequence[int]) -> torch.Tensor:
        """The teacher's states of the original recordings ``(n, LAYERS, width)``, aligned with the student's frames."""
        states = [targets(e, self._centre + FRAME_SAMPLES * np.arange(n)) for e, n in zip(batch, counts, strict=True)]
        assert self._normalisation is not None
        return self._normalisation.apply(torch.cat(states).to(self._device))


def _unpadded(x: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """A padded batch ``(B, T, width)`` -> its frames without padding ``(n, width)``."""
    return torch.cat([row[:count] for row, count in zip(x, counts, strict=True)])


def first_centre(kernels: Sequence[int], strides: Sequence[int]) -> float:
    """The centre, in samples, of the receptive field of a convolution stack's first frame.

    Raises `ConfigError` if the stack's frame rate is not the teacher's.
    """
    hop, field = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    if hop != FRAME_SAMPLES:
        raise ConfigError(
            f"model.conv_stride {list(strides)} makes a frame every {hop} samples, "
            f"wanted {FRAME_SAMPLES}, as the teacher has"
        )
    return (field - 1) / 2


def targets(example: Example, centres: np.ndarray) -> torch.Tensor:
    """The teacher's states ``(T, LAYERS, width)`` at `centres` ``(T,)``, given in samples of the example.

    If the example's speed differs from the original recording's, the states are stretched evenly. Interpolates between
    frames.
    """
    teacher = example.teacher
    assert teacher is not None
    states = teacher.states
    frames = centres * (teacher.samples / len(example.samples)) / FRAME_SAMPLES
    places = torch.from_numpy(np.clip(frames, 0, len(states) - 1)).float()
    before = places.long().clamp_max(max(0, len(states) - 2))
    share = (places - before)[:, None, None]
    return torch.lerp(states[before].float(), states[(before + 1).clamp_max(len(states) - 1)].float(), share)


def distil_task(
    settings: ModelSettings, augment: AugmentSettings, teacher: Teacher, split: Split, device: torch.device
) -> tuple[DistilTask, Split]:
    """A student with the teacher's transformer and sizes, or the one of an earlier training (`settings.start`).

    Returns also the examples, with the teacher's states unless the transformer is frozen. Raises `ConfigError` for
    settings that shift the student's frames against the teacher's, `ModelError` if the start is not a WavLM.
    """
    if augment.join != 1 or any(augment.edge_s):
        raise ConfigError(
            f"augment.join is {augment.join} and edge_s {list(augment.edge_s)}, wanted 1 and [0, 0] for kind = distil: "
            "the teacher's states are of single recordings"
        )
    front = front_normalisation(split.train, teacher)
    random = settings.start == "random"
    body = _transplanted(settings, augment, teacher, front) if random else _load_student(settings.start)
    student = Student(body)
    freeze(student, settings.freeze, settings.train_only)
    states = None
    if student.trains_transformer:
        split, states = with_teacher_states(split, teacher)
    return DistilTask(student, teacher, front, states, device), split


def _load_student(start: str) -> Any:
    """The student of an earlier training. Raises `ModelError` if it is not a WavLM."""
    from transformers import WavLMModel

    folder = start_folder(start)
    kind = read_object(folder / "config.json").get("model_type")
    if kind != "wavlm":
        raise ModelError(f"{start} is a {kind} model, wanted random, or the model of an earlier kind = distil (wavlm)")
    return WavLMModel.from_pretrained(folder)


@torch.no_grad()
def _transplanted(settings: ModelSettings, augment: AugmentSettings, teacher: Teacher, front: Normalisation) -> Any:
    """A WavLM with the teacher's transformer and random convolutions."""
    from transformers import WavLMConfig, WavLMModel

    sizes = teacher.encoder.config
    config = WavLMConfig(
        hidden_size=sizes.d_model,
        num_hidden_layers=sizes.encoder_layers,
        num_attention_heads=sizes.encoder_attention_heads,
        intermediate_size=sizes.encoder_ffn_dim,
        num_buckets=_BUCKETS,
        max_bucket_distance=_FURTHEST,
        **training_config(settings, masks_of(augment)),
    )
    body: Any = WavLMModel(config)
    with_filters(body.get_parameter(FIRST), settings.filters)
    body.feature_projection.projection.bias.copy_(front.mean)
    weight = body.encoder.pos_conv_embed.conv.parametrizations.weight
    weight.original0.zero_()  # the magnitude: the positional convolution adds nothing at first
    for target, source in zip(body.encoder.layers, teacher.encoder.layers, strict=True):
        _copy_layer(source, target)
    body.encoder.layer_norm.load_state_dict(teacher.encoder.layer_norm.state_dict())
    first = body.encoder.layers[0].attention  # holds the position bias of all layers
    distances = torch.arange(-_FURTHEST, _FURTHEST + 1)
    buckets = first._relative_positions_bucket(distances)
    first.rel_attn_embed.weight[buckets] = -_FALL / _GATE * distances.abs().float()[:, None]
    return body


def _copy_layer(source: Any, target: Any) -> None:
    """Copies a layer of Whisper into one of WavLM. Whisper's keys have no bias."""
    for part in ("q_proj", "v_proj", "out_proj"):
        getattr(target.attention, part).load_state_dict(getattr(source.self_attn, part).state_dict())
    target.attention.k_proj.weight.copy_(source.self_attn.k_proj.weight)
    target.attention.k_proj.bias.zero_()
    target.attention.gru_rel_pos_linear.weight.zero_()
    target.attention.gru_rel_pos_linear.bias.zero_()
    target.layer_norm.load_state_dict(source.self_attn_layer_norm.state_dict())
    target.final_layer_norm.load_state_dict(source.final_layer_norm.state_dict())
    target.feed_forward.intermediate_dense.load_state_dict(source.fc1.state_dict())
    target.feed_forward.output_dense.load_state_dict(source.fc2.state_dict())
