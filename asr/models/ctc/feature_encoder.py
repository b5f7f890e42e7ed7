"""The convolutions of wav2vec 2.0 and its like over a waveform that grows: each frame is computed once.

A frame depends on `receptive` samples and on no other, so the next call begins at the next frame's first sample and the
frames are those of the whole recording. Two things of the published models look at all of it instead: the zero mean and
unit variance of the audio (`do_normalize`), and in models with `feat_extract_norm="group"` the norm of the first layer
over time. Here both use what was heard up to now; in a single call over a whole recording they are the published ones.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F


@dataclass(frozen=True, slots=True)
class Heard:
    """Sums over what was heard of an utterance: of samples, and of the first layer's outputs ``(C,)``."""

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


class Waveform:
    """Pure functions of one model's convolutions."""

    def __init__(self, tensors: dict[str, torch.Tensor], config: dict[str, Any], normalise: bool) -> None:
        self._by_channel = config.get("feat_extract_norm", "group") == "group"
        self._normalise = normalise
        name = f"{config['model_type']}.feature_extractor.conv_layers"
        self._layers = [_layer(tensors, f"{name}.{i}", stride) for i, stride in enumerate(config["conv_stride"])]
        self.hop, self.receptive = 1, 1
        for kernel, stride in zip(config["conv_kernel"], config["conv_stride"], strict=True):
            self.receptive += (kernel - 1) * self.hop
            self.hop *= stride

    def frames(self, samples: int) -> int:
        """How many frames so many samples make."""
        return max(0, (samples - self.receptive) // self.hop + 1)

    def extend(self, samples: np.ndarray, heard: Heard) -> tuple[torch.Tensor, int, Heard]:
        """Samples ``(n,)`` from the next frame's first on -> frames ``(m, C)``, samples done with, what was heard."""
        count = self.frames(len(samples))
        done = count * self.hop
        if not count:
            return torch.zeros(0, self._layers[-1].weight.shape[0]), 0, heard
        heard = _with_samples(heard, samples)
        audio = torch.from_numpy(samples)
        x = (_scaled(audio, heard) if self._normalise else audio)[None, None]  # (1, 1, n)
        for i, layer in enumerate(self._layers):
            x = F.conv1d(x, layer.weight, layer.bias, layer.stride)
            if i == 0 and self._by_channel:
                x, heard = _by_channel(x, layer, heard, done // self._layers[0].stride)
            elif not self._by_channel and layer.norm is not None:
                x = F.layer_norm(x.transpose(1, 2), layer.norm[0].shape, *layer.norm).transpose(1, 2)
            x = F.gelu(x)
        return x[0, :, :count].t(), done, heard


def _with_samples(heard: Heard, samples: np.ndarray) -> Heard:
    """What was heard, with these samples; those kept for the next frame are counted twice, a few in hundreds."""
    wide = samples.astype(np.float64)
    return Heard(
        heard.samples + len(samples),
        heard.total + float(wide.sum()),
        heard.squares + float(np.square(wide).sum()),
        heard.frames,
        heard.frame_total,
        heard.frame_squares,
    )


def _scaled(audio: torch.Tensor, heard: Heard) -> torch.Tensor:
    """As Transformers' `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`."""
    mean = heard.total / heard.samples
    variance = max(0.0, heard.squares / heard.samples - mean**2)
    return (audio - mean) / float(np.sqrt(variance + 1e-7))


def _by_channel(x: torch.Tensor, layer: _Layer, heard: Heard, fresh: int) -> tuple[torch.Tensor, Heard]:
    """Each channel of ``(1, C, n)`` normalised over the time heard; the first `fresh` outputs will not come again."""
    if layer.norm is None:
        return x, heard
    counted = x[0].double()
    total, squares, frames = counted.sum(-1), counted.square().sum(-1), x.shape[-1]
    if heard.frame_total is not None and heard.frame_squares is not None:
        total, squares, frames = total + heard.frame_total, squares + heard.frame_squares, frames + heard.frames
    mean = total / frames
    variance = (squares / frames - mean.square()).clamp_min(0.0)
    scale = layer.norm[0] * (variance + 1e-5).rsqrt().float()
    scaled = x * scale[:, None] + (layer.norm[1] - mean.float() * scale)[:, None]
    again = counted[:, fresh:]  # comes again with the next samples
    kept = Heard(
        heard.samples,
        heard.total,
        heard.squares,
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
