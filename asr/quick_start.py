"""What makes a command start and end sooner (docs/log/page.md#the-start-of-asr-transcribe)."""

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

from asr.collection import uncollected

NEVER_USED = ("torch._meta_registrations",)
"""Shapes without values, which torch needs to compile and to export a model: a third of its import. A module in this
list is loaded when somebody first uses a name of it; a torch without it imports as ever."""


class _Postponed(MetaPathFinder):
    """Finds the modules `NEVER_USED`, and has them loaded when they are used."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target) if fullname in NEVER_USED else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def quick_imports() -> Iterator[None]:
    """For a process that only recognises: imports without `NEVER_USED`, and without a search for garbage.

    Torch makes half a million objects, and all of them stay.
    """
    finder = _Postponed()
    sys.meta_path.insert(0, finder)
    try:
        with without_collection():
            yield
    finally:
        sys.meta_path.remove(finder)


@contextmanager
def without_collection() -> Iterator[None]:
    """No search for garbage within; later ones leave out what is there at its end."""
    with uncollected():
        try:
            yield
        finally:
            gc.freeze()


def end_quickly() -> None:
    """To be called last: Python searches what is left at its end, which takes 0.4 s with torch."""
    gc.disable()
    gc.freeze()
