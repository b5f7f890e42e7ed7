"""Two hundred recordings of less than a second and one of five hours in one folder (real model)."""

import json
from pathlib import Path

import pytest
import soundfile

from asr.cli import run
from tests.speech import RATE_HZ, clip, silence

pytestmark = pytest.mark.model

HOURS = 5
SPOKEN_AT_S = (5.0, 9_000.0, HOURS * 3600 - 10.0)


def _write_long(path: Path) -> None:
    """Silence with "hello world" near its beginning, in its middle and near its end; never whole in memory."""
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
        at_s = 0.0
        for spoken_s in SPOKEN_AT_S:
            while at_s < spoken_s:
                step_s = min(600.0, spoken_s - at_s)
                file.write(silence(step_s))
                at_s += step_s
            file.write(clip("hello_world"))
            at_s += len(clip("hello_world")) / RATE_HZ
        file.write(silence(HOURS * 3600 - at_s))


@pytest.mark.slow
def test_tiny_recordings_and_one_of_five_hours_are_done_together(tmp_path: Path) -> None:
    """None is left out, and the word times are right to the end of the five hours."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    _write_long(folder / "long.flac")
    for i in range(200):
        soundfile.write(folder / f"tiny{i}.wav", clip("hello_world")[i * 10 : i * 10 + (i + 1) * 60], RATE_HZ)
    assert run(["transcribe", str(folder), "--output-dir", str(out), "--format", "json", "--word-times"]) == 0
    assert len(list(out.glob("*.json"))) == 201
    transcript = json.loads((out / "long.json").read_text(encoding="utf-8"))
    words = [word for segment in transcript["segments"] for word in segment["words"]]
    firsts_s = [word["start_s"] for word in words if "hello" in word["text"].casefold()]
    assert firsts_s == pytest.approx(SPOKEN_AT_S, abs=1.0)
