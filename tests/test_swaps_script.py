"""`scripts/swaps.py`, small: a real server, real workers and clients. The large run is in docs/BENCHMARKS.md."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.asr.ctc_models import random_model, save
from tests.server.conftest import CLIPS

SCRIPT = Path(__file__).parents[1] / "scripts" / "swaps.py"


@pytest.mark.slow
def test_nobody_notices_swaps_a_broken_release_a_dead_worker_and_a_dead_server(tmp_path: Path) -> None:
    """Unreal: the model has random weights, so its words mean nothing; releases differ by noise."""
    folder = save(random_model("wav2vec2 large"), tmp_path)
    counts = {"releases": 2, "streams": 2, "swaps": 3, "broken": 1, "kills": 1, "restarts": 1, "alone-s": 1}
    options = [part for name, count in counts.items() for part in (f"--{name}", str(count))]
    command = [sys.executable, str(SCRIPT), "--model", str(folder), "--audio", str(CLIPS / "hello_world.wav"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for counted in ("no fault", "1 failed loads", "1 workers killed", "1 servers killed", "rollback: 1"):
        assert counted in done.stdout
