"""int8 weights."""

import pytest
import torch

from asr.models.linear import quantised


@pytest.mark.parametrize("shape", [(1000, 384), (256, 3), (7, 100), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_weights_are_quantised_as_torch_does_it(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Row by row, with rows of zeros, of tiny values and of large ones: the same bytes and scales."""
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    weight[0] = 0
    if len(weight) > 300:
        weight[1], weight[300] = 1e-12, 3e4 * weight[300].sign()
    scales = weight.float().abs().amax(dim=1).clamp_min(1e-8) / 127.0
    zeros = torch.zeros(len(scales), dtype=torch.int64)
    wanted, found = torch.quantize_per_channel(weight.float(), scales, zeros, 0, torch.qint8), quantised(weight)
    assert torch.equal(found.int_repr(), wanted.int_repr())
    assert torch.equal(found.q_per_channel_scales(), wanted.q_per_channel_scales())
    assert (found.dtype, found.q_per_channel_axis()) == (wanted.dtype, wanted.q_per_channel_axis())
