"""A model's files -> one folder that holds all of them, as a release needs it."""

import shutil
from pathlib import Path

from asr.errors import ModelError
from asr.model_files.source import Source

_CTRANSLATE2_WEIGHTS = "model.bin"


def exported(source: Source, target: Path) -> Path:
    """A folder with all files of the model: its own where it has one, else `target` with copies.

    A packaged model may keep the parts of its weights in several packages. Raises `ModelError`.
    """
    source.verified_sha256()
    if source.layout != "ctranslate2" or [path.name for path in source.weights] == [_CTRANSLATE2_WEIGHTS]:
        return source.folder
    try:
        target.mkdir(parents=True, exist_ok=True)
        with (target / _CTRANSLATE2_WEIGHTS).open("wb") as joined:
            for part in source.weights:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, joined)
        for path in (source.config_json, source.tokenizer_json):
            if path is not None:
                shutil.copyfile(path, target / path.name)
    except OSError as error:
        raise ModelError(
            f"{source.where} cannot be copied to {target} ({error.strerror}); wanted a disk with free space"
        ) from None
    return target
