"""The check of a device, small and on the CPU: on a GPU it is run by hand (docs/BENCHMARKS.md)."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.model, pytest.mark.slow]

ROOT = Path(__file__).parents[1]


def test_on_a_cpu_all_texts_are_equal() -> None:
    command = [sys.executable, "-m", "scripts.device_check", "--device", "cpu", "--streams", "1", "3", "--seconds", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    properties, *loads = map(json.loads, done.stdout.splitlines())
    assert properties["batched_as_alone"] == properties["drafted_as_greedy"] == properties["windows"] == 16
    assert [load["streams"] for load in loads] == [1, 3]
    assert all(load["steps"] > 0 for load in loads)


def test_a_device_that_is_not_here_is_named() -> None:
    command = [sys.executable, "-m", "scripts.device_check", "--device", "cuda:99"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "device cuda:99 is not here: found" in done.stderr
