"""Models trained on this machine, by name."""

import os
import re
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def models_dir() -> Path:
    """`$STEADYWORD_MODELS`, else `$XDG_DATA_HOME/steadyword/models`, else `~/.local/share/steadyword/models`."""
    if own := os.environ.get("STEADYWORD_MODELS"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".local" / "share") / "steadyword" / "models"


def trained_folder(name: str) -> Path | None:
    """The folder of the model with that name; None if there is none."""
    folder = models_dir() / name
    return folder if _NAME.fullmatch(name) and (folder / "config.json").is_file() else None


def trained_names() -> list[str]:
    """The names of all models trained here, sorted."""
    root = models_dir()
    return sorted(path.name for path in root.iterdir() if trained_folder(path.name)) if root.is_dir() else []
