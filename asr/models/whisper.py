"""Whisper's decoder, batched over windows of different lengths, and the two networks put together.

What the decoder misses when the encoder is given only real audio, the long silence it learned to stop in, it sees as
*states of silence*: encoder states of a silent window, computed once per model, whose keys and values follow the real
ones. The vocabulary projection is done only for the rows that are asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from asr.models.layers import Attention, Norm, attention_weights, layer_norm, norm_of, self_attention_of
from asr.models.linear import Linear, make_linear
from asr.models.whisper_encoder import MAX_FRAMES, Encoder, EncoderState

_SILENT_MEL = -0.75
"""A mel value of digital silence in a window that also holds speech: eight below the maximum, scaled."""
_SILENCE_STRIDE = 4
"""One state of silence stands for four of them; their keys differ little (docs/LOG.md)."""
_NEGATIVE = -1e9
_ROOM_TOKENS = 32
"""What the cache grows by, beyond what is asked."""
TAIL_SAMPLES = 2400
"""Zeros after the audio of a window (0.15 s), so that its end is not also the end of what the encoder sees."""


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """One decoder layer's keys and values ``(H, n, D)`` of encoder states."""

    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class Memory:
    """What the model remembers of a window that grows: the encoder's state and what the decoder sees of it."""

    encoder: EncoderState
    layers: tuple[LayerMemory, ...]


