"""A real run, killed as by a power failure, and continued."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytest_audioeval

from eval.trace import Trace, read_traces

CLIPS = Path(next(iter(pytest_audioeval.__path__))) / "samples" / "audio" / "en"
PATIENCE_S = 120.0


def command(out: Path) -> list[str]:
    run = ["eval", "run", "--data", str(CLIPS), "--mode", "offline,replay", "--threads", "1", "--out", str(out)]
    return [sys.executable, "-c", "from asr.cli import main; main()", *run]


def traces(out: Path) -> list[Trace]:
    """Those of whole lines: the last may be half written when the process is killed."""
    file = out / "traces.jsonl"
    whole = out / "whole.jsonl"
    data = file.read_bytes() if file.exists() else b""
    whole.write_bytes(data[: data.rfind(b"\n") + 1])
    return list(read_traces(whole))


@pytest.mark.model
@pytest.mark.slow
def test_a_killed_run_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL after the third trace; the same command continues: every recording once, the first three unchanged, the
    texts those of an uninterrupted run."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE_S
    while len(traces(killed)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = traces(killed)
    for out in (killed, whole):
        subprocess.run(command(out), check=True, stdout=subprocess.DEVNULL)
    after = traces(killed)
    assert 3 <= len(before) < len(after)
    assert after[: len(before)] == before
    said = [(trace.utterance, trace.mode, trace.text) for trace in after]
    assert said == [(trace.utterance, trace.mode, trace.text) for trace in traces(whole)]
    assert len(set(said)) == len(said)
