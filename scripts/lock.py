"""Writes the lock files: the exact versions of all packages that the project needs, as installed here.

``make lock`` first installs the newest versions that ``pyproject.toml`` allows, then runs this. ``make serve`` need not
install what only tests use: ``requirements.lock`` has the server, the default model and the build backend,
``requirements-dev.lock`` what extra ``dev`` adds on top. ``requirements-cpu.lock`` is the first without CUDA: it has
PyTorch's own build for CPUs in place of PyPI's, and none of NVIDIA's libraries.

Each version has the SHA-256 of all its files on PyPI, for every platform: ``pip install --require-hashes`` takes no
other ones. ``uv`` (``UV`` names it) asks the index for them and downloads nothing.
"""

import os
import re
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
CPU_TORCH = (
    "torch==2.13.0+cpu ; sys_platform == 'linux' and platform_machine == 'x86_64' \\\n"
    "    --hash=sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b\n"
)
"""PyTorch's build for CPUs and Python 3.11, from https://download.pytorch.org/whl/cpu: 0.2 GB to load, not 2.9 GB. PyPI
has none for Linux. It is a later version than the one in the other locks; CONTRIBUTING.md says how it is tested."""
ONLY_CUDA = "; sys_platform == 'linux'"
"""What only Linux needs are torch's CUDA parts."""

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


def without_cuda(lock: str) -> str:
    """`requirements.lock` -> `requirements-cpu.lock`. torch is first: where no index has it, nothing is loaded."""
    pins = re.split(r"\n(?=\S)", lock.removeprefix(HEADER).rstrip("\n"))
    kept = [pin for pin in pins if ONLY_CUDA not in pin.split("\\", 1)[0] and not pin.startswith("torch==")]
    return HEADER + CPU_TORCH + "\n".join(kept) + "\n"


def main() -> None:
    """Writes `requirements.lock`, `requirements-cpu.lock` and `requirements-dev.lock`."""
    if sys.platform != "linux":
        raise SystemExit(f"the locks are made on Linux, which needs the most packages; this is {sys.platform}")
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"]
    base = [PROJECT, *build, "editables", "setuptools"]  # hatchling asks for `editables` when the install is editable
    runtime, dev = closure(base, {}), closure([*base, f"{PROJECT}[dev]"], {})
    everywhere = closure([*base, f"{PROJECT}[dev]"], MAC)
    lock = _pins(runtime, runtime, everywhere)
    (ROOT / "requirements.lock").write_text(lock, encoding="utf-8")
    (ROOT / "requirements-cpu.lock").write_text(without_cuda(lock), encoding="utf-8")
    (ROOT / "requirements-dev.lock").write_text(_pins(dev.keys() - runtime.keys(), dev, everywhere), encoding="utf-8")


if __name__ == "__main__":
    main()
