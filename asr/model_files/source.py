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
        found = known_sha256(self.files)
        if found != self.sha256:
            names = " + ".join(str(path) for path in self.files)
            raise ModelError(f"{names} is damaged: its SHA-256 is {found}, wanted {self.sha256}; {remedy}")


@dataclass(frozen=True)
class Source:
    """One model's files.

    ``layout`` is "ctranslate2" or "transformers"; ``weights`` are in order (parts of one file, or shards).
    ``where`` names the model in errors, ``remedy`` is what helps when a file is damaged.
    """

    where: str
    layout: str
    weights: tuple[Path, ...]
    config_json: Path
    tokenizer_json: Path
    expected: tuple[Expected, ...] = ()
    remedy: str = "fetch it anew"

    def verified_sha256(self) -> str:
        """The weights' SHA-256, once every file that somebody vouches for has been compared. Raises `ModelError`."""
        try:
            for expected in self.expected:
                expected.check(self.remedy)
            return known_sha256(self.weights)
        except OSError as error:
            raise ModelError(f"{error.filename} cannot be read ({error.strerror}); {self.remedy}") from None

    def config(self) -> dict[str, Any]:
        return read_object(self.config_json)

    def generation(self) -> dict[str, Any]:
        """What the folder says of decoding, under Transformers' names."""
        return _from_ctranslate2(self.config_json) if self.layout == "ctranslate2" else _from_folder(self.config_json)


def _from_ctranslate2(config_json: Path) -> dict[str, Any]:
    own = read_object(config_json) if config_json.is_file() else {}
    return {
        "alignment_heads": own.get("alignment_heads"),
        "suppress_tokens": own.get("suppress_ids"),
        "begin_suppress_tokens": own.get("suppress_ids_begin"),
    }


def _from_folder(config_json: Path) -> dict[str, Any]:
    """`generation_config.json`; before there was one, `config.json` held the lists of suppressed tokens."""
    beside = config_json.with_name("generation_config.json")
    older = read_object(config_json)
    lists = {key: older.get(key) for key in ("suppress_tokens", "begin_suppress_tokens")}
    return lists | (read_object(beside) if beside.is_file() else {})


def read_object(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `ModelError`."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}); wanted the model's settings") from None
    except ValueError:
        raise ModelError(f"{path} is not valid JSON; fetch it anew") from None
    if not isinstance(table, dict):
        raise ModelError(f"{path} holds a {type(table).__name__}, wanted an object")
    return table
