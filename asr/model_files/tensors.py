"""Weights as Transformers saves them: safetensors, or PyTorch's own files."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from asr.errors import ModelError
from asr.model_files.source import Source

Tensors = dict[str, torch.Tensor]


def read_tensors(source: Source) -> Tensors:
    """The tensors of all weight files by name, mapped from the files where the format allows. Raises `ModelError`."""
    return {name: tensor for path in source.weights for name, tensor in _read(path, source.remedy).items()}


def _read(path: Path, remedy: str) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, TypeError, EOFError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} cannot be read as weights ({reason}); {remedy}") from None
