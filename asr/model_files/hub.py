"""Models from a hub (huggingface.co, or the one in `HF_ENDPOINT`), with its own client and its own cache."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

from asr.errors import ModelError
from asr.installing import install_extra
from asr.model_files.folders import folder_source
from asr.model_files.source import Source

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")

WEIGHTS = ["model.safetensors", "model.safetensors.index.json", "model-*.safetensors", "model.bin"]
OLDER_WEIGHTS = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]
"""Fetched only when the model has no others: most offer the same tensors in both formats."""


def is_hub_id(name: str) -> bool:
    """Whether the name has the form `organisation/model`."""
    return _HUB_ID.fullmatch(name) is not None


def hub_source(name: str, settings_files: Sequence[str]) -> Source:
    """The files of a hub id `organisation/model`; those that are not in the hub's cache yet are fetched.

    `settings_files` are names or patterns of what is wanted beside `config.json` and the weights. Raises `ModelError`.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ModelError(f"{name} is on a model hub, and the hub's client is not installed; {install_extra('hub')}")
    settings = ["config.json", *settings_files]
    folder = _fetch(name, settings + WEIGHTS)
    if not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        folder = _fetch(name, settings + OLDER_WEIGHTS)
    return folder_source(folder, where=name, remedy=f"run: hf download {name} --force-download")


def _fetch(name: str, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except LocalEntryNotFoundError:
        raise ModelError(
            f"{name} is not on this machine and the model hub cannot be reached; where it can, run: hf download {name}"
        ) from None
    except (OSError, HFValidationError) as error:  # the client's HTTP errors are OSErrors
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{name} cannot be fetched from the model hub: {reason}") from None
