"""Whisper's network, lean: an encoder that sees only real audio and a batched decoder that steps without waste.

Two things differ from the published model, none of them a weight. The encoder is given the audio that there is, not 30
seconds; what the decoder misses then, the long silence it learned to stop in, it sees as *states of silence*: encoder
states of a silent window, computed once per model, whose keys and values follow the real ones and are shared by all
streams. And the vocabulary projection is done only for the rows that are asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.config import SAMPLE_RATE_HZ
from asr.features import HOP_SAMPLES, log_mel
from asr.models.linear import Linear, RowwiseLinear, make_linear

MAX_FRAMES = 1500
_SILENT_MEL = -0.75
"""A mel value of digital silence in a window that also holds speech: eight below the maximum, scaled."""
_NEGATIVE = -1e9


@dataclass(frozen=True, slots=True)
class _Attention:
    query: Linear
    key_value: Linear
    out: Linear


@dataclass(frozen=True, slots=True)
class _Block:
    norm: tuple[torch.Tensor, torch.Tensor]
    attention: _Attention
    cross_norm: tuple[torch.Tensor, torch.Tensor] | None
    cross: _Attention | None
    mlp_norm: tuple[torch.Tensor, torch.Tensor]
    up: Linear
    down: Linear


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """One decoder layer's keys ``(H, D, n)`` and values ``(H, n, D)`` of encoder states."""

    keys: torch.Tensor
    values: torch.Tensor


Memory = tuple[LayerMemory, ...]
"""What the decoder sees of one window, a layer each."""


@dataclass(slots=True)
class Batch:
    """The decoder's state for ``B`` windows: padded memories with their masks, and the self-attention cache."""

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    real_mask: torch.Tensor
    silence_mask: torch.Tensor
    frames: tuple[int, ...]
    cache: list[tuple[torch.Tensor, torch.Tensor]]

    def keep(self, rows: torch.Tensor) -> None:
        """Drop all rows but these (the others have finished)."""
        self.keys = [k[rows] for k in self.keys]
        self.values = [v[rows] for v in self.values]
        self.real_mask, self.silence_mask = self.real_mask[rows], self.silence_mask[rows]
        self.frames = tuple(self.frames[row] for row in rows.tolist())
        self.cache = [(k[rows], v[rows]) for k, v in self.cache]


