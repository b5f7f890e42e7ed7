"""Matrix products, in the precision that is fastest on the device.

Measured on one AMD EPYC 9004 core, 250 x 384 times 384 x 1536: float32 91 GFLOP/s, bfloat16 213, int8 353
(docs/log/decoding.md#one-matrix-product-in-four-precisions).
"""

import re
import warnings

import torch
import torch.nn.functional as F

from asr.errors import ConfigError

Linear = torch.nn.Module
"""A module that maps ``(..., in)`` to ``(..., out)``."""

_CACHED_ROWS = 256
PRECISIONS = ("float32", "bfloat16", "int8")


def best_precision(device: str = "cpu") -> str:
    """The fastest precision: bfloat16 on a GPU; int8 on a CPU with VNNI (dot products of bytes), else float32."""
    if device != "cpu":
        return "bfloat16"
    has_vnni = torch.cpu._is_vnni_supported()
    return "int8" if has_vnni else "float32"


def check_device(device: str, precision: str) -> None:
    """Raises `ConfigError` for a device that is not here, and for a precision that it does not compute in."""
    if not re.fullmatch(r"cpu|cuda(:[0-9]{1,4})?", device):
        raise ConfigError(f"unknown device {device!r}; use cpu, cuda, or cuda:1 for the second GPU")
    kind, _, number = device.partition(":")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            built = (
                "" if torch.version.cuda else "; this torch is built without CUDA, so install with CUDA=1 make setup"
            )
            raise ConfigError(f"device {device} is not here: found {count} NVIDIA GPUs that torch can use{built}")
        if precision == "int8":
            raise ConfigError("int8 is computed on CPUs only; on a GPU use bfloat16 or float32")


def make_linear(weight: torch.Tensor, bias: torch.Tensor | None, precision: str, *, rowwise: bool = False) -> Linear:
    """``x @ weight.T + bias`` with the weight ``(out, in)`` and the bias ``(out,)`` stored in `precision`.

    `rowwise`: the result of a row of ``x`` does not depend on the other rows, which may belong to other streams.
    """
    bias = weight.new_zeros(len(weight), dtype=torch.float32) if bias is None else bias.float()
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
    packed: torch.ScriptObject = torch.ops.quantized.linear_prepack(quantised(weight), bias)
    return packed


def quantised(weight: torch.Tensor) -> torch.Tensor:
    """The weight ``(out, in)`` in int8 with one scale per row: the values of `torch.quantize_per_channel`.

    A few rows at a time stay in the cache: half of its time for Whisper's embedding, where it needs copies of 100 MB.
    """
    whole, scales = torch.empty(weight.shape, dtype=torch.int8), torch.empty(len(weight))
    parts = (tensor.split(_CACHED_ROWS) for tensor in (weight, whole, scales))
    for rows, rows_whole, rows_scales in zip(*parts, strict=True):
        floats = rows.float()
        largest = torch.maximum(floats.amax(1), -floats.amin(1))  # as the infinity norm, in a quarter of its time
        rows_scales.copy_(largest.clamp_min_(1e-8) / 127.0)
        rows_whole.copy_((floats * rows_scales.reciprocal()[:, None]).round_().clamp_(-128, 127))
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    with warnings.catch_warnings():  # torch 2.13 announces the end of such tensors; the prepacked weight needs one
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)
        return torch._make_per_channel_quantized_tensor(whole, scales.double(), zeros, 0)
