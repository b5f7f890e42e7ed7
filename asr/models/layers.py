"""Building blocks of the networks, prepared once from Transformers' tensors."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from asr.models.linear import Linear, make_linear

Norm = tuple[torch.Tensor, torch.Tensor]
Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Attention:
    """A self-attention's projections: query, key and value as one matrix, and the output.

    The scale ``D ** -0.5`` is already in the query's weights.
    """

    query_key_value: Linear
    out: Linear
    heads: int

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rows ``(..., n, width)`` -> query, key and value, each ``(..., H, n, D)``."""
        q, k, v = self.query_key_value(x).unflatten(-1, (3, self.heads, -1)).transpose(-2, -4).unbind(-3)
        return q, k, v


def norm_of(tensors: Tensors, name: str) -> Norm:
    """A layer norm's weight and bias ``(width,)``, float32."""
    return tensors[f"{name}.weight"].float(), tensors[f"{name}.bias"].float()


def layer_norm(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    """Layer normalisation of ``x`` ``(..., width)`` over its last dimension."""
    return F.layer_norm(x, norm[0].shape, *norm)


def attention_weights(tensors: Tensors, name: str, heads: int) -> tuple[Tensors, Tensors]:
    """Weights ``(width, width)`` and biases ``(width,)`` of the projections, under the keys "q", "k" and "v".

    The query's are multiplied by the attention's scale. A missing bias of the keys is zero.
    """
    weight = {part: tensors[f"{name}.{part}_proj.weight"].float() for part in "qkv"}
    bias = {part: tensors[f"{name}.{part}_proj.bias"].float() for part in "qv"}
    scale = (len(weight["q"]) // heads) ** -0.5
    weight["q"], bias["q"] = weight["q"] * scale, bias["q"] * scale
    bias["k"] = tensors.get(f"{name}.k_proj.bias", torch.zeros_like(bias["v"])).float()
    return weight, bias


def stacked(weight: Tensors, bias: Tensors, parts: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Several projections as one: weight ``(n * width, width)`` and bias ``(n * width,)``. `parts`: their letters."""
    return torch.cat([weight[part] for part in parts]), torch.cat([bias[part] for part in parts])


def self_attention_of(tensors: Tensors, name: str, heads: int, precision: str) -> Attention:
    """The projections of the self-attention whose tensors are called `name`."""
    return Attention(
        make_linear(*stacked(*attention_weights(tensors, name, heads), "qkv"), precision),
        make_linear(tensors[f"{name}.out_proj.weight"], tensors[f"{name}.out_proj.bias"], precision),
        heads,
    )


class Conv:
    """A convolution of width 3 over time with zero padding, as one matrix product.

    ``(n, in) -> (ceil(n / stride), out)``.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, stride: int, precision: str) -> None:
        self._linear = make_linear(weight.float().flatten(1), bias, precision)
        self._stride = stride

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        windows = F.pad(x, (0, 0, 1, 1)).unfold(0, 3, self._stride)  # (m, in, 3)
        y: torch.Tensor = self._linear(windows.flatten(1))
        return y
