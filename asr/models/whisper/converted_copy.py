"""CTranslate2's weights under Transformers' names: converted once, then read from a copy in the user's cache."""

import json
import mmap
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from asr.model_files.cache import cache_dir, known_sha256, remove_leftovers, write_atomically, write_text_atomically
from asr.model_files.source import Source
from asr.model_files.tensors import Tensors
from asr.models.whisper.ctranslate2 import whisper_model

CONVERTER_VERSION = 1
"""Part of a converted copy's name; raised when the conversion changes, so that old copies are not used."""


def converted(source: Source, weights_sha256: str) -> tuple[Tensors, dict[str, Any]]:
    """The model's tensors and configuration, from the cache when an intact copy is there.

    Raises `ModelError` for weights that cannot be converted.
    """
    copy = cache_dir() / "models" / f"{weights_sha256[:32]}-v{CONVERTER_VERSION}.safetensors"
    note = copy.with_suffix(".sha256")
    try:
        if note.read_text(encoding="ascii") == known_sha256([copy]):
            return _read_copy(copy)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        pass  # no copy yet, half written, or damaged: convert
    tensors, config = whisper_model(_bytes_of(source.weights), source.where)
    _write_copy(copy, note, tensors, config)
    return tensors, config


def _read_copy(copy: Path) -> tuple[Tensors, dict[str, Any]]:
    with safe_open(copy, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
        return {name: file.get_tensor(name) for name in file.keys()}, config  # noqa: SIM118 - it is no dict


def _write_copy(copy: Path, note: Path, tensors: Tensors, config: dict[str, Any]) -> None:
    """The copy first, the note with its SHA-256 last: a crash in between leaves no valid pair.

    Two processes that convert the same model write the same bytes, so any mixture of their two pairs is valid.
    """
    remove_leftovers(copy.parent)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        write_atomically(copy, lambda path: save_file(contiguous, path, metadata={"config": json.dumps(config)}))
        write_text_atomically(note, known_sha256([copy]))
    except (OSError, SafetensorError):
        pass  # disk full or a read-only home: converted again next time


def _bytes_of(paths: tuple[Path, ...]) -> memoryview:
    """The files' contents joined in order; a single file is mapped, not read."""
    if len(paths) > 1 or paths[0].stat().st_size == 0:
        return memoryview(b"".join(path.read_bytes() for path in paths))
    with paths[0].open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
