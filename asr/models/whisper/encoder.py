"""Whisper's encoder for windows that grow: it encodes the real audio, without padding to 30 s, and only what is new.

The published encoder sees a complete window at once. Here a frame is settled when `settle_frames` frames have followed
it. Settled frames keep their state, and in each layer the keys and values that later frames attend to; the other frames
are computed again. Without a state, or with `settle_frames` as long as the window, this is the published encoder.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.models.layers import Attention, Conv, Norm, layer_norm, norm_of, self_attention_of
from asr.models.linear import Linear, make_linear
from asr.models.whisper.features import HOP_SAMPLES, log_power, scaled

MAX_FRAMES = 1500
"""The number of the encoder's positions: 30 s."""
FRAME_SAMPLES = 2 * HOP_SAMPLES
_LEAD_FRAMES = 4
"""Frames computed before the new ones and dropped, because the convolutions and the spectrum see beyond their edges."""


@dataclass(frozen=True, slots=True)
class EncoderState:
    """What the encoder keeps of a window: by layer keys and values ``(H, n, D)`` of all frames up to now.

    ``audio_frames`` of the ``n`` frames are audio, the others the silence after it. ``loudest``: the highest log power.
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    audio_frames: int
    loudest: float


@dataclass(frozen=True, slots=True)
class _Layer:
    norm: Norm
    attention: Attention
    mlp_norm: Norm
    up: Linear
    down: Linear


class Encoder:
    """One model's encoder. Stateless: `extend` takes and returns the state of a window."""

    def __init__(self, tensors: dict[str, torch.Tensor], config: dict[str, Any], precision: str) -> None:
        self.bands = int(config["num_mel_bins"])
        heads = int(config["encoder_attention_heads"])
        self._heads = heads
        self._convs = [
            Conv(tensors[f"model.encoder.conv{i}.weight"], tensors[f"model.encoder.conv{i}.bias"], i, precision)
            for i in (1, 2)
        ]
        self._positions = tensors["model.encoder.embed_positions.weight"].float()
        self._layers = [
            _layer(tensors, f"model.encoder.layers.{i}", heads, precision) for i in range(int(config["encoder_layers"]))
        ]
        self._norm = norm_of(tensors, "model.encoder.layer_norm")
        last = tensors[f"model.encoder.layers.{len(self._layers) - 1}.self_attn.v_proj.weight"]
        self.key = hashlib.sha256(last.float().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
        """Names the encoder by one of its tensors, which any training of it changes."""

    def extend(
        self, samples: np.ndarray, state: EncoderState | None, settle_frames: int, tail_samples: int
    ) -> tuple[torch.Tensor, int, EncoderState]:
        """Encode a window of samples ``(n,)``, to which `tail_samples` zeros are added.

        The window begins at the same sample as the state's window and is at least as long. Returns the states
        ``(m, width)`` of the computed frames, the number of settled frames before them, and the window's new state.
        """
        kept = max(0, state.audio_frames - settle_frames) if state else 0
        lead = min(kept, _LEAD_FRAMES)
        audio = np.concatenate([samples[(kept - lead) * FRAME_SAMPLES :], np.zeros(tail_samples, np.float32)])
        frames = min(len(audio) // FRAME_SAMPLES, MAX_FRAMES - kept + lead)
        power = log_power(audio[: frames * FRAME_SAMPLES], self.bands, self._positions.device)
        loudest = max(float(power.max()), state.loudest if state else -np.inf)
        states, keys, values = self._run(scaled(power, loudest), kept, lead, state)
        return states, kept, EncoderState(keys, values, len(samples) // FRAME_SAMPLES, loudest)

    def run_mel(self, mel: torch.Tensor) -> torch.Tensor:
        """The published encoder: log-mel ``(bands, 2 n)`` -> states ``(n, width)``."""
        return self._run(mel, 0, 0, None)[0]

    def _run(
        self, mel: torch.Tensor, kept: int, lead: int, state: EncoderState | None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
        first, second = self._convs
        x = F.gelu(second(F.gelu(first(mel.t()))))[lead:]  # (m, width)
        x = x + self._positions[kept : kept + len(x)]
        all_keys, all_values = [], []
        for i, layer in enumerate(self._layers):
            q, k, v = layer.attention.project(layer_norm(x, layer.norm))  # (H, m, D)
            if state and kept:
                k = torch.cat([state.keys[i][:, :kept], k], dim=1)
                v = torch.cat([state.values[i][:, :kept], v], dim=1)
            y = F.scaled_dot_product_attention(q[None], k[None], v[None], scale=1.0)[0]
            x = x + layer.attention.out(y.transpose(0, 1).flatten(1))
            x = x + layer.down(F.gelu(layer.up(layer_norm(x, layer.mlp_norm))))
            all_keys.append(k)
            all_values.append(v)
        return layer_norm(x, self._norm), tuple(all_keys), tuple(all_values)


def _layer(tensors: dict[str, torch.Tensor], name: str, heads: int, precision: str) -> _Layer:
    return _Layer(
        norm=norm_of(tensors, f"{name}.self_attn_layer_norm"),
        attention=self_attention_of(tensors, f"{name}.self_attn", heads, precision),
        mlp_norm=norm_of(tensors, f"{name}.final_layer_norm"),
        up=make_linear(tensors[f"{name}.fc1.weight"], tensors[f"{name}.fc1.bias"], precision),
        down=make_linear(tensors[f"{name}.fc2.weight"], tensors[f"{name}.fc2.bias"], precision),
    )
