"""What an architecture says of itself, so that nothing else in the project asks "is it Whisper?".

Each folder below has an `architecture.py` with one `Architecture`; `asr.models.registry` lists them. A new one is a new
folder and one more entry in that tuple.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from asr.model_files.source import Source
from asr.models.base import Recogniser


@dataclass(frozen=True)
class ModelFiles:
    """The checked content of one model's files; an architecture adds fields.

    ``architecture`` is the model type that the files name ("whisper", "wav2vec2"). ``tensors`` have the names and
    shapes of Transformers' state dict and the type they are stored in; they may be mapped from a file, so they are read
    only. ``config`` has the field names of Transformers' `config.json`.
    """

    name: str
    architecture: str
    tensors: dict[str, torch.Tensor]
    config: dict[str, Any]
    tokenizer_json: Path
    weights_sha256: str


Files = TypeVar("Files", bound=ModelFiles)


@dataclass(frozen=True)
class Architecture(Generic[Files]):
    """One family of models: which files it takes, and how a recogniser is made of them.

    - ``model_types``: values of ``model_type`` in Transformers' `config.json`, and of ``architecture`` in
      `configs/models/*.toml`.
    - ``layouts``: the folder layouts it reads (`asr.model_files.folders`).
    - ``settings_files``: what it reads beside `config.json` and the weights; fetched with them from a model hub.
    - ``tokenizer_file(source)`` finds the tokenizer or vocabulary; raises `ModelError`.
    - ``read(name, source, weights_sha256)`` reads and checks all files; raises `ModelError`.
    - ``recogniser(files, precision)`` builds the networks and their search.
    """

    model_types: tuple[str, ...]
    layouts: tuple[str, ...]
    settings_files: tuple[str, ...]
    tokenizer_file: Callable[[Source], Path]
    read: Callable[[str, Source, str], Files]
    recogniser: Callable[[Files, str], Recogniser]

    def accepts(self, source: Source) -> bool:
        """Whether the model is one of this architecture's. CTranslate2's folders name no type: its layout decides."""
        return source.layout in self.layouts and (source.model_type is None or source.model_type in self.model_types)

    def load_files(self, name: str, source: Source) -> Files:
        """The model's files, read after every SHA-256 that is known was compared. Raises `ModelError`."""
        return self.read(name, source, source.verified_sha256())

    def load(self, name: str, source: Source, precision: str, device: str = "cpu") -> Recogniser:
        """The model, ready to recognise there. `precision` is one of `asr.models.linear.PRECISIONS`.

        Raises `ModelError`. The networks compute where their tensors are.
        """
        files = self.load_files(name, source)
        if device != "cpu":
            files = replace(files, tensors={key: tensor.to(device) for key, tensor in files.tensors.items()})
        return self.recogniser(files, precision)
