"""A wav2vec2-style network that begins as Whisper's encoder and learns to hear as that does, before it sees a letter.

Its transformer is the teacher's own, with places told by distance (WavLM's bias, Chen et al. 2022) instead of by
number, so it can hear a stream without an end. Convolutions over the waveform stand in for the teacher's spectrum: they
learn from chance what its own convolutions make of a sound. Neither needs labels: any recordings will do, of as many
voices as there are. The teacher hears each recording as it was spoken; so a student that hears it moved up or down
learns to make of it what the teacher makes of the voice that it was.
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
"""WavLM's own: frames up to 80 away have a place of their own."""
_FALL = 0.15
"""What attention's scores lose with each frame of distance, to begin with: the teacher looks about as near."""
_GATE = 1.75
"""By what WavLM multiplies the bias when its gate's weights are zero."""
_EVERY = 10
"""Frames that are told apart when errors are counted: neighbours sound alike."""


class Student(torch.nn.Module):
    """The body of a CTC model."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.wavlm = body

    @property
    def whole(self) -> bool:
        """Whether more than the front, the convolutions and their projection, is trained."""
        return any(parameter.requires_grad for parameter in self.wavlm.encoder.parameters())


class DistilTask:
    """`train.task.TrainingTask` for a student; its examples have been `taught`.

    Errors are frames that are nearer to what the teacher heard in another frame than to what it heard in theirs.
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
        self._front_scale, self._scale = front, states
        config = student.wavlm.config
        self._centre = first_centre(config.conv_kernel, config.conv_stride)

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """What the student leaves unexplained of the teacher's front and, unless its body is frozen, of its states."""
        front, states, counts = self._heard(batch)
        loss = F.mse_loss(front, self._front(batch, counts))
        return loss if states is None else loss + LAYERS * F.mse_loss(states, self._states(batch, counts))

    def errors(self, batch: Sequence[Example]) -> Counts:
        """Frames that are nearest to their own of all the batch's are hits, others substitutions."""
        front, states, counts = self._heard(batch)
        if states is None:
            told, wanted = front, self._front(batch, counts)
        else:
            told, wanted = states[:, -1], self._states(batch, counts)[:, -1]
        nearest = torch.cdist(told[::_EVERY], wanted[::_EVERY]).argmin(1)
        right = int((nearest == torch.arange(len(nearest), device=nearest.device)).sum())
        return Counts(hits=right, substitutions=len(nearest) - right)

    def save(self, folder: Path) -> None:
        """The body in Transformers' layout, without a vocabulary: a start for CTC."""
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        self._student.wavlm.save_pretrained(folder)
        write_preprocessor(folder, normalise=False)

    def _heard(self, batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor | None, list[int]]:
        """The student's front ``(n, width)``, its last layers' states ``(n, LAYERS, width)``, and frames an example."""
        body = self._student.wavlm
        values, mask = padded([torch.from_numpy(example.samples) for example in batch])
        counts: list[int] = body._get_feat_extract_output_lengths(mask.sum(-1)).tolist()
        x, _ = body.feature_projection(body.feature_extractor(values.to(self._device)).transpose(1, 2))
        front = self._front_scale.of(_real(x, counts))
        if self._scale is None:
            return front, None, counts
        frames = torch.arange(x.shape[1], device=x.device)[None] < torch.tensor(counts, device=x.device)[:, None]
        x = x.masked_fill(~frames[..., None], 0.0)
        x, bias, states = x + body.encoder.pos_conv_embed(x), None, []
        for layer in body.encoder.layers:
            x, bias = layer(x, attention_mask=frames, position_bias=bias)
            states.append(x)
        states = [*states[-LAYERS:-1], body.encoder.layer_norm(x)]
        told = torch.stack([_real(layer, counts) for layer in states], 1)
        return front, self._scale.of(told), counts

    def _front(self, batch: Sequence[Example], counts: Sequence[int]) -> torch.Tensor:
        """What the teacher's convolutions make of the same samples, in time with the student's frames."""
        whole, rest = divmod(round(self._centre), FRAME_SAMPLES)
        heard = [self._teacher.front(e.samples[rest:])[whole : whole + n] for e, n in zip(batch, counts, strict=True)]
        return self._front_scale.of(torch.cat(heard).to(self._device))

    def _states(self, batch: Sequence[Example], counts: Sequence[int]) -> torch.Tensor:
        """What the teacher made of each recording as it was spoken ``(n, LAYERS, width)``, in time with the frames."""
        heard = [targets(e, self._centre + FRAME_SAMPLES * np.arange(n)) for e, n in zip(batch, counts, strict=True)]
        assert self._scale is not None
        return self._scale.of(torch.cat(heard).to(self._device))


