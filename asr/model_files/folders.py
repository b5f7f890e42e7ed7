"""A local folder with a model in it: CTranslate2's layout (as faster-whisper has it) or Transformers'."""

import re
from pathlib import Path

from asr.errors import ModelError
from asr.model_files.source import Expected, Source, read_object

WANTED = "model.bin (CTranslate2), or config.json with model.safetensors or pytorch_model.bin (Transformers)"

_SHA256 = re.compile(r"[0-9a-f]{64}")


def folder_source(folder: Path, where: str | None = None, remedy: str = "fetch it again") -> Source:
    """The model in the folder; `where` names it in errors (default: the folder's path). Raises `ModelError`."""
    where = where or str(folder)
    layout, weights = _weights(folder, where)
    config_json = folder / "config.json"
    return Source(
        where=where,
        layout=layout,
        model_type=_model_type(config_json) if layout == "transformers" else None,
        weights=weights,
        config_json=config_json,
        expected=tuple(Expected((path,), sha256) for path in weights if (sha256 := _sha256_in_name(path))),
        remedy=remedy,
    )


def _model_type(config_json: Path) -> str:
    return str(read_object(config_json).get("model_type", ""))


def _weights(folder: Path, where: str) -> tuple[str, tuple[Path, ...]]:
    """The folder's layout, and its weight files in order."""
    if (folder / "model.bin").is_file():
        return "ctranslate2", (folder / "model.bin",)
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (folder / name).is_file():
            return "transformers", (folder / name,)
        if (folder / f"{name}.index.json").is_file():
            return "transformers", _shards(folder / f"{name}.index.json")
    raise ModelError(f"{where} holds no model; wanted {WANTED}")


def _shards(index: Path) -> tuple[Path, ...]:
    """The files that an index names; each must be in the index's own folder."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{index} has no weight_map; fetch it again")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not (index.parent / name).is_file():
            raise ModelError(f"{index} names {name}, which is not beside it; fetch it again")
    return tuple(index.parent / name for name in names)


def _sha256_in_name(path: Path) -> str | None:
    """The SHA-256 that a hub's cache promises: a file there is a link to a blob that is named by its content."""
    name = path.resolve().name
    return name if path.is_symlink() and _SHA256.fullmatch(name) else None
