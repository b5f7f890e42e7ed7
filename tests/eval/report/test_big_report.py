"""The script that measures a large report, on a small one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.big_report import repeated
from tests.eval.run_folders import spoken, write_run


def test_recordings_are_repeated_as_those_of_other_speakers() -> None:
    """Both models have each recording, as often as asked."""
    traces = list(repeated([*spoken("a", utterances=4), *spoken("b", utterances=4)], 10))
    assert len(traces) == 20
    assert len({(trace.model, trace.utterance) for trace in traces}) == 20
    assert len({trace.speaker for trace in traces}) == 10


@pytest.mark.slow
def test_the_script_prints_time_and_size(tmp_path: Path) -> None:
    """A report of a run of 60 recordings, made by the real command."""
    run = write_run(tmp_path / "run", [*spoken("a", every=4), *spoken("b")])
    command = [sys.executable, "-m", "scripts.big_report", str(run), "--recordings", "60"]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["recordings"] == 60
    assert figures["cpu_s"] > 0
    assert figures["page_mb"] > 0