def _real(x: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Rows of a batch ``(B, T, width)`` without what is padding ``(n, width)``."""
    return torch.cat([row[:count] for row, count in zip(x, counts, strict=True)])


def first_centre(kernels: Sequence[int], strides: Sequence[int]) -> float:
    """The sample in the middle of what the first frame of a stack of convolutions hears.

    Raises `ConfigError` for a stack whose frames are not as far apart as the teacher's.
    """
    hop, field = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        field += (kernel - 1) * hop
        hop *= stride
    if hop != FRAME_SAMPLES:
        raise ConfigError(
            f"model.conv_stride {list(strides)} makes a frame every {hop} samples, "
            f"wanted {FRAME_SAMPLES}, as the teacher has them"
        )
    return (field - 1) / 2


def targets(example: Example, centres: np.ndarray) -> torch.Tensor:
    """The teacher's states ``(T, LAYERS, width)`` at `centres` ``(T,)``, in samples of the example.

    The example may be played at another speed than the teacher heard it: then its states are spread evenly over it.
    """
    heard = example.heard
    assert heard is not None
    states = heard.states
    frames = centres * (heard.samples / len(example.samples)) / FRAME_SAMPLES
    places = torch.from_numpy(np.clip(frames, 0, len(states) - 1)).float()
    before = places.long().clamp_max(max(0, len(states) - 2))
    share = (places - before)[:, None, None]
    return torch.lerp(states[before].float(), states[(before + 1).clamp_max(len(states) - 1)].float(), share)


def distil_task(
    settings: ModelSettings, augment: AugmentSettings, teacher: Teacher, split: Split, device: torch.device
) -> tuple[DistilTask, Split]:
    """A student with the teacher's transformer, or an earlier training's; the teacher's sizes are its own.

    And the examples, taught unless the student's body is frozen. Raises `ConfigError` for what would part it from its
    teacher in time, `ModelError` for a start that is no WavLM.
    """
    if augment.join != 1 or any(augment.edge_s):
        raise ConfigError(
            f"augment.join is {augment.join} and edge_s {list(augment.edge_s)}, wanted 1 and [0, 0] for kind = distil: "
            "the teacher heard no joined recordings"
        )
    front = front_normalisation(split.train, teacher)
    body = _transplanted(settings, augment, teacher, front) if settings.start == "random" else _begun(settings.start)
    student = Student(body)
    freeze(student, settings.freeze, settings.train_only)
    states = None
    if student.whole:
        split, states = with_teacher_states(split, teacher)
    return DistilTask(student, teacher, front, states, device), split


def _begun(start: str) -> Any:
    """An earlier training's student."""
    from transformers import WavLMModel

    folder = start_folder(start)
    kind = read_object(folder / "config.json").get("model_type")
    if kind != "wavlm":
        raise ModelError(f"{start} is a {kind} model, wanted random or what an earlier kind = distil made (wavlm)")
    return WavLMModel.from_pretrained(folder)


@torch.no_grad()
def _transplanted(settings: ModelSettings, augment: AugmentSettings, teacher: Teacher, front: Normalisation) -> Any:
    """A WavLM with the teacher's transformer and convolutions from chance."""
    from transformers import WavLMConfig, WavLMModel

    theirs = teacher.encoder.config
    config = WavLMConfig(
        hidden_size=theirs.d_model,
        num_hidden_layers=theirs.encoder_layers,
        num_attention_heads=theirs.encoder_attention_heads,
        intermediate_size=theirs.encoder_ffn_dim,
        num_buckets=_BUCKETS,
        max_bucket_distance=_FURTHEST,
        **training_config(settings, masks_of(augment)),
    )
    body: Any = WavLMModel(config)
    with_filters(body.get_parameter(FIRST), settings.filters)
    body.feature_projection.projection.bias.copy_(front.mean)
    weight = body.encoder.pos_conv_embed.conv.parametrizations.weight
    weight.original0.zero_()  # the length: nothing is added for a frame's neighbourhood, to begin with
    for mine, other in zip(body.encoder.layers, teacher.encoder.layers, strict=True):
        _take(mine, other)
    body.encoder.layer_norm.load_state_dict(teacher.encoder.layer_norm.state_dict())
    nearest = body.encoder.layers[0].attention
    distances = torch.arange(-_FURTHEST, _FURTHEST + 1)
    buckets = nearest._relative_positions_bucket(distances)
    nearest.rel_attn_embed.weight[buckets] = -_FALL / _GATE * distances.abs().float()[:, None]
    return body


def _take(mine: Any, other: Any) -> None:
    """A layer of the teacher's in place of one's own. Whisper's keys have no bias."""
    for part in ("q_proj", "v_proj", "out_proj"):
        getattr(mine.attention, part).load_state_dict(getattr(other.self_attn, part).state_dict())
    mine.attention.k_proj.weight.copy_(other.self_attn.k_proj.weight)
    mine.attention.k_proj.bias.zero_()
    mine.attention.gru_rel_pos_linear.weight.zero_()
    mine.attention.gru_rel_pos_linear.bias.zero_()
    mine.layer_norm.load_state_dict(other.self_attn_layer_norm.state_dict())
    mine.final_layer_norm.load_state_dict(other.final_layer_norm.state_dict())
    mine.feed_forward.intermediate_dense.load_state_dict(other.fc1.state_dict())
    mine.feed_forward.output_dense.load_state_dict(other.fc2.state_dict())
