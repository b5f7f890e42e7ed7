"""Whisper's decoder, batched over windows of different lengths. `asr.models.torchscript` compiles it for long work.

Its rows belong to several streams. So every matrix product is computed row by row, and attention for each window alone:
a window's result is bit-identical in every batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from asr.models.layers import Tensors, attention_weights, layer_norm, norm_of, stacked
from asr.models.linear import Linear, make_linear

_ROOM_TOKENS = 32
"""How many tokens more than needed the cache grows by."""


@dataclass(slots=True)
class DecoderBatch:
    """The decoder's state for ``B`` windows.

    ``keys`` and ``values``: of the cross-attention, by layer, then window, each ``(1, H, n, D)``. ``masks``: by window,
    ``(1, 1, 1, n)``, added to the cross-attention's scores. If the windows are ``together``, each of these lists has
    one entry for all windows: ``(B, ...)``, padded to one length. ``cache``: keys and values of the self-attention by
    layer, each ``(B, T, H, D)``. It grows with the text. It is copied whenever a window finishes, so allocating the
    full length in advance would cost more than growing.
    """

    keys: list[list[torch.Tensor]]
    values: list[list[torch.Tensor]]
    masks: list[torch.Tensor]
    cache: list[tuple[torch.Tensor, torch.Tensor]]
    together: bool = False

    @property
    def attended(self) -> int:
        """How many windows one call of the cross-attention takes."""
        return len(self.cache[0][0]) if self.together else 1

    def keep(self, rows: Sequence[int]) -> None:
        """Keep only these windows, in this order. One may occur several times, as the beams of a search do."""
        index = torch.tensor(rows, device=self.masks[0].device)

        def kept(windows: list[torch.Tensor]) -> list[torch.Tensor]:
            return [windows[0][index]] if self.together else [windows[i] for i in rows]

        self.keys, self.values = [kept(layer) for layer in self.keys], [kept(layer) for layer in self.values]
        self.masks = kept(self.masks)
        self.cache = [(k[index], v[index]) for k, v in self.cache]

    def make_room(self, tokens: int) -> None:
        """Extend the cache to at least `tokens` tokens. With zeros, because a NaN stays a NaN when it is masked."""
        missing = tokens - self.cache[0][0].shape[1]
        if missing > 0:
            more = (0, 0, 0, 0, 0, missing + _ROOM_TOKENS)
            self.cache = [(F.pad(k, more), F.pad(v, more)) for k, v in self.cache]


def padded(windows: Sequence[torch.Tensor], value: float = 0.0) -> torch.Tensor:
    """Tensors ``(1, h, n, d)`` of several lengths ``n`` as one ``(B, h, N, d)``.

    ``N`` is a multiple of 16: without that no fast attention of a GPU takes the mask.
    """
    length = -(-max(window.shape[2] for window in windows) // 16) * 16
    return torch.cat([F.pad(window, (0, 0, 0, length - window.shape[2]), value=value) for window in windows])


class Decoder(torch.nn.Module):
    """Tokens -> hidden states. `aligned`: by layer the alignment heads, whose attention gives the words' times."""

    def __init__(self, tensors: Tensors, heads: int, aligned: Sequence[Sequence[int]], precision: str) -> None:
        super().__init__()
        name = "model.decoder"
        self._layers = torch.nn.ModuleList(
            _Layer(tensors, f"{name}.layers.{i}", heads, list(some), precision) for i, some in enumerate(aligned)
        )
        self._norm = norm_of(tensors, f"{name}.layer_norm")
        self._embedding = tensors[f"{name}.embed_tokens.weight"]  # as it is stored: in float32 it takes 80 MB
        self._positions = tensors[f"{name}.embed_positions.weight"].float()

    def forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        length: int,
        cache: list[tuple[torch.Tensor, torch.Tensor]],
        keys: list[list[torch.Tensor]],
        values: list[list[torch.Tensor]],
        masks: list[torch.Tensor],
        attended: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Feed tokens at positions, both ``(B, Q)``; all positions are below `length`. The others are a batch's fields.

        Returns hidden states ``(B, Q, width)`` and the alignment heads' queries ``(B, h, Q, D)``.
        """
        rows = torch.arange(len(tokens), device=tokens.device)[:, None]
        is_written = torch.arange(length, device=tokens.device) <= positions[:, None, :, None]
        mask = torch.where(is_written, 0.0, -1e9)  # (B, 1, Q, T)
        x = self._embedding[tokens].float() + self._positions[positions]
        queries = []
        for i, layer in enumerate(self._layers):
            x, query = layer(x, cache[i], rows, positions, mask, keys[i], values[i], masks, attended)
            queries.append(query)
        return layer_norm(x, self._norm), torch.cat(queries, 1)


class _Layer(torch.nn.Module):
    def __init__(self, tensors: Tensors, name: str, heads: int, aligned: list[int], precision: str) -> None:
        super().__init__()
        cross = attention_weights(tensors, f"{name}.encoder_attn", heads)

        def linear(part: str) -> Linear:
            weight, bias = tensors[f"{name}.{part}.weight"], tensors[f"{name}.{part}.bias"]
            return make_linear(weight, bias, precision, rowwise=True)

        self._heads, self._aligned = heads, torch.tensor(aligned, dtype=torch.int64, device=cross[0]["q"].device)
        self._norm = norm_of(tensors, f"{name}.self_attn_layer_norm")
        self._query_key_value = make_linear(
            *stacked(*attention_weights(tensors, f"{name}.self_attn", heads), "qkv"), precision, rowwise=True
        )
        self._out = linear("self_attn.out_proj")
        self._cross_norm = norm_of(tensors, f"{name}.encoder_attn_layer_norm")
        self._cross_query = make_linear(*stacked(*cross, "q"), precision, rowwise=True)
        self._cross_out = linear("encoder_attn.out_proj")
        self._mlp_norm = norm_of(tensors, f"{name}.final_layer_norm")
        self._up, self._down = linear("fc1"), linear("fc2")

    def forward(
        self,
        x: torch.Tensor,
        cache: tuple[torch.Tensor, torch.Tensor],
        rows: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
        keys: list[torch.Tensor],
        values: list[torch.Tensor],
        masks: list[torch.Tensor],
        attended: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One layer: rows ``(B, Q, width)`` -> rows, and the alignment heads' queries ``(B, h, Q, D)``."""
        q, k, v = (
            self._query_key_value(layer_norm(x, self._norm)).unflatten(-1, [3, self._heads, -1]).unbind(2)
        )  # (B, Q, H, D)
        cache[0][rows, positions], cache[1][rows, positions] = k, v
        k, v = cache[0][:, : mask.shape[-1]].transpose(1, 2), cache[1][:, : mask.shape[-1]].transpose(1, 2)
        y = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=mask, scale=1.0)
        x = x + self._out(y.transpose(1, 2).flatten(2))

        q = self._cross_query(layer_norm(x, self._cross_norm)).unflatten(-1, [self._heads, -1]).transpose(1, 2)
        seen = []
        for i, row in enumerate(q.to(masks[0].dtype).split(attended)):
            seen.append(F.scaled_dot_product_attention(row, keys[i], values[i], attn_mask=masks[i], scale=1.0))
        x = x + self._cross_out(torch.cat(seen).float().transpose(1, 2).flatten(2))
        x = x + self._down(F.gelu(self._up(layer_norm(x, self._mlp_norm))))
        return x, q[:, self._aligned]
