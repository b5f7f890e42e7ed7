"""What the training loop needs of a model: loss, errors, save."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from asr.errors import ConfigError
from eval.metrics.word_errors import Counts
from train.data import Example


class TrainingTask(Protocol):
    """One model in training. All its parameters are on one device."""

    model: torch.nn.Module
    measure: str
    """The name of its error rate, such as WER."""

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """The mean loss of a batch: a scalar tensor to call `backward` on."""
        ...

    def errors(self, batch: Sequence[Example]) -> Counts:
        """The model's errors on the examples, in the units of `measure`: words or frames."""
        ...

    def save(self, folder: Path) -> None:
        """Writes the model in Transformers' layout, with everything that recognition needs."""
        ...


def best_device(name: str) -> torch.device:
    """The device by name; `auto` is CUDA if available, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else torch.device(name)


def freeze(model: torch.nn.Module, frozen: Sequence[str], only: Sequence[str]) -> int:
    """Freezes parameters by name prefix: those in `frozen`, and all not in `only` if that is not empty.

    Returns the number of trainable values. Raises `ConfigError` for a prefix without a parameter, and if nothing is
    left to train.
    """

    names = [name for name, _ in model.named_parameters()]
    for prefix in (*frozen, *only):
        if not any(name.startswith(prefix) for name in names):
            raise ConfigError(f"no parameter's name begins with {prefix!r}; one is {names[len(names) // 2]}")
    for name, parameter in model.named_parameters():
        is_frozen = name.startswith(tuple(frozen)) or (only and not name.startswith(tuple(only)))
        parameter.requires_grad_(not is_frozen)
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if not count:
        raise ConfigError("every parameter is frozen; wanted some to train")
    return count
