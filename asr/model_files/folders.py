"""A local folder with a model in it: CTranslate2's layout (as faster-whisper has it) or Transformers'."""

import json
import re
from pathlib import Path

from asr.errors import ModelError
from asr.model_files.configured import configured_models
from asr.model_files.source import Expected, Source, read_object
from asr.models.ctc.layout import is_ctc, vocabulary_file

WANTED = "model.bin (CTranslate2), or config.json with model.safetensors or pytorch_model.bin (Transformers)"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def folder_source(folder: Path, where: str | None = None, remedy: str = "fetch it anew") -> Source:
    """The model in the folder; `where` names it in errors (the folder itself unless told). Raises `ModelError`."""
    where = where or str(folder)
    layout, weights = _weights(folder, where)
    return Source(
        where=where,
        layout=layout,
        weights=weights,
        config_json=folder / "config.json",
        tokenizer_json=vocabulary_file(folder, where) if _is_ctc(folder, layout) else _tokenizer(folder, where),
        expected=tuple(Expected((path,), sha256) for path in weights if (sha256 := _vouched_for(path))),
        remedy=remedy,
    )


def _is_ctc(folder: Path, layout: str) -> bool:
    return layout == "transformers" and is_ctc(read_object(folder / "config.json"))


def _weights(folder: Path, where: str) -> tuple[str, tuple[Path, ...]]:
    if (folder / "model.bin").is_file():
        return "ctranslate2", (folder / "model.bin",)
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return "transformers", (folder / name,)
        if (folder / f"{name}.index.json").is_file():
            return "transformers", _shards(folder / f"{name}.index.json")
    raise ModelError(f"{where} holds no model; wanted {WANTED}")


def _shards(index: Path) -> tuple[Path, ...]:
    """The files that an index names, all of them there, all of them beside it."""
    placed = read_object(index).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise ModelError(f"{index} has no weight_map; fetch it anew")
    names = sorted({str(name) for name in placed.values()})
    for name in names:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise ModelError(f"{index} names {name}, which is not beside it; fetch it anew")
    return tuple(index.parent / name for name in names)


def _vouched_for(path: Path) -> str | None:
    """The SHA-256 that a hub's cache promises: there a file links to a blob that is named by its content."""
    name = path.resolve().name
    return name if path.is_symlink() and _SHA256.fullmatch(name) else None


def _tokenizer(folder: Path, where: str) -> Path:
    """The folder's `tokenizer.json`, or an installed one with the very same vocabulary (converters leave it out)."""
    own = folder / "tokenizer.json"
    if own.is_file():
        return own
    vocabulary = _vocabulary(folder)
    for model in configured_models().values():
        path = model.tokenizer.locate()
        if vocabulary and path and _has_vocabulary(path, vocabulary):
            return path
    raise ModelError(f"{where} has no tokenizer.json; copy it there from the model that it was made of")


def _vocabulary(folder: Path) -> list[str]:
    """Token texts in the order of their ids, from CTranslate2's `vocabulary.json` or the older `vocabulary.txt`."""
    try:
        return [str(text) for text in json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError):
        pass  # none, or none that can be read: perhaps the older form
    try:
        return (folder / "vocabulary.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError):
        return []


def _has_vocabulary(tokenizer_json: Path, vocabulary: list[str]) -> bool:
    """Whether every token has its place in the vocabulary; the times at its end need not be in the tokenizer."""
    table = read_object(tokenizer_json)
    ids = dict(table["model"]["vocab"]) | {token["content"]: token["id"] for token in table["added_tokens"]}
    rest = vocabulary[len(ids) :]
    return all(ids.get(text) == i for i, text in enumerate(vocabulary[: len(ids)])) and all(
        re.fullmatch(r"<\|\d+\.\d\d\|>", text) for text in rest
    )
