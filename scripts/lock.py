"""Writes the lock files: the exact versions of all packages that the project needs, as installed here.

``make lock`` first installs the newest versions that ``pyproject.toml`` allows, then runs this. There are two files, so
that ``make serve`` need not install packages that only tests use: ``requirements.lock`` (the server, the default model
and the build backend) and ``requirements-dev.lock`` (what extra ``dev`` adds on top).

Each version has the SHA-256 of all its files on PyPI, for every platform: ``pip install --require-hashes`` takes no
other ones. ``uv`` (``UV`` names it) asks the index for them and downloads nothing.
"""

import os
import subprocess
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
    """The versions of all installed distributions that `roots` (requirement lines) need on `platform`.

    Packages that only another platform needs and that are not installed here are left out: pip resolves them there.
    """
    installed: Versions = {}
    seen: dict[str, set[str]] = {}
    todo = [Requirement(line) for line in roots]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = seen.setdefault(name, set())
        if name in installed and requirement.extras <= extras:
            continue
        extras |= requirement.extras
        try:
            installed[name] = distribution(name).version
        except PackageNotFoundError:
            if platform:
                continue
            raise SystemExit(f"{name} is needed and not installed; run `make lock`") from None
        todo += _requirements(name, extras, platform)
    installed.pop(PROJECT, None)
    return installed


def _pins(names: Iterable[str], here: Versions, everywhere: Versions) -> str:
    """The lock's lines with hashes. Packages that only Linux needs (torch's CUDA parts) get a marker."""
    lines = (
        f"{name}=={here[name].split('+')[0]}" + ("" if name in everywhere else ' ; sys_platform == "linux"')
        for name in sorted(names)
    )
    return HEADER + _with_hashes("\n".join(lines) + "\n")


def _with_hashes(pins: str) -> str:
    """The same pins, each with the hashes of its files."""
    command = [
        os.environ.get("UV", "uv"),
        "pip",
        "compile",
        "-",
        "--universal",
        "--python-version",
        "3.11",
        "--no-deps",
    ]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    return subprocess.run(command, input=pins, capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Writes `requirements.lock` and `requirements-dev.lock`."""
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
