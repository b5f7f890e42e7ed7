"""A Whisper model's files, read and checked: Transformers' layout, or CTranslate2's converted to its names."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ModelError
from asr.model_files.configured import configured_models
from asr.model_files.source import Source, read_object, read_optional
from asr.model_files.tensors import Tensors, read_tensors
from asr.models.architecture import ModelFiles
from asr.models.whisper.converted_copy import converted
from asr.models.whisper.generation import generation_settings
from asr.models.whisper.layout import check_tensors, whisper_config, without_tied


@dataclass(frozen=True)
class WhisperFiles(ModelFiles):
    """``tensors`` are those of Transformers' `WhisperForConditionalGeneration` without the tied ``proj_out.weight``.

    ``config`` has the fields `asr.models.whisper.layout.CONFIG_FIELDS`; ``generation`` is what
    `asr.models.whisper.generation.generation_settings` returns.
    """

    generation: dict[str, Any]


def read_files(name: str, source: Source, weights_sha256: str) -> WhisperFiles:
    """The model's files. Raises `ModelError` for files that are damaged, incomplete or do not fit each other."""
    if source.layout == "ctranslate2":
        tensors, table = converted(source, weights_sha256)
    else:
        tensors, table = _transformers_tensors(source), source.config()
    config = whisper_config(table, source.where)
    check_tensors(tensors, config, source.where)
    tokenizer_json = tokenizer_file(source)
    generation = generation_settings(tokenizer_json, generation_table(source), config)
    return WhisperFiles(name, "whisper", tensors, config, tokenizer_json, weights_sha256, generation)


def _transformers_tensors(source: Source) -> Tensors:
    tensors = {_full_name(name): tensor for name, tensor in read_tensors(source).items()}
    return without_tied(tensors, source.where)


def _full_name(name: str) -> str:
    """A bare `WhisperModel` is saved without the `model.` in front."""
    return name if name.startswith(("model.", "proj_out.")) else f"model.{name}"


def generation_table(source: Source) -> dict[str, Any]:
    """What the model's folder says about decoding, under Transformers' names; empty where it says nothing.

    Raises `ModelError` for files that are no JSON objects.
    """
    return _from_ctranslate2(source.config_json) if source.layout == "ctranslate2" else _from_folder(source.config_json)


def _from_ctranslate2(config_json: Path) -> dict[str, Any]:
    table = read_optional(config_json)
    return {
        "alignment_heads": table.get("alignment_heads"),
        "suppress_tokens": table.get("suppress_ids"),
        "begin_suppress_tokens": table.get("suppress_ids_begin"),
    }


def _from_folder(config_json: Path) -> dict[str, Any]:
    """`generation_config.json`; before it was introduced, `config.json` held the lists of suppressed tokens."""
    older = read_object(config_json)
    lists = {key: older.get(key) for key in ("suppress_tokens", "begin_suppress_tokens")}
    return lists | read_optional(config_json.with_name("generation_config.json"))


def tokenizer_file(source: Source) -> Path:
    """The model's `tokenizer.json`, or that of an installed model with the same vocabulary (converters leave it out).

    Raises `ModelError` when there is neither.
    """
    own = source.tokenizer_json or source.folder / "tokenizer.json"
    if own.is_file():
        return own
    vocabulary = _vocabulary(source.folder)
    for model in configured_models().values():
        path = model.tokenizer.locate()
        if vocabulary and path and _has_vocabulary(path, vocabulary):
            return path
    raise ModelError(f"{source.where} has no tokenizer.json; copy it there from the model that it was made of")


def _vocabulary(folder: Path) -> list[str]:
    """Token texts in the order of their ids, from CTranslate2's `vocabulary.json` or the older `vocabulary.txt`."""
    try:
        return [str(text) for text in json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        pass  # missing or unreadable: try the older file
    try:
        return (folder / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError):
        return []


def _has_vocabulary(tokenizer_json: Path, vocabulary: list[str]) -> bool:
    """Whether every token has the same id in the tokenizer; it may lack the time tokens at the vocabulary's end."""
    table = read_object(tokenizer_json)
    ids = dict(table["model"]["vocab"]) | {token["content"]: token["id"] for token in table["added_tokens"]}
    rest = vocabulary[len(ids) :]
    return all(ids.get(text) == i for i, text in enumerate(vocabulary[: len(ids)])) and all(
        re.fullmatch(r"<\|\d+\.\d\d\|>", text) for text in rest
    )
