"""The architectures, and the way from a model's name to its recogniser."""

from typing import Any

from asr.errors import ModelError
from asr.model_files import Source, find_source, folder_source
from asr.models.architecture import Architecture, ModelFiles
from asr.models.base import Recogniser
from asr.models.ctc.architecture import CTC
from asr.models.whisper.architecture import WHISPER
from asr.released import find_release, missing_champion

ARCHITECTURES: tuple[Architecture[Any], ...] = (WHISPER, CTC)
"""In the order in which they are asked."""


def load_recogniser(name: str, precision: str, device: str = "cpu") -> Recogniser:
    """The model of a release, a configured name, a local folder or a hub id. Raises as `find_model`."""
    architecture, source = find_model(name)
    return architecture.load(name, source, precision, device)


def load_model_files(name: str) -> ModelFiles:
    """The same model's files, without its networks: for training and for tests. Raises `ModelError`."""
    architecture, source = find_model(name)
    files: ModelFiles = architecture.load_files(name, source)
    return files


def find_model(name: str) -> tuple[Architecture[Any], Source]:
    """Where a model's files are and which architecture takes them; nothing is loaded.

    Raises `ModelError` when it is unknown, not on this machine, incomplete or of a kind that is not supported, and
    `LedgerError` for a release that is missing or damaged.
    """
    return _with_architecture(_source(name))


def find_installed(name: str) -> tuple[Architecture[Any], Source]:
    """As `find_model`, but releases are not asked. Raises `ModelError`."""
    return _with_architecture(_installed_source(name))


def _with_architecture(source: Source) -> tuple[Architecture[Any], Source]:
    architecture = architecture_of(source)
    architecture.tokenizer_file(source)
    return architecture, source


def _installed_source(name: str) -> Source:
    return find_source(name, [pattern for architecture in ARCHITECTURES for pattern in architecture.settings_files])


def _source(name: str) -> Source:
    """A release comes first: a trained model keeps its name when its folder becomes the first release of it."""
    if (release := find_release(name)) is not None:
        return folder_source(release.folder, where=f"release {release.ref}", remedy="add its folder again")
    try:
        return _installed_source(name)
    except ModelError:
        if (without_champion := missing_champion(name)) is not None:
            raise without_champion from None
        raise


def architecture_of(source: Source) -> Architecture[Any]:
    """The first architecture that accepts the files. Raises `ModelError` when none does."""
    for architecture in ARCHITECTURES:
        if architecture.accepts(source):
            return architecture
    *types, last = [name for architecture in ARCHITECTURES for name in architecture.model_types]
    wanted = f"{', '.join(types)} or {last}"
    raise ModelError(f"{source.where} holds a {source.layout} model of type {source.model_type!r}, wanted {wanted}")
