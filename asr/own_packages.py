"""The command finds its own packages, whatever a project of the user has on Python's path.

Many projects have a `train.py`, a `server.py` or a folder `eval`, and run with `PYTHONPATH=.` or `python -m asr`, which
put their folder first.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

PACKAGES = ("asr", "server", "batch", "eval", "train", "ops")
"""The top level of `pyproject.toml`'s wheel, but for `steadyword`, whose name nobody else has."""


def find_own_packages_first() -> None:
    """Puts folders of the path that hide one of `PACKAGES` behind all others; child processes get the same path.

    The modules in them are still found, unless another folder has one of the same name.
    """
    sys.path[:] = _sorted(sys.path, str(Path(__file__).parents[1]))


def _sorted(path: Sequence[str], home: str) -> list[str]:
    before = path[: path.index(home)] if home in path else path
    hiding = [folder for folder in before if folder != home and _hides(folder)]
    return [folder for folder in path if folder not in hiding] + [home] * (home not in path) + hiding


def _hides(folder: str) -> bool:
    """Whether a module or a regular package of one of the names is there; a mere folder hides nothing."""
    found = (PathFinder.find_spec(name, [folder or "."]) for name in PACKAGES)
    return any(spec is not None and spec.loader is not None for spec in found)
