"""A model's name -> its tensors, configuration and tokenizer, checked by SHA-256.

A name is one of `configs/models/*.toml`, a local folder (Transformers' or CTranslate2's layout) or a hub id.
"""

import dataclasses
import json
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from asr import ctranslate2
from asr.cache import cache_dir, known_sha256, write_atomically
from asr.errors import ModelError
from asr.generation import generation_settings
from asr.sources import Source, configured_models, find_source, locate
from asr.whisper_layout import check_tensors, whisper_config

CONVERTER_VERSION = 1
"""Part of a converted copy's name; raised when the conversion changes, so that old copies are not used."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ModelFiles:
    """All that a model is made of.

    ``tensors`` have the names and shapes of Transformers' `WhisperForConditionalGeneration` (without the tied
    ``proj_out.weight``) and the type they are stored in (float16 mostly).
    ``config`` has Transformers' field names: those of `asr.whisper_layout.CONFIG_FIELDS`.
    ``generation`` see `asr.generation.generation_settings`.
    """

    name: str
    architecture: str
    tensors: Tensors
    config: dict[str, Any]
    generation: dict[str, Any]
    tokenizer_json: Path
    weights_sha256: str


@dataclass(frozen=True)
class ModelStatus:
    """One configured model, for `asr models`; ``hash_ok`` is None where the files are not here."""

    name: str
    architecture: str
    languages: tuple[str, ...]
    description: str
    licence: str
    source: str
    present: bool
    hash_ok: bool | None
    size_bytes: int | None
    install: str


def load_model_files(name: str) -> ModelFiles:
    """The model of that name, its files checked before use.

    Raises `ModelError` when it is unknown, missing, damaged or of a kind that is not supported, with what helps.
    """
    source = find_source(name)
    sha256 = source.verified_sha256()
    tensors, config = _whisper(source, sha256)
    check_tensors(tensors, config, source.where)
    generation = generation_settings(source.tokenizer_json, source.read_generation(), config["vocab_size"])
    return ModelFiles(name, "whisper", tensors, config, generation, source.tokenizer_json, sha256)


def _whisper(source: Source, sha256: str) -> tuple[Tensors, dict[str, Any]]:
    if source.layout == "ctranslate2":
        return _converted(source, sha256)
    tensors = dict(item for path in source.weights for item in _load(path).items())
    return _transformers_names(tensors), whisper_config(source.read_config(), source.where)


def _load(path: Path) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (SafetensorError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise ModelError(f"{path} cannot be read as weights ({_first_line(error)}); fetch it anew") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _transformers_names(tensors: Tensors) -> Tensors:
    """Names as `WhisperForConditionalGeneration` has them; a bare `WhisperModel` is saved without the `model.`."""
    named = {name if name.startswith(("model.", "proj_out.")) else f"model.{name}": t for name, t in tensors.items()}
    named.pop("proj_out.weight", None)
    return named


def _converted(source: Source, sha256: str) -> tuple[Tensors, dict[str, Any]]:
    """The converted copy in the cache, made first where there is none that holds."""
    copy = cache_dir() / "models" / f"{sha256[:32]}-v{CONVERTER_VERSION}.safetensors"
    note = copy.with_suffix(".json")
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        if noted["sha256"] == known_sha256([copy]):
            return load_file(copy), dict(noted["config"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        pass  # none yet, or half written, or damaged: make it
    tensors, config = ctranslate2.whisper_model(_bytes_of(source.weights), source.where)
    _keep_copy(copy, note, tensors, config)
    return tensors, config


def _keep_copy(copy: Path, note: Path, tensors: Tensors, config: dict[str, Any]) -> None:
    """The tensors first, the note (which says that they are whole) last: a crash between leaves no valid pair.

    Two processes at once write the same bytes, so any mixture of their two pairs is valid.
    """
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        write_atomically(copy, lambda path: save_file(whole, path))
        text = json.dumps({"sha256": known_sha256([copy]), "config": config})
        write_atomically(note, lambda path: _write_text(path, text))
    except (OSError, SafetensorError):
        pass  # no room or a read-only home: converted again next time


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _bytes_of(paths: tuple[Path, ...]) -> memoryview:
    """The files' contents joined in order; a single file is mapped, not read."""
    if len(paths) > 1:
        return memoryview(b"".join(path.read_bytes() for path in paths))
    with paths[0].open("rb") as file:
        if paths[0].stat().st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def list_models() -> list[ModelStatus]:
    """Every configured model, by name; checks the hash of those that are here."""
    return [_status(name) for name in sorted(configured_models())]


def _status(name: str) -> ModelStatus:
    model = configured_models()[name]
    files = [locate(file) for file in model.weights]
    present = [path for path in files if path is not None]
    whole = len(present) == len(files)
    told = {f.name: getattr(model, f.name) for f in dataclasses.fields(ModelStatus) if hasattr(model, f.name)}
    return ModelStatus(
        **told,
        present=whole,
        hash_ok=known_sha256(present) == model.sha256 if whole else None,
        size_bytes=sum(path.stat().st_size for path in present) if whole else None,
    )
