"""Loads a model by its name, and tells which models there are."""

import difflib
import json
import mmap
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from asr.errors import ModelError
from asr.model_files.cache import cache_dir, known_sha256, remove_leftovers, write_atomically, write_text_atomically
from asr.model_files.configured import ConfiguredModel, configured_models
from asr.model_files.folders import folder_source
from asr.model_files.hub import hub_source, is_hub_id
from asr.model_files.source import Source, read_object
from asr.model_files.trained import models_dir, trained_folder, trained_names
from asr.models.ctc.layout import (
    Decoding,
    Vocabulary,
    check_ctc_tensors,
    ctc_config,
    is_ctc,
    read_decoding,
    read_vocabulary,
)
from asr.models.whisper import ctranslate2
from asr.models.whisper.generation import generation_settings
from asr.models.whisper.layout import check_tensors, whisper_config, without_tied

CONVERTER_VERSION = 1
"""Part of a converted copy's name; raised when the conversion changes, so that old copies are not used."""

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ModelFiles:
    """All that a model is made of.

    ``tensors`` have the names and shapes of Transformers' `WhisperForConditionalGeneration` (without the tied
    ``proj_out.weight``) and the type they are stored in (float16 mostly). They may be mapped from a file: read only.
    ``config`` has Transformers' field names, those of `asr.models.whisper.layout.CONFIG_FIELDS`.
    ``generation``: see `asr.models.whisper.generation.generation_settings`.

    A CTC model has a ``vocabulary``, and ``decoding`` is how it wants to be searched; its ``architecture``, tensors and
    config are Transformers' own.
    """

    name: str
    architecture: str
    tensors: Tensors
    config: dict[str, Any]
    generation: dict[str, Any]
    tokenizer_json: Path
    weights_sha256: str
    vocabulary: Vocabulary | None = None
    decoding: Decoding | None = None


@dataclass(frozen=True)
class ModelStatus:
    """One configured model; ``hash_ok`` and ``size_bytes`` are None where its files are not here."""

    name: str
    architecture: str
    languages: tuple[str, ...]
    description: str
    licence: str
    source: str
    install: str
    present: bool
    hash_ok: bool | None
    size_bytes: int | None


def load_model_files(name: str) -> ModelFiles:
    """The model of that name (configured name, local folder or hub id), its files checked before use.

    Raises `ModelError` when it is unknown, missing, damaged or of a kind that is not supported, with what helps.
    """
    source = find_source(name)
    sha256 = source.verified_sha256()
    if source.layout == "transformers" and is_ctc(source.config()):
        return _ctc(name, source, sha256)
    tensors, table = _converted(source, sha256) if source.layout == "ctranslate2" else _as_they_are(source)
    config = whisper_config(table, source.where)
    check_tensors(tensors, config, source.where)
    generation = generation_settings(source.tokenizer_json, source.generation(), config)
    return ModelFiles(name, "whisper", tensors, config, generation, source.tokenizer_json, sha256)


def _ctc(name: str, source: Source, sha256: str) -> ModelFiles:
    """A CTC model's files, as Transformers wrote them."""
    config = ctc_config(source.config(), source.where)
    vocabulary = read_vocabulary(source.tokenizer_json, config, source.where)
    tensors = {key: tensor for path in source.weights for key, tensor in _load(path, source.remedy).items()}
    check_ctc_tensors(tensors, config, source.where)
    decoding = read_decoding(source.tokenizer_json.parent, source.where)
    kind = str(config["model_type"])
    return ModelFiles(name, kind, tensors, config, {}, source.tokenizer_json, sha256, vocabulary, decoding)


def find_source(name: str) -> Source:
    """The files of a configured name, a local folder or a hub id. Raises `ModelError`."""
    models = configured_models()
    if name in models:
        return models[name].located()
    if (trained := trained_folder(name)) is not None:
        return folder_source(trained, where=f"model {name}")
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder_source(folder)
    if name and folder.exists():
        raise ModelError(f"{name} is a file, wanted a model's name or the folder that its files are in")
    if is_hub_id(name):
        return hub_source(name)
    known = [*models, *trained_names()]
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    wanted = f"wanted {', '.join(known)}, a local folder, or a hub id such as openai/whisper-small"
    raise ModelError(f"no model named {name!r}; {meant}{wanted}")


