"""A model's name -> where its files are."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from asr.errors import ModelError
from asr.model_files.configured import configured_models
from asr.model_files.folders import folder_source
from asr.model_files.hub import hub_source, is_hub_id
from asr.model_files.source import Source
from asr.model_files.trained import trained_folder, trained_names


def find_source(name: str, settings_files: Sequence[str] = ()) -> Source:
    """The files of a configured name, of a model trained on this machine, of a local folder or of a hub id.

    `settings_files` are fetched from a hub beside `config.json` and the weights (file names or patterns).
    Raises `ModelError`.
    """
    models = configured_models()
    if name in models:
        return models[name].located()
    if (trained := trained_folder(name)) is not None:
        return folder_source(trained, where=f"model {name}")
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return folder_source(folder)
    if name and folder.exists():
        raise ModelError(f"{name} is a file, wanted a model's name or the folder that its files are in")
    if is_hub_id(name):
        return hub_source(name, settings_files)
    raise ModelError(_unknown(name, [*models, *trained_names()]))


def _unknown(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=2, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    wanted = f"wanted {', '.join(names)}, a local folder, or a hub id such as openai/whisper-small"
    return f"no model named {name!r}; {meant}{wanted}"
