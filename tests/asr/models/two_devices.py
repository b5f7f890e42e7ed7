"""A second device on a machine that has none: finds tensors that CUDA would refuse to compute with.

No real device: "cuda" tensors are CPU tensors with a mark. What is made there, moved there or computed from such a
tensor has the mark. As CUDA does, it refuses a call with tensors of both devices (CPU tensors may index, and numbers
may take part), and NumPy's view of a marked one. Speed, memory and rounding of a GPU are not seen by this.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
_INDEXING = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}


class TwoDevices(TorchFunctionMode):
    """A context in which "cuda" is a device."""

    calls = 0
    """Calls that computed on it."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func == torch.Tensor.device.__get__:
            return GPU if _is_marked(args[0]) else CPU
        if func == torch.Tensor.is_cpu.__get__:
            return not _is_marked(args[0])
        if func is torch.Tensor.cpu:
            return args[0].clone() if _is_marked(args[0]) else args[0]
        target = kwargs.get("device")
        args = tuple(args)
        if func is torch.Tensor.to and isinstance(args[1], torch.device | str):
            target, args = args[1], (args[0].clone(), CPU, *args[2:])
        if target is not None:
            kwargs |= {"device": CPU} if "device" in kwargs else {}
        inputs = list(_tensors((args, kwargs)))
        marked = [_is_marked(tensor) for tensor in inputs]
        if func in (torch.Tensor.numpy, torch.Tensor.__array__) and any(marked):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        if target is None and any(marked):
            others = inputs[:1] if func in _INDEXING else [tensor for tensor in inputs if tensor.dim()]
            if not all(map(_is_marked, others)):
                raise RuntimeError(f"{func} got tensors on cuda:0 and cpu")
        result = func(*args, **kwargs)
        on_gpu = any(marked) if target is None else torch.device(target).type == "cuda"
        if on_gpu:
            self.calls += 1
            for tensor in _tensors(result):
                tensor._is_on_gpu = True  # type: ignore[attr-defined]
        return result


def _is_marked(tensor: torch.Tensor) -> bool:
    return getattr(tensor, "_is_on_gpu", False)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _tensors(each)
