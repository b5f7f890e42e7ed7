"""The files on this machine that make up one model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import ModelError
from asr.model_files.cache import known_sha256


@dataclass(frozen=True)
class Expected:
    """Files whose contents, joined in order, must have this SHA-256."""

    files: tuple[Path, ...]
    sha256: str

    def check(self, remedy: str) -> None:
        """Raises `ModelError` that ends in `remedy`, and OSError."""
        sha256 = known_sha256(self.files)
        if sha256 != self.sha256:
            names = " + ".join(str(path) for path in self.files)
            raise ModelError(f"{names} is damaged: its SHA-256 is {sha256}, wanted {self.sha256}; {remedy}")


@dataclass(frozen=True)
class Source:
    """One model's files.

    ``layout`` is "ctranslate2" or "transformers". ``model_type`` is the kind of model that the files name ("whisper",
    "wav2vec2"); None where the layout names none. ``weights`` are in order (parts of one file, or shards).
    ``tokenizer_json`` is set where it is not simply one of the files beside ``config_json``. ``where`` names the model
    in errors; ``remedy`` says what helps when a file is damaged.
    """

    where: str
    layout: str
    model_type: str | None
    weights: tuple[Path, ...]
    config_json: Path
    tokenizer_json: Path | None = None
    expected: tuple[Expected, ...] = ()
    remedy: str = "fetch it again"

    @property
    def folder(self) -> Path:
        """Where `config.json` is, and with it all other settings."""
        return self.config_json.parent

    def verified_sha256(self) -> str:
        """The weights' SHA-256, after all files with a published hash were compared with it. Raises `ModelError`."""
        try:
            for expected in self.expected:
                expected.check(self.remedy)
            return known_sha256(self.weights)
        except OSError as error:
            raise ModelError(f"{error.filename} cannot be read ({error.strerror}); {self.remedy}") from None

    def config(self) -> dict[str, Any]:
        """The content of `config.json`. Raises `ModelError`."""
        return read_object(self.config_json)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `ModelError`."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); wanted the model's settings") from None
    except ValueError:
        raise ModelError(f"{path} is not valid JSON; fetch it again") from None
    if not isinstance(table, dict):
        raise ModelError(f"{path} holds a {type(table).__name__}, wanted an object")
    return table


def read_optional(path: Path) -> dict[str, Any]:
    """The same; empty when there is no such file. Raises `ModelError`."""
    return read_object(path) if path.is_file() else {}
