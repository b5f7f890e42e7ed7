"""The package by the name that it is installed by: `steadyword.transcribe` is `asr.transcribe`, and so on.

import steadyword

print(steadyword.transcribe("talk.mp3").text)
"""

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr import Engine as Engine
    from asr import LiveStream as LiveStream
    from asr import open as open
    from asr import segments as segments
    from asr import transcribe as transcribe

_OWN = Path(__file__).parents[1]
__all__ = ["Engine", "LiveStream", "open", "segments", "transcribe"]


def __getattr__(name: str) -> Any:
    """As `asr` has it; imported on first use. Raises ImportError where another module of that name comes first."""
    if name not in __all__:
        raise AttributeError(f"module 'steadyword' has no attribute {name!r}")
    found = find_spec("asr")
    if found is None or found.origin != str(_OWN / "asr" / "__init__.py"):
        place = found and (found.origin or list(found.submodule_search_locations or ()))
        raise ImportError(f"found {place} where steadyword's own package asr is wanted: rename that module")
    return getattr(import_module("asr"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def main() -> None:
    """The command `asr`, also in a project that has an `asr.py` of its own on the path."""
    spec = PathFinder.find_spec("asr", [str(_OWN)])
    if spec is None or spec.loader is None:
        raise ImportError("the package asr is not beside steadyword; reinstall steadyword")
    sys.modules["asr"] = package = module_from_spec(spec)
    spec.loader.exec_module(package)
    from asr.cli import main as run

    run()