@dataclass(slots=True)
class Batch:
    """The decoder's state for ``B`` windows: each one's memory with silence behind it, and the self-attention cache.

    Each window's ``masks`` ``(1, n)`` are added to its scores. The cache, by layer keys and values ``(B, T, H, D)``,
    grows with the text: it is copied when a window leaves, so room for what may come would cost more than growing.
    """

    layers: list[tuple[LayerMemory, ...]]
    masks: list[torch.Tensor]
    cache: list[tuple[torch.Tensor, torch.Tensor]]

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these (the others have finished)."""
        self.layers, self.masks = [self.layers[i] for i in rows], [self.masks[i] for i in rows]
        index = torch.tensor(rows)
        self.cache = [(k[index], v[index]) for k, v in self.cache]

    def make_room(self, tokens: int) -> None:
        """Let the cache hold so many tokens; what is not written yet is zero, since a masked NaN would still be one."""
        missing = tokens - self.cache[0][0].shape[1]
        if missing > 0:
            more = (0, 0, 0, 0, 0, missing + _ROOM_TOKENS)
            self.cache = [(F.pad(k, more), F.pad(v, more)) for k, v in self.cache]


@dataclass(frozen=True, slots=True)
class _Layer:
    norm: Norm
    attention: Attention
    cross_norm: Norm
    cross_query: Linear
    cross_out: Linear
    cross_key_value: Linear
    mlp_norm: Norm
    up: Linear
    down: Linear


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
    ) -> None:
        self.precision = precision
        self._memory_dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.max_tokens = int(config["max_target_positions"])
        self._heads, self._width = int(config["decoder_attention_heads"]), int(config["d_model"])
        self._encoder = Encoder(tensors, config, precision)
        layers = range(int(config["decoder_layers"]))
        self._layers = [_layer(tensors, f"model.decoder.layers.{i}", self._heads, precision) for i in layers]
        self._norm = norm_of(tensors, "model.decoder.layer_norm")
        self._embedding = tensors["model.decoder.embed_tokens.weight"].float()
        self._positions = tensors["model.decoder.embed_positions.weight"].float()
        bias = torch.zeros(len(self._embedding))
        bias[list(suppressed)] = _NEGATIVE
        self._project = make_linear(self._embedding, bias, precision, rowwise=True)
        self._alignment_heads = [[h for layer, h in alignment_heads if layer == i] for i in layers]
        self._silence_positions, self._silence = self._states_of_silence()

    # -- encoder -------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(self, samples: np.ndarray, memory: Memory | None = None, settle_frames: int = MAX_FRAMES) -> Memory:
        """A window of samples ``(n,)`` -> what the decoder sees of it.

        With the memory of a shorter window that began at the same sample, only frames that had not yet heard
        `settle_frames` of their future are computed again.
        """
        states, kept, encoder = self._encoder.extend(
            samples, memory.encoder if memory else None, settle_frames, TAIL_SAMPLES
        )
        fresh = self._memory(states)
        if memory and kept:
            fresh = tuple(_joined(old, new, kept) for old, new in zip(memory.layers, fresh, strict=True))
        return Memory(encoder, fresh)

    def _memory(self, states: torch.Tensor) -> tuple[LayerMemory, ...]:
        memories = []
        for layer in self._layers:
            k, v = layer.cross_key_value(states).unflatten(-1, (2, self._heads, -1)).unbind(1)  # (n, H, D)
            memories.append(LayerMemory(*(t.transpose(0, 1).to(self._memory_dtype).contiguous() for t in (k, v))))
        return tuple(memories)

    @torch.inference_mode()
    def _states_of_silence(self) -> tuple[torch.Tensor, tuple[LayerMemory, ...]]:
        states = self._encoder.run_mel(torch.full((self._encoder.bands, 2 * MAX_FRAMES), _SILENT_MEL))
        positions = torch.arange(_SILENCE_STRIDE // 2, MAX_FRAMES, _SILENCE_STRIDE)
        return positions, self._memory(states[positions])

    # -- decoder -------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def batch(self, memories: Sequence[Memory]) -> Batch:
        """The decoder's empty state over some windows.

        What comes of a window is the same to the last bit in every batch.
        """
        behind = [self._with_silence(memory) for memory in memories]
        empty = torch.zeros(len(memories), 0, self._heads, self._width // self._heads)
        cache = [(empty, empty) for _ in self._layers]
        return Batch([layers for layers, _ in behind], [mask for _, mask in behind], cache)

    def _with_silence(self, memory: Memory) -> tuple[tuple[LayerMemory, ...], torch.Tensor]:
        """What the decoder sees of a window: its states, then those of the silence that a whole window would end in."""
        frames = memory.layers[0].keys.shape[1]
        first = int(torch.searchsorted(self._silence_positions, frames))
        layers = tuple(
            LayerMemory(
                torch.cat([real.keys, silence.keys[:, first:]], 1)[None],
                torch.cat([real.values, silence.values[:, first:]], 1)[None],
            )
            for real, silence in zip(memory.layers, self._silence, strict=True)
        )
        mask = torch.zeros(1, layers[0].keys.shape[2], dtype=self._memory_dtype)
        mask[:, frames:] = math.log(_SILENCE_STRIDE)
        return layers, mask

    @torch.inference_mode()
    def decode(self, batch: Batch, tokens: torch.Tensor, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Feed tokens ``(B, Q)`` at their positions ``(B, Q)``.

        Returns hidden states ``(B, Q, width)`` and the alignment heads' queries ``(B, h, Q, D)`` (see `attention`).
        """
        rows = torch.arange(len(tokens))[:, None]
        length = int(positions.max()) + 1
        batch.make_room(length)
        mask = torch.where(torch.arange(length) <= positions[:, :, None], 0.0, _NEGATIVE)[:, None]  # (B, 1, Q, T)
        x = self._embedding[tokens] + self._positions[positions]
        queries = []
        for i, layer in enumerate(self._layers):
            x = x + self._self_attention(layer, batch.cache[i], layer_norm(x, layer.norm), rows, positions, mask)
            y, query = self._cross_attention(layer, batch, i, layer_norm(x, layer.cross_norm))
            x = x + y
            queries.append(query)
            x = x + layer.down(F.gelu(layer.up(layer_norm(x, layer.mlp_norm))))
        return layer_norm(x, self._norm), torch.cat(queries, dim=1)

    @torch.inference_mode()
    def attention(self, memory: Memory, queries: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        """Queries of the alignment heads ``(h, T, D)`` -> their attention ``(h, T, n)`` to the frames from a first one.

        It sums to one over these frames: what went to others, and to silence, is left out.
        """
        keys = [
            layer.keys[heads, first_frame:].float()
            for layer, heads in zip(memory.layers, self._alignment_heads, strict=True)
            if heads
        ]
        return (queries @ torch.cat(keys).transpose(-1, -2)).softmax(-1)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden rows ``(n, width)`` -> scores of the vocabulary ``(n, V)``; suppressed tokens are far below."""
        return self._project(hidden)

    def scores(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Hidden rows ``(n, width)`` -> scores of some tokens ``(n, len(tokens))``, suppressed or not."""
        return hidden @ self._embedding[tokens].T

    def _self_attention(
        self,
        layer: _Layer,
        cache: tuple[torch.Tensor, torch.Tensor],
        x: torch.Tensor,
        rows: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
    ) -> torch.Tensor:
        q, k, v = layer.attention.project(x)  # (B, H, Q, D)
        keys, values = cache
        keys[rows, positions], values[rows, positions] = k.transpose(1, 2), v.transpose(1, 2)
        k, v = (t[:, : mask.shape[-1]].transpose(1, 2) for t in (keys, values))  # (B, H, T, D)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=1.0)
        return layer.attention.out(y.transpose(1, 2).flatten(2))

    def _cross_attention(
        self, layer: _Layer, batch: Batch, index: int, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Attention over real frames and silence; and the alignment heads' queries."""
        q = layer.cross_query(x).unflatten(-1, (self._heads, -1)).transpose(1, 2)  # (B, H, Q, D)
        seen = [
            F.scaled_dot_product_attention(row, layers[index].keys, layers[index].values, attn_mask=mask, scale=1.0)
            for row, layers, mask in zip(q.to(self._memory_dtype).split(1), batch.layers, batch.masks, strict=True)
        ]
        y = torch.cat(seen).float()
        return layer.cross_out(y.transpose(1, 2).flatten(2)), q[:, self._alignment_heads[index]]


def _joined(old: LayerMemory, new: LayerMemory, kept: int) -> LayerMemory:
    return LayerMemory(
        torch.cat([old.keys[:, :kept], new.keys], dim=1), torch.cat([old.values[:, :kept], new.values], dim=1)
    )


def _layer(tensors: dict[str, torch.Tensor], name: str, heads: int, precision: str) -> _Layer:
    """One decoder layer. Its rows belong to several streams, so all of it is row by row but the memory's projection."""
    weight, bias = attention_weights(tensors, f"{name}.encoder_attn", heads)

    def linear(part: str) -> Linear:
        return make_linear(tensors[f"{name}.{part}.weight"], tensors[f"{name}.{part}.bias"], precision, rowwise=True)

    return _Layer(
        norm=norm_of(tensors, f"{name}.self_attn_layer_norm"),
        attention=self_attention_of(tensors, f"{name}.self_attn", heads, precision, rowwise=True),
        cross_norm=norm_of(tensors, f"{name}.encoder_attn_layer_norm"),
        cross_query=make_linear(weight["q"], bias["q"], precision, rowwise=True),
        cross_out=linear("encoder_attn.out_proj"),
        cross_key_value=make_linear(
            torch.cat([weight["k"], weight["v"]]), torch.cat([bias["k"], bias["v"]]), precision
        ),
        mlp_norm=norm_of(tensors, f"{name}.final_layer_norm"),
        up=linear("fc1"),
        down=linear("fc2"),
    )
