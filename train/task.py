"""What the loop needs of a kind of model: a loss, a count of errors, a folder to save to."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch

from eval.metrics.word_errors import Counts
from train.data import Example


class TrainingTask(Protocol):
    """One model in training. Its parameters lie on one device."""

    model: torch.nn.Module
    measure: str
    """What the rate of its errors is called, such as WER."""

    def loss(self, batch: Sequence[Example]) -> torch.Tensor:
        """The mean loss of a batch, for backward."""
        ...

    def errors(self, batch: Sequence[Example]) -> Counts:
        """What the model says now of the examples, counted in what its measure is of: words, or frames."""
        ...

    def save(self, folder: Path) -> None:
        """The model in Transformers' layout, with all that recognising needs."""
        ...


def best_device(asked: str) -> torch.device:
    """`auto` is CUDA where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu") if asked == "auto" else torch.device(asked)


def freeze(model: torch.nn.Module, frozen: Sequence[str], only: Sequence[str]) -> int:
    """Leaves parameters as they are, by their names' beginnings; returns how many numbers are still trained.

    Raises `ConfigError` for a beginning that no parameter has, and when nothing is left to train.
    """
    from asr.errors import ConfigError

    names = [name for name, _ in model.named_parameters()]
    for beginning in (*frozen, *only):
        if not any(name.startswith(beginning) for name in names):
            raise ConfigError(f"no parameter's name begins with {beginning!r}; one is {names[len(names) // 2]}")
    for name, parameter in model.named_parameters():
        kept = name.startswith(tuple(frozen)) or (only and not name.startswith(tuple(only)))
        parameter.requires_grad_(not kept)
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if not count:
        raise ConfigError("every parameter is frozen; wanted some to train")
    return count
