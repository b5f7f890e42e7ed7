"""One matrix product in the precision that the CPU does best.

Measured on one AMD EPYC 9004 core, 250 x 384 times 384 x 1536: float32 91 GFLOP/s, bfloat16 213, int8 353
(docs/LOG.md).
"""

import torch
import torch.nn.functional as F

Linear = torch.nn.Module
"""``(..., in) -> (..., out)``."""

PRECISIONS = ("float32", "bfloat16", "int8")


def best_precision() -> str:
    """int8 where the CPU has VNNI (dot products of bytes), else float32."""
    has_vnni = torch.cpu._is_vnni_supported()
    return "int8" if has_vnni else "float32"


def make_linear(weight: torch.Tensor, bias: torch.Tensor | None, precision: str, *, rowwise: bool = False) -> Linear:
    """``x @ weight.T + bias`` with the weight ``(out, in)`` held in `precision`.

    With `rowwise` a row of ``x`` comes out the same whatever the others are: for rows of several streams.
    """
    bias = torch.zeros(len(weight)) if bias is None else bias.float()
    if precision == "int8":
        return _RowwiseInt8Linear(weight, bias) if rowwise else _Int8Linear(weight, bias)
    return _FloatLinear(weight, bias, torch.bfloat16 if precision == "bfloat16" else torch.float32)


class _FloatLinear(torch.nn.Module):
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, dtype: torch.dtype) -> None:
        super().__init__()
        self._weight, self._bias = weight.to(dtype).contiguous(), bias.to(dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.to(self._weight.dtype), self._weight, self._bias).float()


class _Int8Linear(torch.nn.Module):
    """Weights in int8 with a scale per row, activations quantised at each call with one scale for all of ``x``."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self._packed = _packed(weight, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.quantized.linear_dynamic(x, self._packed)
        return y


class _RowwiseInt8Linear(torch.nn.Module):
    """int8, and every row comes out the same whatever else is in the batch.

    Dynamic quantisation takes one scale from the whole of ``x``, so a stream's text would depend on its neighbours.
    Here each row is scaled to a largest value of one, and the common scale is fixed: that of bytes that stand for -1
    to 1.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self._packed, self._bias = _packed(weight, None), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        largest = x.abs().amax(-1, keepdim=True).clamp_min(1e-8)
        y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(x / largest, 2 / 255, 128, self._packed)
        return torch.addcmul(self._bias, y, largest, out=y)


def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.ScriptObject:
    """The weight in int8 with a scale per row, in the layout of the product's kernel."""
    scales = weight.float().abs().amax(dim=1).clamp_min(1e-8) / 127.0
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    quantised = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised, bias)
    return packed
