"""The convolutions of wav2vec 2.0, HuBERT and WavLM over a waveform that grows: each frame is computed once.

A frame depends on its `receptive_samples` only. So the next call begins at the next frame's first sample, and the
frames equal those of the whole recording.

Two parts of the published models use statistics of the whole recording instead: zero mean and unit variance of the
audio (`do_normalize`), and with ``feat_extract_norm="group"`` the norm of the first layer over time. Here both use the
utterance up to now. In a single call over a whole recording they equal the published ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


@dataclass(frozen=True, slots=True)
class RunningSums:
    """Sums over an utterance up to now: of its samples, and of the first layer's outputs ``(C,)``."""

    samples: int = 0
    total: float = 0.0
    squares: float = 0.0
    frames: int = 0
    frame_total: torch.Tensor | None = None
    frame_squares: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class _Layer:
    weight: torch.Tensor
    bias: torch.Tensor | None
    stride: int
    norm: tuple[torch.Tensor, torch.Tensor] | None


class FeatureEncoder:
    """One model's convolutions. Stateless: `extend` takes and returns the sums of an utterance.

    ``hop_samples``: samples between two frames. ``receptive_samples``: samples that one frame sees.
    """

    def __init__(self, tensors: dict[str, torch.Tensor], config: dict[str, Any], normalise: bool) -> None:
        self._by_channel = config.get("feat_extract_norm", "group") == "group"
        self._normalise = normalise
        name = f"{config['model_type']}.feature_extractor.conv_layers"
        self._layers = [_layer(tensors, f"{name}.{i}", stride) for i, stride in enumerate(config["conv_stride"])]
        self.hop_samples, self.receptive_samples = 1, 1
        for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
            self.receptive_samples += (kernel - 1) * self.hop_samples
            self.hop_samples *= stride

    def frames(self, samples: int) -> int:
        """The number of frames that `samples` samples make."""
        return max(0, (samples - self.receptive_samples) // self.hop_samples + 1)

    def extend(self, samples: np.ndarray, sums: RunningSums) -> tuple[torch.Tensor, int, RunningSums]:
        """The frames of new audio.

        `samples` ``(n,)`` begin at the first sample of the next frame. Returns frames ``(m, C)``, the number of samples
        that no later frame needs, and the sums with this audio.
        """
        count = self.frames(len(samples))
        consumed = count * self.hop_samples
        if not count:
            return self._layers[-1].weight.new_zeros(0, len(self._layers[-1].weight)), 0, sums
        sums = _with_samples(sums, samples)
        audio = torch.from_numpy(samples).to(self._layers[0].weight.device)
        x = (_scaled(audio, sums) if self._normalise else audio)[None, None]  # (1, 1, n)
        for i, layer in enumerate(self._layers):
            x = F.conv1d(x, layer.weight, layer.bias, layer.stride)  # (1, C, m)
            if i == 0 and self._by_channel:
                x, sums = _normed_over_time(x, layer, sums, consumed // self._layers[0].stride)
            elif not self._by_channel and layer.norm is not None:
                x = F.layer_norm(x.transpose(1, 2), layer.norm[0].shape, *layer.norm).transpose(1, 2)
            x = F.gelu(x)
        return x[0, :, :count].t(), consumed, sums


def _with_samples(sums: RunningSums, samples: np.ndarray) -> RunningSums:
    """The sums with these samples. Those that the next frame sees again count twice: a few hundred in each call."""
    wide = samples.astype(np.float64)
    return RunningSums(
        sums.samples + len(samples),
        sums.total + float(wide.sum()),
        sums.squares + float(np.square(wide).sum()),
        sums.frames,
        sums.frame_total,
        sums.frame_squares,
    )


def _scaled(audio: torch.Tensor, sums: RunningSums) -> torch.Tensor:
    """Zero mean and unit variance, as Transformers' `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`."""
    mean = sums.total / sums.samples
    variance = max(0.0, sums.squares / sums.samples - mean**2)
    return (audio - mean) / float(np.sqrt(variance + 1e-7))


def _normed_over_time(x: torch.Tensor, layer: _Layer, sums: RunningSums, new: int) -> tuple[torch.Tensor, RunningSums]:
    """Each channel of ``(1, C, n)`` normalised over the utterance up to now.

    The outputs after the first `new` are computed again in the next call, so the returned sums leave them out.
    """
    if layer.norm is None:
        return x, sums
    wide = x[0].double()
    total, squares, frames = wide.sum(-1), wide.square().sum(-1), x.shape[-1]
    if sums.frame_total is not None and sums.frame_squares is not None:
        total, squares, frames = total + sums.frame_total, squares + sums.frame_squares, frames + sums.frames
    mean = total / frames
    variance = (squares / frames - mean.square()).clamp_min(0.0)
    scale = layer.norm[0] * (variance + 1e-5).rsqrt().float()
    scaled = x * scale[:, None] + (layer.norm[1] - mean.float() * scale)[:, None]
    again = wide[:, new:]
    kept = RunningSums(
        sums.samples,
        sums.total,
        sums.squares,
        frames - again.shape[-1],
        total - again.sum(-1),
        squares - again.square().sum(-1),
    )
    return scaled, kept


def _layer(tensors: dict[str, torch.Tensor], name: str, stride: int) -> _Layer:
    bias, norm = tensors.get(f"{name}.conv.bias"), tensors.get(f"{name}.layer_norm.weight")
    return _Layer(
        weight=tensors[f"{name}.conv.weight"].float(),
        bias=None if bias is None else bias.float(),
        stride=stride,
        norm=None if norm is None else (norm.float(), tensors[f"{name}.layer_norm.bias"].float()),
    )
