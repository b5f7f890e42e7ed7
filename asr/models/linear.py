"""One matrix product in the precision that the CPU does best.

Measured on one AMD EPYC 9004 core, 250 x 384 times 384 x 1536: float32 91 GFLOP/s, bfloat16 213, int8 353
(docs/LOG.md).
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

Linear = Callable[[torch.Tensor], torch.Tensor]
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
    if precision == "int8":
        return _RowwiseInt8Linear(weight, bias) if rowwise else _Int8Linear(weight, bias)
    if precision == "bfloat16":
        return _BFloat16Linear(weight, bias)
    return _Float32Linear(weight, bias)


class _Float32Linear:
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight = weight.float().contiguous()
        self._bias = None if bias is None else bias.float()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self._weight, self._bias)


class _BFloat16Linear:
    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight = weight.bfloat16().contiguous()
        self._bias = None if bias is None else bias.bfloat16()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x.bfloat16(), self._weight, self._bias).float()


class _Int8Linear:
    """Weights in int8 with a scale per row, activations quantised at each call with one scale for all of ``x``."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._packed = _packed(weight, bias)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.quantized.linear_dynamic(x, self._packed)
        return y


class _RowwiseInt8Linear:
    """int8, and every row comes out the same whatever else is in the batch.

    Dynamic quantisation takes one scale from the whole of ``x``, so a stream's text would depend on its neighbours.
    Here each row is scaled to a largest value of one, and the common scale is fixed.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._packed = _packed(weight, None)
        self._bias = None if bias is None else bias.float()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, x.shape[-1])
        scale = rows.abs().amax(dim=-1, keepdim=True).clamp_min_(1e-8)
        y: torch.Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            rows / scale, *_UNIT, self._packed
        )
        y = y.mul_(scale) if self._bias is None else torch.addcmul(self._bias, y, scale)
        return y.view(*x.shape[:-1], y.shape[-1])


_UNIT = (2 / 255, 128)
"""Scale and zero point of bytes that stand for -1 to 1."""


def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> torch.ScriptObject:
    """The weight in int8 with a scale per row, in the layout of the product's kernel."""
    scales = weight.float().abs().amax(dim=1).clamp_min(1e-8) / 127.0
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    quantised = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised, None if bias is None else bias.float())
    return packed
