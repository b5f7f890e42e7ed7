"""Writes the lock files: exact versions of everything that this environment holds for the project.

``make lock`` first installs the newest versions that ``pyproject.toml`` allows, then runs this. Two files, so that
``make serve`` need not install what only tests use: ``requirements.lock`` (the server, the default model and the
build backend) and ``requirements-dev.lock`` (what extra ``dev`` adds on top).
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "steadyword"
MAC = {"platform_system": "Darwin", "sys_platform": "darwin", "os_name": "posix"}
HEADER = "# Made by `make lock` from pyproject.toml; do not edit.\n"

Versions = dict[str, str]


def _wanted(requirement: Requirement, extras: Iterable[str], platform: dict[str, str]) -> bool:
    if requirement.marker is None:
        return True
    return any(requirement.marker.evaluate({**platform, "extra": extra}) for extra in ("", *extras))


def _requirements(name: str, extras: set[str], platform: dict[str, str]) -> Iterator[Requirement]:
    for line in distribution(name).requires or []:
        requirement = Requirement(line)
        if _wanted(requirement, extras, platform):
            yield requirement


def closure(roots: Iterable[str], platform: dict[str, str]) -> Versions:
    """Every installed distribution that `roots` (requirement lines) need on `platform`, with its version.

    What another platform alone needs and is not installed here is left out: pip finds it there by itself.
    """
    found: Versions = {}
    seen: dict[str, set[str]] = {}
    todo = [Requirement(line) for line in roots]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        known = seen.setdefault(name, set())
        if name in found and requirement.extras <= known:
            continue
        known |= requirement.extras
        try:
            found[name] = distribution(name).version
        except PackageNotFoundError:
            if platform:
                continue
            raise SystemExit(f"{name} is needed and not installed; run `make lock`") from None
        todo += _requirements(name, known, platform)
    found.pop(PROJECT, None)
    return found


def _pins(names: Iterable[str], here: Versions, everywhere: Versions) -> str:
    """Lock lines; what only Linux needs (torch's CUDA parts) says so, so that the file installs elsewhere too."""
    lines = (
        f"{name}=={here[name].split('+')[0]}" + ("" if name in everywhere else ' ; sys_platform == "linux"')
        for name in sorted(names)
    )
    return HEADER + "\n".join(lines) + "\n"


def main() -> None:
    if sys.platform != "linux":
        raise SystemExit(f"the locks are made on Linux, which needs the most packages; this is {sys.platform}")
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    base = [PROJECT, *build, "editables", "setuptools"]  # hatchling asks for `editables` when the install is editable
    runtime, dev = closure(base, {}), closure([*base, f"{PROJECT}[dev]"], {})
    everywhere = closure([*base, f"{PROJECT}[dev]"], MAC)
    (ROOT / "requirements.lock").write_text(_pins(runtime, runtime, everywhere), encoding="utf-8")
    (ROOT / "requirements-dev.lock").write_text(_pins(dev.keys() - runtime.keys(), dev, everywhere), encoding="utf-8")


if __name__ == "__main__":
    main()
