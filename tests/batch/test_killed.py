"""Runs that are killed at random moments and resumed write what an undisturbed run writes, byte for byte."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
import soundfile

from tests.batch.helpers import results, start_transcribe
from tests.speech import RATE_HZ, silence, speech

pytestmark = pytest.mark.model

FORMATS = "txt,json,srt,vtt,tsv,jsonl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """96 recordings of different lengths in three folders, a longer one, and a broken one."""
    folder = tmp_path_factory.mktemp("killed") / "in"
    sound = speech()
    for i in range(96):
        path = folder / f"part{i % 3}" / f"talk{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, sound[i * 700 : i * 700 + (2 + i % 7) * RATE_HZ], RATE_HZ)
    soundfile.write(folder / "long.flac", list(sound) * 3 + list(silence(1)), RATE_HZ)
    (folder / "broken.mp3").write_text("no sound")
    return folder


def start(folder: Path, out: Path, workers: int) -> "subprocess.Popen[bytes]":
    return start_transcribe(folder, out, "--format", FORMATS, "--workers", str(workers))


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> dict[str, bytes]:
    out = folder.parent / "undisturbed"
    assert start(folder, out, 1).wait() == 1  # the broken one
    files = results(out)
    assert len(files) == 97 * len(FORMATS.split(",")) + 1
    return files


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "seed"), [(1, 11), (2, 12)])
def test_killed_at_random_moments_and_resumed_it_writes_what_an_undisturbed_run_does(
    folder: Path, undisturbed: dict[str, bytes], tmp_path: Path, workers: int, seed: int
) -> None:
    """At each kill every file with a final name is complete."""
    chance, kills = random.Random(seed), 0
    while True:
        run = start(folder, tmp_path / "out", workers)
        _wait_for_work(run, tmp_path / "out", chance.randint(4, 32), chance.random())
        if run.poll() is not None:
            break
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        kills += 1
        assert results(tmp_path / "out").items() <= undisturbed.items()
    assert kills >= 2
    assert start(folder, tmp_path / "out", workers).wait() == 1
    assert results(tmp_path / "out") == undisturbed


def _wait_for_work(run: "subprocess.Popen[bytes]", out: Path, recordings: int, more_s: float) -> None:
    """Until that number of recordings is added to the journal and `more_s` / 5 has passed, or the run has ended."""
    journal = out / ".steadyword" / "journal.jsonl"
    before = _lines(journal)
    while run.poll() is None and _lines(journal) < before + recordings:
        time.sleep(0.01)
    time.sleep(more_s / 5)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.slow
def test_ctrl_c_is_130_and_the_next_run_goes_on(folder: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    """Sent to all processes of the group, as a terminal does."""
    run = start(folder, tmp_path / "out", 2)
    _wait_for_work(run, tmp_path / "out", 2, 0.0)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait() == 130
    assert start(folder, tmp_path / "out", 2).wait() == 1
    assert results(tmp_path / "out") == undisturbed
