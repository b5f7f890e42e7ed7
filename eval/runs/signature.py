"""Records what a number was made with: data, model, settings, code, machine. Every report has a signature."""

import platform
import subprocess
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from asr.config import SessionSettings
from server.workers.pool import cores

PACKAGES = ("steadyword", "torch", "numpy", "jiwer", "whisper-normalizer", "silero-vad", "websockets")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine that a number was measured on; ``cores`` are those this process may use."""

    cpu: str
    cores: int
    system: str

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.system}"


@dataclass(frozen=True, slots=True)
class Model:
    """A model and how it was loaded; fields are empty if a server did not report them."""

    name: str
    weights_sha256: str = ""
    precision: str = ""
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """What a run was made with. ``data``: data set -> SHA-256 (see `eval.data.dataset.data_sha256`)."""

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
    """The signature of a run on this machine with this code. Without `settings`, a server used its own."""
    table = (asdict(settings) if settings else {"session": "the server's own"}) | (more or {})
    return Signature(data, normaliser, models, table, commit(), machine(), versions(packages))


def machine() -> Machine:
    """This machine, with the cores that this process may use."""
    return Machine(_cpu(), cores(), f"{platform.system()} {platform.release()}")


def commit(folder: Path = Path(__file__).parent) -> str:
    """The checkout's commit, with "+" if tracked files differ from it; "" outside a checkout."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return head[:12] + ("+" if changed else "")


def versions(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of Python and of the installed packages among `packages`."""
    installed = {"python": platform.python_version()}
    for package in packages:
        try:
            installed[package] = version(package)
        except PackageNotFoundError:
            continue
    return installed


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
