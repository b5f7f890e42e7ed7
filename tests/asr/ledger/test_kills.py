"""`kill -9` of a process that writes the ledger."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_a_killed_writer_leaves_what_an_undisturbed_one_does() -> None:
    """Moves, releases and pairs are whole or not there; the next writer goes on. docs/BENCHMARKS.md has 100 kills."""
    command = [sys.executable, "scripts/kill_ledger.py", "--kills", "12", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("12 writers killed (seed 7)")
