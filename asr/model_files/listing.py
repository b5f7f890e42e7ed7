"""The models that have a name: the configured ones, and those trained on this machine."""

from dataclasses import dataclass

from asr.errors import ModelError
from asr.model_files.configured import ConfiguredModel, configured_models
from asr.model_files.source import Source, read_object
from asr.model_files.trained import models_dir, trained_names


@dataclass(frozen=True)
class ModelStatus:
    """One model with a name. ``hash_ok`` and ``size_bytes`` are None if its files are not on this machine.

    ``hash_ok`` is also None for a model trained here: there is no published hash to compare with.
    """

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


def list_models() -> list[ModelStatus]:
    """Every configured model, then those trained here, each group by name. Hashes all present files.

    Raises `ConfigError` for a file of `configs/models` that is not valid.
    """
    trained = [_trained_status(name) for name in trained_names()]
    return [_status(model) for model in configured_models().values()] + trained


def _trained_status(name: str) -> ModelStatus:
    folder = models_dir() / name
    has_tokenizer = any((folder / table).is_file() for table in ("vocab.json", "tokenizer.json"))
    return ModelStatus(
        name=name,
        architecture=str(read_object(folder / "config.json").get("model_type", "")),
        languages=(),
        description="trained on this machine" + ("" if has_tokenizer else ": a start for training, no output layer"),
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
