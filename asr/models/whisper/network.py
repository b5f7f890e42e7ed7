"""Whisper's encoder and decoder put together.

Whisper was trained on windows of 30 s, so the decoder learned to end its text in the long silence after the speech.
Here the encoder gets the real audio only. Instead of the silence the decoder attends to *states of silence*: encoder
states of a silent window, computed once for each model, whose keys and values follow those of the audio.
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
from asr.models.whisper.accent import accent_of
from asr.models.whisper.decoder import Decoder, DecoderBatch, padded
from asr.models.whisper.encoder import MAX_FRAMES, Encoder, EncoderState

SILENT_MEL = -0.75
"""The mel value of digital silence in a window with speech: 8 below the maximum, scaled as in `features.scaled`."""
_SILENCE_STRIDE = 4
"""Only every fourth state of silence is used, since their keys differ little
(docs/log/decoding.md#one-state-of-silence-for-four)."""
_NEGATIVE = -1e9
_LENGTH_STEP = 16
"""Self-attention sees a multiple of this number of tokens, the vectors of AVX-512; those not yet written are masked.
At other lengths its sums are taken in another order, and a text would depend on the others in its batch."""
TAIL_SAMPLES = 2400
"""Zeros added after the audio of a window (0.15 s), so that its end is not the end of the encoder's input."""


@dataclass(frozen=True, slots=True)
class CrossAttention:
    """Keys and values ``(H, n, D)`` of the encoder's states for the cross-attention of one decoder layer."""

    keys: torch.Tensor
    values: torch.Tensor


@dataclass(frozen=True, slots=True)
class WhisperMemory(ModelMemory):
    """What the model keeps of a window that grows: the encoder's state, and by layer what the decoder sees of it.

    ``proposal``: the tokens, prefix included, that the search with hotwords wrote; a draft for the next one.
    """

    encoder: EncoderState
    layers: tuple[CrossAttention, ...]
    proposal: tuple[int, ...] = ()


class WhisperNetwork:
    """The two networks of one model. Stateless: the state of a window is in its memory, that of a text in the batch."""

    def __init__(
        self,
        tensors: dict[str, torch.Tensor],
        config: dict[str, Any],
        alignment_heads: Sequence[tuple[int, int]],
        suppressed: Sequence[int],
        *,
        precision: str = "float32",
        silence: torch.Tensor | None = None,
    ) -> None:
        """`silence`: the `silence` of an equal network, which takes this one as long to compute as 30 s of audio."""
        self.precision = precision
        self._memory_dtype = torch.float32 if precision == "float32" else torch.bfloat16
        self.together = tensors["model.decoder.embed_tokens.weight"].device.type != "cpu"
        """Whether the decoder attends to all windows of a batch at once, padded to one length. One call a window costs
        a GPU more than the padding; on a CPU a result would depend on the other windows."""
        self.max_tokens = int(config["max_target_positions"])
        self._heads, self._width = int(config["decoder_attention_heads"]), int(config["d_model"])
        self.encoder = Encoder(tensors, config, precision)
        self.accent = accent_of(self.encoder)
        """How accented speech sounds to this encoder; None for an encoder without a fit."""
        layers = range(int(config["decoder_layers"]))
        self._alignment_heads = [[h for layer, h in alignment_heads if layer == i] for i in layers]
        self._cross = [_key_value(tensors, f"model.decoder.layers.{i}", self._heads, precision) for i in layers]
        self._decoder: torch.nn.Module = Decoder(tensors, self._heads, self._alignment_heads, precision)
        self._embedding = tensors["model.decoder.embed_tokens.weight"]
        self.device = self._embedding.device
        bias = torch.zeros(len(self._embedding), device=self.device)
        bias[list(suppressed)] = _NEGATIVE
        self._project = make_linear(self._embedding, bias, precision, rowwise=True)
        self._silence_positions = np.arange(_SILENCE_STRIDE // 2, MAX_FRAMES, _SILENCE_STRIDE)
        self.silence = self._states_of_silence() if silence is None else silence.to(self.device)
        """States ``(s, width)`` of a silent window of 30 s, which stand for all of its states."""
        with torch.inference_mode():
            self._silence = self.cross_attention(self.silence)

    def compile(self) -> None:
        """Makes decoding faster, which takes as long as 30 s of speech save. Results stay the same bits."""
        if not isinstance(self._decoder, torch.jit.ScriptModule):
            self._decoder = scripted(self._decoder)

    # -- encoder -------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def encode(
        self, samples: np.ndarray, memory: WhisperMemory | None = None, settle_frames: int = MAX_FRAMES
    ) -> WhisperMemory:
        """Encode a window of samples ``(n,)``.

        `memory`: of a shorter window that began at the same sample. Its settled frames, which at least `settle_frames`
        frames follow, keep their states; the other frames and the new ones are computed.
        """
        states, kept, encoder = self.encoder.extend(
            samples, memory.encoder if memory else None, settle_frames, TAIL_SAMPLES
        )
        new = self.cross_attention(states)
        if memory and kept:
            new = tuple(_joined(old, new, kept) for old, new in zip(memory.layers, new, strict=True))
        return WhisperMemory(encoder, new)

    def cross_attention(self, states: torch.Tensor) -> tuple[CrossAttention, ...]:
        """Encoder states ``(n, width)`` -> what each decoder layer sees of them."""
        layers = []
        for project in self._cross:
            k, v = project(states).unflatten(-1, (2, self._heads, -1)).unbind(1)  # (n, H, D)
            layers.append(CrossAttention(*(t.transpose(0, 1).to(self._memory_dtype).contiguous() for t in (k, v))))
        return tuple(layers)

    def part(self, memory: WhisperMemory, start: int, end: int) -> WhisperMemory:
        """What the decoder sees of the frames from `start` to `end` alone. No window can continue it."""
        layers = (CrossAttention(seen.keys[:, start:end], seen.values[:, start:end]) for seen in memory.layers)
        return WhisperMemory(memory.encoder, tuple(layers))

    @torch.inference_mode()
    def _states_of_silence(self) -> torch.Tensor:
        mel = torch.full((self.encoder.bands, 2 * MAX_FRAMES), SILENT_MEL, device=self.device)
        return self.encoder.run_mel(mel)[torch.from_numpy(self._silence_positions)]

    # -- decoder -------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def batch(self, memories: Sequence[WhisperMemory]) -> DecoderBatch:
        """The decoder's state for some windows, before the first token."""
        windows = [self._with_silence(memory) for memory in memories]
        layers = range(len(self._silence))
        keys = [[seen[i].keys for seen, _ in windows] for i in layers]
        values = [[seen[i].values for seen, _ in windows] for i in layers]
        masks = [mask for _, mask in windows]
        if self.together:
            keys, values = ([[padded(windows)] for windows in layers] for layers in (keys, values))
            masks = [padded([mask.transpose(2, 3) for mask in masks], _NEGATIVE).transpose(2, 3)]
        empty = torch.zeros(len(memories), 0, self._heads, self._width // self._heads, device=self.device)
        return DecoderBatch(keys, values, masks, [(empty, empty) for _ in layers], self.together)

    def _with_silence(self, memory: WhisperMemory) -> tuple[tuple[CrossAttention, ...], torch.Tensor]:
        """What the decoder sees of a window: its states, then those of silence up to 30 s; and a mask ``(1, 1, 1, n)``.

        A state of silence stands for `_SILENCE_STRIDE` equal ones: the mask adds the logarithm of that to its scores.
        """
        frames = memory.layers[0].keys.shape[1]
        first = int(np.searchsorted(self._silence_positions, frames))
        layers = tuple(
            CrossAttention(
                torch.cat([real.keys, silence.keys[:, first:]], 1)[None],
                torch.cat([real.values, silence.values[:, first:]], 1)[None],
            )
            for real, silence in zip(memory.layers, self._silence, strict=True)
        )
        mask = torch.zeros(1, 1, 1, layers[0].keys.shape[2], dtype=self._memory_dtype, device=self.device)
        mask[..., frames:] = math.log(_SILENCE_STRIDE)
        return layers, mask

    @torch.inference_mode()
    def decode(
        self, batch: DecoderBatch, tokens: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Feed tokens ``(B, Q)`` at their positions ``(B, Q)``.

        Returns hidden states ``(B, Q, width)`` and the alignment heads' queries ``(B, h, Q, D)`` (see `attention`).
        """
        length = -(-(int(positions.max()) + 1) // _LENGTH_STEP) * _LENGTH_STEP
        batch.make_room(length)
        tokens, positions = tokens.to(self.device), positions.to(self.device)
        hidden, queries = self._decoder(
            tokens, positions, length, batch.cache, batch.keys, batch.values, batch.masks, batch.attended
        )
        return hidden, queries

    @torch.inference_mode()
    def attention(self, memory: WhisperMemory, queries: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        """The attention ``(h, T, n)`` of alignment heads' queries ``(h, T, D)`` to the frames from `first_frame` on.

        It sums to one over these frames; attention to earlier frames and to silence is left out. The result is on the
        CPU, where the words' times are computed.
        """
        keys = [
            layer.keys[heads, first_frame:].float()
            for layer, heads in zip(memory.layers, self._alignment_heads, strict=True)
            if heads
        ]
        return (queries @ torch.cat(keys).transpose(-1, -2)).softmax(-1).cpu()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden rows ``(n, width)`` -> scores of all tokens ``(n, V)``; suppressed tokens are far below the others."""
        scores: torch.Tensor = self._project(hidden)
        return scores

    def scores(self, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """Hidden rows ``(n, width)`` -> scores ``(n, t)`` of the tokens ``(t,)``, suppressed or not."""
        return hidden @ self._embedding[tokens].float().T


def _joined(old: CrossAttention, new: CrossAttention, kept: int) -> CrossAttention:
    return CrossAttention(
        torch.cat([old.keys[:, :kept], new.keys], dim=1), torch.cat([old.values[:, :kept], new.values], dim=1)
    )


def _key_value(tensors: Tensors, name: str, heads: int, precision: str) -> Linear:
    """The cross-attention's projection of encoder states to keys and values, as one matrix."""
    weight, bias = attention_weights(tensors, f"{name}.encoder_attn", heads)
    return make_linear(*stacked(weight, bias, "kv"), precision)
