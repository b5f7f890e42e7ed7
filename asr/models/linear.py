"""Matrix products, in the precision that is fastest on the CPU.

Measured on one AMD EPYC 9004 core, 250 x 384 times 384 x 1536: float32 91 GFLOP/s, bfloat16 213, int8 353
(docs/log/decoding.md#one-matrix-product-in-four-precisions).
"""

import torch
import torch.nn.functional as F

Linear = torch.nn.Module
"""A module that maps ``(..., in)`` to ``(..., out)``."""

PRECISIONS = ("float32", "bfloat16", "int8")


def best_precision() -> str:
    """The fastest precision here: int8 if the CPU has VNNI (dot products of bytes), else float32."""
    has_vnni = torch.cpu._is_vnni_supported()
    return "int8" if has_vnni else "float32"


def make_linear(weight: torch.Tensor, bias: torch.Tensor | None, precision: str, *, rowwise: bool = False) -> Linear:
    """``x @ weight.T + bias`` with the weight ``(out, in)`` and the bias ``(out,)`` stored in `precision`.

    `rowwise`: the result of a row of ``x`` does not depend on the other rows, which may belong to other streams.
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
    """int8 weights with one scale per row; activations are quantised in each call, with one scale for all of ``x``."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self._packed = _packed(weight, bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.quantized.linear_dynamic(x, self._packed)
        return y


class _RowwiseInt8Linear(torch.nn.Module):
    """int8, with results that do not depend on the other rows of the batch.

    Dynamic quantisation takes one scale from all of ``x``, so a stream's text would depend on the other streams. Here
    each row is first divided by its largest absolute value, and the quantisation scale is constant: bytes for -1 to 1.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self._packed, self._bias = _packed(weight, None), bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        largest = x.abs().amax(-1, keepdim=True).clamp_min(1e-8)
        y = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(x / largest, 2 / 255, 128, self._packed)
        return torch.addcmul(self._bias, y, largest, out=y)


def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.ScriptObject:
    """The weight ``(out, in)`` in int8 with one scale per row, in the layout that the int8 kernel needs."""
    scales = weight.float().abs().amax(dim=1).clamp_min(1e-8) / 127.0
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    quantised = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised, bias)
    return packed
