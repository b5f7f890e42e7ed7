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


def make_linear(weight: torch.Tensor, bias: torch.Tensor | None, precision: str) -> Linear:
    """``x @ weight.T + bias`` with the weight ``(out, in)`` held in `precision`."""
    if precision == "int8":
        return _Int8Linear(weight, bias)
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
        scales = weight.float().abs().amax(dim=1).clamp_min(1e-8) / 127.0
        zeros = torch.zeros(len(scales), dtype=torch.int64)
        quantised = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(quantised, None if bias is None else bias.float())

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = torch.ops.quantized.linear_dynamic(x, self._packed)
        return y


class RowwiseLinear:
    """A linear map whose every row comes out the same whatever else is in the batch, also in int8.

    Dynamic quantisation takes one scale from the whole of ``x``, so a stream's text would depend on its neighbours.
    Each row is scaled to a largest value of one and a constant row with -1 and +1 is added: the scale never changes.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, precision: str) -> None:
        self._linear = make_linear(weight, None, precision)
        self._bias = None if bias is None else bias.float()
        self._rowwise = precision == "int8"
        self._anchor = torch.zeros(1, weight.shape[1])
        self._anchor[0, :2] = torch.tensor([-1.0, 1.0])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """``(n, in) -> (n, out)``."""
        if self._rowwise:
            scale = x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-8)
            y = self._linear(torch.cat([x / scale, self._anchor]))[:-1].mul_(scale)
        else:
            y = self._linear(x)
        return y if self._bias is None else y.add_(self._bias)
