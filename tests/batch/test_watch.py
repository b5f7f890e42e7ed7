"""`--watch`: recordings are taken when they are complete, and not before."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import soundfile

from batch.inputs import Recording
from batch.watch import GIVE_UP_S, SETTLE_S, Arrivals
from tests.batch.helpers import ASR
from tests.speech import RATE_HZ, clip


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def fox(tmp_path: Path) -> Recording:
    path = tmp_path / "fox.wav"
    soundfile.write(path, clip("quick_brown_fox"), RATE_HZ)
    return Recording(path, "fox")


def test_a_file_is_complete_when_it_no_longer_changes(fox: Recording) -> None:
    """Each change restarts the time. Then the file is taken once, and again only after a change."""
    clock = Clock()
    arrivals = Arrivals(clock)
    whole = fox.path.read_bytes()
    for end in (1000, 5000, len(whole)):
        fox.path.write_bytes(whole[:end])
        assert arrivals.complete((fox,)) == ()
        clock.now_s += SETTLE_S * 0.9
        assert arrivals.complete((fox,)) == ()
    clock.now_s += SETTLE_S * 0.2
    assert arrivals.complete((fox,)) == (fox,)
    assert arrivals.complete((fox,)) == ()
    os.utime(fox.path, (1, 1))
    arrivals.complete((fox,))
    clock.now_s += SETTLE_S
    assert arrivals.complete((fox,)) == (fox,)


def test_a_file_that_cannot_be_read_yet_gets_more_time(fox: Recording) -> None:
    """A copy may pause after the header. In the end the file is taken, so that it is listed as a failure."""
    clock = Clock()
    arrivals = Arrivals(clock)
    fox.path.write_bytes(b"RIFF")
    arrivals.complete((fox,))
    clock.now_s += SETTLE_S + 1
    assert arrivals.complete((fox,)) == ()
    clock.now_s += GIVE_UP_S
    assert arrivals.complete((fox,)) == (fox,)


def test_a_file_that_goes_away_is_forgotten(fox: Recording) -> None:
    """It was moved elsewhere; that is not an error."""
    arrivals = Arrivals(Clock())
    fox.path.unlink()
    assert arrivals.complete((fox,)) == ()


@pytest.mark.model
@pytest.mark.slow
def test_recordings_are_done_as_they_arrive_until_ctrl_c(tmp_path: Path) -> None:
    """The real command: an empty folder, then a slow copy, then a broken file. A summary, exit code 1."""
    arriving, out = tmp_path / "in", tmp_path / "out"
    arriving.mkdir()
    command = [*ASR, "transcribe", str(arriving), "--watch"]
    command += ["--output-dir", str(out), "--workers", "1"]
    run = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    soundfile.write(tmp_path / "fox.wav", clip("quick_brown_fox"), RATE_HZ)
    whole = (tmp_path / "fox.wav").read_bytes()
    with (arriving / "fox.wav").open("wb") as file:
        for start in range(0, len(whole), len(whole) // 4):
            file.write(whole[start : start + len(whole) // 4])
            file.flush()
            time.sleep(0.3)
    (arriving / "broken.mp3").write_text("no sound")
    deadline = time.monotonic() + 120
    while not ((out / "fox.txt").exists() and (out / "failures.jsonl").exists()) and time.monotonic() < deadline:
        time.sleep(0.2)
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert "brown fox" in (out / "fox.txt").read_text()
    assert "1 done" in err.splitlines()[-1]
    assert "1 failed" in err.splitlines()[-1]