class Whisper:
    """The two networks of one model. All methods are pure functions of their arguments."""

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        config: dict[str, Any],
        alignment_heads: Sequence[tuple[int, int]],
        suppressed: Sequence[int],
        *,
        precision: str = "float32",
        silence_stride: int = 4,
    ) -> None:
        self.precision = precision
        self.bands = int(config["num_mel_bins"])
        self._heads = int(config["decoder_attention_heads"])
        self._encoder_heads = int(config["encoder_attention_heads"])
        self._width = int(config["d_model"])
        self.max_tokens = int(config["max_target_positions"])
        self._convs = _convs(tensors)
        self._encoder_positions = tensors["model.encoder.embed_positions.weight"].float()
        encoder_layers, decoder_layers = int(config["encoder_layers"]), int(config["decoder_layers"])
        self._encoder = [
            _block(tensors, f"model.encoder.layers.{i}", self._encoder_heads, precision) for i in range(encoder_layers)
        ]
        self._encoder_norm = _norm(tensors, "model.encoder.layer_norm")
        # The decoder's layers stay float32: with one token a step they wait for memory, not for arithmetic.
        self._decoder = [
            _block(tensors, f"model.decoder.layers.{i}", self._heads, "float32", precision)
            for i in range(decoder_layers)
        ]
        self._decoder_norm = _norm(tensors, "model.decoder.layer_norm")
        self._embedding = tensors["model.decoder.embed_tokens.weight"].float()
        self._decoder_positions = tensors["model.decoder.embed_positions.weight"].float()
        bias = torch.zeros(len(self._embedding))
        bias[list(suppressed)] = _NEGATIVE
        self._project = RowwiseLinear(self._embedding, bias, precision)
        self._alignment_heads = [[h for layer, h in alignment_heads if layer == i] for i in range(decoder_layers)]
        self._silence_positions, self._silence = self._states_of_silence(silence_stride)
        self._silence_weight = math.log(silence_stride)

    # -- encoder -------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, samples: np.ndarray) -> Memory:
        """Samples ``(n,)`` -> the decoder's memory of ``n // 320`` frames of 20 ms, at most 1500."""
        mel = log_mel(samples[: len(samples) // (2 * HOP_SAMPLES) * 2 * HOP_SAMPLES], self.bands)
        return self._memory(self._encode(mel[None, :, : 2 * MAX_FRAMES]))

    def _encode(self, mel: torch.Tensor) -> torch.Tensor:
        """``(1, bands, 2 n)`` -> ``(1, n, width)``."""
        (weight1, bias1), (weight2, bias2) = self._convs
        x = F.gelu(F.conv1d(mel, weight1, bias1, padding=1))
        x = F.gelu(F.conv1d(x, weight2, bias2, stride=2, padding=1)).transpose(1, 2)
        x = x + self._encoder_positions[: x.shape[1]]
        for block in self._encoder:
            y = self._normed(x, block.norm)
            q, (k, v) = block.attention.query(y), block.attention.key_value(y).chunk(2, -1)
            q, k, v = (t.unflatten(-1, (self._encoder_heads, -1)).transpose(1, 2) for t in (q, k, v))
            y = F.scaled_dot_product_attention(q, k, v, scale=1.0)
            x = x + block.attention.out(y.transpose(1, 2).flatten(2))
            x = x + block.down(F.gelu(block.up(self._normed(x, block.mlp_norm))))
        return self._normed(x, self._encoder_norm)

    def _memory(self, states: torch.Tensor) -> Memory:
        layers = []
        for block in self._decoder:
            assert block.cross is not None
            k, v = block.cross.key_value(states[0]).unflatten(-1, (2, self._heads, -1)).unbind(1)  # (n, H, D)
            layers.append(LayerMemory(k.permute(1, 2, 0).contiguous(), v.transpose(0, 1).contiguous()))
        return tuple(layers)

    @torch.inference_mode()
    def _states_of_silence(self, stride: int) -> tuple[torch.Tensor, Memory]:
        """Every ``stride``-th state of 30 s of silence; one stands for ``stride`` of them by a weight of its own."""
        states = self._encode(torch.full((1, self.bands, 2 * MAX_FRAMES), _SILENT_MEL))
        positions = torch.arange(stride // 2, MAX_FRAMES, stride)
        return positions, self._memory(states[:, positions])

    # -- decoder -------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def batch(self, memories: Sequence[Memory]) -> Batch:
        """The decoder's empty state over some windows."""
        frames = [memory[0].keys.shape[-1] for memory in memories]
        longest, size = max(frames), len(memories)
        layers = range(len(self._decoder))
        keys = [_pad([memory[i].keys for memory in memories], longest, -1) for i in layers]
        values = [_pad([memory[i].values for memory in memories], longest, -2) for i in layers]
        count = torch.tensor(frames)[:, None]
        real_mask = torch.where(torch.arange(longest) < count, 0.0, _NEGATIVE)
        silence_mask = torch.where(self._silence_positions >= count, self._silence_weight, _NEGATIVE)
        shape = (size, self.max_tokens, self._heads, self._width // self._heads)
        cache = [(torch.empty(shape), torch.empty(shape)) for _ in layers]
        return Batch(keys, values, real_mask, silence_mask, tuple(frames), cache)

    @torch.inference_mode()
    def decode(self, batch: Batch, tokens: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Feed tokens ``(B, Q)`` at their positions ``(B, Q)``.

        Returns hidden states ``(B, Q, width)`` and the alignment heads' attention to real frames ``(B, h, Q, n)``.
        """
        rows = torch.arange(len(tokens))[:, None]
        length = int(positions.max()) + 1
        mask = torch.where(torch.arange(length) <= positions[:, :, None], 0.0, _NEGATIVE)[:, None]  # (B, 1, Q, T)
        x = self._embedding[tokens] + self._decoder_positions[positions]
        attentions = []
        for i, block in enumerate(self._decoder):
            x = x + self._self_attention(block, batch.cache[i], self._normed(x, block.norm), rows, positions, mask)
            y, attention = self._cross_attention(block, batch, i, self._normed(x, block.cross_norm))
            x = x + y
            attentions.append(attention)
            x = x + block.down(F.gelu(block.up(self._normed(x, block.mlp_norm))))
        return self._normed(x, self._decoder_norm), torch.cat(attentions, dim=1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden rows ``(n, width)`` -> scores of the vocabulary ``(n, V)``; suppressed tokens are far below."""
        return self._project(hidden)

    def _self_attention(
        self,
        block: _Block,
        cache: tuple[torch.Tensor, torch.Tensor],
        x: torch.Tensor,
        rows: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        q = block.attention.query(x).unflatten(-1, (self._heads, -1)).transpose(1, 2)  # (B, H, Q, D)
        k, v = block.attention.key_value(x).unflatten(-1, (2, self._heads, -1)).unbind(2)  # (B, Q, H, D)
        keys, values = cache
        keys[rows, positions], values[rows, positions] = k, v
        length = mask.shape[-1]
        k, v = (t[:, :length].transpose(1, 2) for t in (keys, values))  # (B, H, T, D)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        return block.attention.out(y.transpose(1, 2).flatten(2))

    def _cross_attention(
        self, block: _Block, batch: Batch, layer: int, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention over real frames and, by the shared keys and values, over silence."""
        assert block.cross is not None
        size, queries, _ = x.shape
        silence = self._silence[layer]
        n = batch.keys[layer].shape[-1]
        q = block.cross.query(x).unflatten(-1, (self._heads, -1))  # (B, Q, H, D)
        by_head = q.permute(2, 0, 1, 3).flatten(1, 2)  # (H, B Q, D): one product for all streams
        to_silence = (by_head @ silence.keys).unflatten(1, (size, queries)).transpose(0, 1)  # (B, H, Q, S)
        scores = torch.cat(
            [
                q.transpose(1, 2) @ batch.keys[layer] + batch.real_mask[:, None, None],
                to_silence + batch.silence_mask[:, None, None],
            ],
            dim=-1,
        ).softmax(-1)
        attention, rest = scores[..., :n], scores[..., n:]
        y = attention @ batch.values[layer]  # (B, H, Q, D)
        y = y + (rest.transpose(0, 1).flatten(1, 2) @ silence.values).unflatten(1, (size, queries)).transpose(0, 1)
        return block.cross.out(y.transpose(1, 2).flatten(2)), attention[:, self._alignment_heads[layer]]

    def _normed(self, x: torch.Tensor, norm: tuple[torch.Tensor, torch.Tensor] | None) -> torch.Tensor:
        assert norm is not None
        return F.layer_norm(x, (self._width,), *norm)


def _pad(tensors: Sequence[torch.Tensor], length: int, dim: int) -> torch.Tensor:
    """Stack, zeros behind the shorter ones along `dim`."""
    if len(tensors) == 1:
        return tensors[0][None]
    padded = []
    for tensor in tensors:
        missing = length - tensor.shape[dim]
        padded.append(F.pad(tensor, (0, missing) if dim == -1 else (0, 0, 0, missing)))
    return torch.stack(padded)


def _norm(tensors: dict[str, torch.Tensor], name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float()


def _convs(tensors: dict[str, torch.Tensor]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [
        (tensors[f"model.encoder.conv{i}.weight"].float(), tensors[f"model.encoder.conv{i}.bias"].float())
        for i in (1, 2)
    ]


def _attention(tensors: dict[str, torch.Tensor], name: str, heads: int, query: str, memory: str) -> _Attention:
    """The projections of one attention; the query's carries the scale ``D ** -0.5``, keys and values are one matrix."""
    weight = {part: tensors[f"{name}.{part}_proj.weight"].float() for part in "qkv"}
    bias = {part: tensors[f"{name}.{part}_proj.bias"].float() for part in "qv"}
    scale = (len(weight["q"]) // heads) ** -0.5
    return _Attention(
        query=make_linear(weight["q"] * scale, bias["q"] * scale, query),
        key_value=make_linear(
            torch.cat([weight["k"], weight["v"]]), torch.cat([torch.zeros_like(bias["v"]), bias["v"]]), memory
        ),
        out=make_linear(tensors[f"{name}.out_proj.weight"], tensors[f"{name}.out_proj.bias"], query),
    )


def _block(
    tensors: dict[str, torch.Tensor], name: str, heads: int, precision: str, memory_precision: str | None = None
) -> _Block:
    """One layer; with `memory_precision` a decoder layer, whose cross keys and values are computed in it."""
    cross = memory_precision is not None
    return _Block(
        norm=_norm(tensors, f"{name}.self_attn_layer_norm"),
        attention=_attention(tensors, f"{name}.self_attn", heads, precision, precision),
        cross_norm=_norm(tensors, f"{name}.encoder_attn_layer_norm") if cross else None,
        cross=_attention(tensors, f"{name}.encoder_attn", heads, precision, memory_precision or "") if cross else None,
        mlp_norm=_norm(tensors, f"{name}.final_layer_norm"),
        up=make_linear(tensors[f"{name}.fc1.weight"], tensors[f"{name}.fc1.bias"], precision),
        down=make_linear(tensors[f"{name}.fc2.weight"], tensors[f"{name}.fc2.bias"], precision),
    )


def samples_of(frames: int) -> int:
    """Samples that `frames` encoder frames cover."""
    return frames * 2 * HOP_SAMPLES


FRAMES_PER_S = SAMPLE_RATE_HZ / (2 * HOP_SAMPLES)
