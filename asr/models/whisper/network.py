"""Whisper's two networks put together.

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

from asr.models.base import ModelMemory
from asr.models.layers import Tensors, attention_weights, stacked
from asr.models.linear import Linear, make_linear
from asr.models.torchscript import scripted
from asr.models.whisper.decoder import Batch, Decoder
from asr.models.whisper.encoder import MAX_FRAMES, Encoder, EncoderState

_SILENT_MEL = -0.75
"""A mel value of digital silence in a window that also holds speech: eight below the maximum, scaled."""
_SILENCE_STRIDE = 4
"""One state of silence stands for four of them; their keys differ little (docs/LOG.md)."""
_NEGATIVE = -1e9
TAIL_SAMPLES = 2400
"""Zeros after the audio of a window (0.15 s), so that its end is not also the end of what the encoder sees."""


@dataclass(frozen=True, slots=True)
class LayerMemory:
    """One decoder layer's keys and values ``(H, n, D)`` of encoder states."""

    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class Memory(ModelMemory):
    """What the model remembers of a window that grows: the encoder's state and what the decoder sees of it."""

    encoder: EncoderState
    layers: tuple[LayerMemory, ...]


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
        self._alignment_heads = [[h for layer, h in alignment_heads if layer == i] for i in layers]
        self._cross = [_key_value(tensors, f"model.decoder.layers.{i}", self._heads, precision) for i in layers]
        self._decoder = scripted(Decoder(tensors, self._heads, self._alignment_heads, precision))
        self._embedding = tensors["model.decoder.embed_tokens.weight"].float()
        bias = torch.zeros(len(self._embedding))
        bias[list(suppressed)] = _NEGATIVE
        self._project = make_linear(self._embedding, bias, precision, rowwise=True)
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
        for project in self._cross:
            k, v = project(states).unflatten(-1, (2, self._heads, -1)).unbind(1)  # (n, H, D)
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
        """The decoder's empty state over some windows."""
        behind = [self._with_silence(memory) for memory in memories]
        layers = range(len(self._silence))
        keys = [[seen[i].keys for seen, _ in behind] for i in layers]
        values = [[seen[i].values for seen, _ in behind] for i in layers]
        empty = torch.zeros(len(memories), 0, self._heads, self._width // self._heads)
        return Batch(keys, values, [mask for _, mask in behind], [(empty, empty) for _ in layers])

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
        length = int(positions.max()) + 1
        batch.make_room(length)
        hidden, queries = self._decoder(tokens, positions, length, batch.cache, batch.keys, batch.values, batch.masks)
        return hidden, queries

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
        scores: torch.Tensor = self._project(hidden)
        return scores

    def scores(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Hidden rows ``(n, width)`` -> scores of some tokens ``(n, len(tokens))``, suppressed or not."""
        return hidden @ self._embedding[tokens].T


def _joined(old: LayerMemory, new: LayerMemory, kept: int) -> LayerMemory:
    return LayerMemory(
        torch.cat([old.keys[:, :kept], new.keys], dim=1), torch.cat([old.values[:, :kept], new.values], dim=1)
    )


def _key_value(tensors: Tensors, name: str, heads: int, precision: str) -> Linear:
    """One layer's projection of encoder states to keys and values."""
    weight, bias = attention_weights(tensors, f"{name}.encoder_attn", heads)
    return make_linear(*stacked(weight, bias, "kv"), precision)
