"""What Docker makes of the files of `deploy/`. Skipped where none runs, as in CI."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IGNORED = ROOT / "deploy" / "Dockerfile.dockerignore"


@pytest.fixture(autouse=True)
def _docker() -> None:
    for command in (["docker", "info"], ["docker", "buildx", "version"], ["docker", "compose", "version"]):
        if shutil.which("docker") is None or subprocess.run(command, capture_output=True, timeout=60).returncode:
            pytest.skip("no Docker runs here, or it lacks Buildx or Compose")


def test_the_builder_gets_only_what_the_list_allows(tmp_path: Path) -> None:
    """By BuildKit: no tests, no keys, no compiled files."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY . /\n", encoding="utf-8")
    shutil.copy(IGNORED, tmp_path)
    command = ["docker", "buildx", "build", "-f", str(tmp_path / "Dockerfile")]
    subprocess.run([*command, "--output", f"type=local,dest={tmp_path}/got", str(ROOT)], check=True, timeout=240)
    allowed = {line[1:] for line in IGNORED.read_text(encoding="utf-8").splitlines() if line.startswith("!")}
    assert {path.name for path in (tmp_path / "got").iterdir()} == allowed
    assert not list(tmp_path.rglob("__pycache__"))
    assert (tmp_path / "got" / "asr" / "ready.flac").is_file()


def test_compose_reads_its_file() -> None:
    """With the paths of its volumes and secrets."""
    command = ["docker", "compose", "-f", str(ROOT / "deploy" / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