def _as_they_are(source: Source) -> tuple[Tensors, dict[str, Any]]:
    """Transformers' own files need no copy."""
    config = source.config()
    tensors = {_full_name(name): t for path in source.weights for name, t in _load(path, source.remedy).items()}
    return without_tied(tensors, source.where), config


def _full_name(name: str) -> str:
    """A bare `WhisperModel` is saved without the `model.` in front."""
    return name if name.startswith(("model.", "proj_out.")) else f"model.{name}"


def _load(path: Path, remedy: str) -> Tensors:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, ValueError, TypeError, EOFError, OSError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path} cannot be read as weights ({told}); {remedy}") from None


def _converted(source: Source, sha256: str) -> tuple[Tensors, dict[str, Any]]:
    """The converted copy in the cache, made first where there is none that holds."""
    copy = cache_dir() / "models" / f"{sha256[:32]}-v{CONVERTER_VERSION}.safetensors"
    note = copy.with_suffix(".sha256")
    try:
        if note.read_text(encoding="ascii") == known_sha256([copy]):
            return _read_copy(copy)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        pass  # none yet, or half written, or damaged: make it
    tensors, config = ctranslate2.whisper_model(_bytes_of(source.weights), source.where)
    _keep(copy, note, tensors, config)
    return tensors, config


def _read_copy(copy: Path) -> tuple[Tensors, dict[str, Any]]:
    with safe_open(copy, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
        return {name: file.get_tensor(name) for name in file.keys()}, config  # noqa: SIM118 - it is no dict


def _keep(copy: Path, note: Path, tensors: Tensors, config: dict[str, Any]) -> None:
    """The copy first, the note (its SHA-256, which says that it is whole) last: a crash between leaves no valid pair.

    Two processes at once write the same bytes, so any mixture of their two pairs is valid.
    """
    remove_leftovers(copy.parent)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        write_atomically(copy, lambda path: save_file(whole, path, metadata={"config": json.dumps(config)}))
        write_text_atomically(note, known_sha256([copy]))
    except (OSError, SafetensorError):
        pass  # no room or a read-only home: converted again next time


def _bytes_of(paths: tuple[Path, ...]) -> memoryview:
    """The files' contents joined in order; a single file is mapped, not read."""
    if len(paths) > 1 or paths[0].stat().st_size == 0:
        return memoryview(b"".join(path.read_bytes() for path in paths))
    with paths[0].open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def list_models() -> list[ModelStatus]:
    """Every configured model, then those that were trained here, by name; checks the hashes of those that are here."""
    trained = [_trained_status(name) for name in trained_names()]
    return [_status(model) for model in configured_models().values()] + trained


def _trained_status(name: str) -> ModelStatus:
    """Nobody vouches for its hash; its files are there, or it would not be known."""
    folder = models_dir() / name
    writes = any((folder / table).is_file() for table in ("vocab.json", "tokenizer.json"))
    return ModelStatus(
        name=name,
        architecture=str(read_object(folder / "config.json").get("model_type", "")),
        languages=(),
        description="trained on this machine" + ("" if writes else ": a start for training, it writes nothing"),
        licence="",
        source=str(folder),
        install="",
        present=True,
        hash_ok=None,
        size_bytes=sum(path.stat().st_size for path in folder.glob("*.safetensors")),
    )


def _status(model: ConfiguredModel) -> ModelStatus:
    present = model.present
    return ModelStatus(
        name=model.name,
        architecture=model.architecture,
        languages=model.languages,
        description=model.description,
        licence=model.licence,
        source=model.source,
        install=model.install,
        present=present,
        hash_ok=_hash_ok(model.located()) if present else None,
        size_bytes=sum(path.stat().st_size for path in model.located().weights) if present else None,
    )


def _hash_ok(source: Source) -> bool:
    try:
        source.verified_sha256()
    except ModelError:
        return False
    return True
