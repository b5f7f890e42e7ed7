"""What a number was made with: data, model, settings, code, machine. Every report carries one."""

import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from asr.config import SessionSettings

PACKAGES = ("steadyword", "torch", "numpy", "jiwer", "whisper-normalizer", "silero-vad", "websockets")


@dataclass(frozen=True, slots=True)
class Machine:
    cpu: str
    cores: int
    system: str

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.system}"


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    weights_sha256: str = ""
    precision: str = ""
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """``data`` is the SHA-256 of each data set as it was used (see `eval.data.dataset.data_sha256`)."""

    data: dict[str, str]
    normaliser: str
    models: tuple[Model, ...]
    settings: dict[str, Any]
    commit: str
    machine: Machine
    versions: dict[str, str] = field(default_factory=dict)


def sign(
    data: dict[str, str],
    normaliser: str,
    models: tuple[Model, ...],
    settings: SessionSettings | None = None,
    more: dict[str, Any] | None = None,
    packages: tuple[str, ...] = PACKAGES,
) -> Signature:
    """The signature of a run on this machine with the code that is here; no settings: a server had its own."""
    table = (asdict(settings) if settings else {"session": "the server's own"}) | (more or {})
    return Signature(data, normaliser, models, table, commit(), machine(), versions(packages))


def machine() -> Machine:
    """What this process may use of the machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else (os.cpu_count() or 1)
    return Machine(_cpu(), cores, f"{platform.system()} {platform.release()}")


def commit(folder: Path = Path(__file__).parent) -> str:
    """The checkout's commit, with "+" where tracked files differ from it; "" outside a checkout."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head[:12] + ("+" if changed else "")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Python's and the packages' versions; a package that is not here is left out."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
