"""`asr transcribe FOLDER --output-dir` with the real model: results, resumed runs, failures, messages."""

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import soundfile

from asr import cli
from batch.outputs import Outputs
from tests.batch.helpers import ASR, results
from tests.speech import RATE_HZ, clip, silence

pytestmark = pytest.mark.model

ALL = "txt,json,srt,vtt,tsv,jsonl"


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small tree: two clips, one deeper under a name with a space, an emoji and a line break, and silence."""
    folder = tmp_path_factory.mktemp("sounds")
    soundfile.write(folder / "fox.wav", clip("quick_brown_fox"), RATE_HZ)
    (folder / "deep/er").mkdir(parents=True)
    soundfile.write(folder / "deep/er/hello 👋\nworld.flac", clip("hello_world"), RATE_HZ)
    soundfile.write(folder / "quiet.wav", silence(2.0), RATE_HZ)
    return folder


@pytest.fixture
def folder(sounds: Path, tmp_path: Path) -> Path:
    """The tree for one test; its results go to `out` beside it."""
    return Path(shutil.copytree(sounds, tmp_path / "in"))


def transcribe(folder: Path, *options: str) -> int:
    out = folder.parent / "out"
    return cli.run(["transcribe", str(folder), "--recursive", "--output-dir", str(out), "--workers", "1", *options])


def written(folder: Path) -> dict[str, bytes]:
    return results(folder.parent / "out")


def test_the_output_mirrors_the_tree_in_every_format(folder: Path) -> None:
    """JSON has the hashes of recording and weights, and the settings."""
    assert transcribe(folder, "--format", ALL) == 0
    files = written(folder)
    stems = ("fox", "deep/er/hello 👋\nworld", "quiet")
    assert set(files) == {f"{stem}.{ending}" for stem in stems for ending in ALL.split(",")}
    transcript: dict[str, Any] = json.loads(files["fox.json"])
    assert "brown fox" in transcript["text"]
    assert transcript["audio_sha256"] == _sha256(folder / "fox.wav")
    assert transcript["weights_sha256"].startswith("1a5afae0")
    assert transcript["settings"]["vad"]["endpoint_ms"] == 1500
    assert 0 < transcript["segments"][0]["words"][0]["confidence"] <= 1
    assert files["quiet.txt"] == b""


def _sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


@pytest.mark.slow
def test_a_second_run_does_only_what_is_missing_changed_or_failed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing at first; then what was deleted, damaged, changed, or repaired."""
    (folder / "broken.mp3").write_text("no sound")
    assert transcribe(folder) == 1
    assert "3 done" in capsys.readouterr().err
    first = written(folder)
    assert transcribe(folder) == 1
    assert "0 done" in capsys.readouterr().err
    out = folder.parent / "out"
    (out / "fox.txt").unlink()
    (out / "quiet.txt").write_text("not what we wrote")
    os.utime(folder / "deep/er/hello 👋\nworld.flac")  # touched, with the same content
    soundfile.write(folder / "broken.mp3", clip("counting"), RATE_HZ, format="WAV")
    assert transcribe(folder) == 0
    err = capsys.readouterr().err
    assert "3 done" in err
    assert "1 done before" in err
    assert not (out / "failures.jsonl").exists()
    again = written(folder)
    assert {name: again[name] for name in first if name != "failures.jsonl"} == {
        name: content for name, content in first.items() if name != "failures.jsonl"
    }
    soundfile.write(folder / "fox.wav", clip("hello_world"), RATE_HZ)
    assert transcribe(folder) == 0
    assert "1 done (" in capsys.readouterr().err
    assert b"ello" in written(folder)["fox.txt"]


def test_other_settings_are_another_task(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A prompt changes all texts; another format only adds files."""
    assert transcribe(folder) == 0
    assert transcribe(folder, "--format", "txt,srt") == 0
    assert transcribe(folder, "--format", "txt") == 0
    assert transcribe(folder, "--prompt", "Foxes.") == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if " done (" in line]
    assert [line.split(" done")[0] for line in lines] == ["3", "3", "0", "3"]


def test_failures_are_listed_with_a_sentence_each_and_the_rest_is_done(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Broken, empty, cut off before any audio, a link to nowhere: exit code 1."""
    (folder / "broken.mp3").write_text("no sound")
    (folder / "empty.wav").touch()
    (folder / "nowhere.wav").symlink_to("gone.wav")
    (folder / "cut.flac").write_bytes((folder / "deep/er/hello 👋\nworld.flac").read_bytes()[:30])
    assert transcribe(folder) == 1
    rows = [json.loads(line) for line in written(folder)["failures.jsonl"].splitlines()]
    assert [Path(row["input"]).name for row in rows] == ["broken.mp3", "cut.flac", "empty.wav", "nowhere.wav"]
    assert all("; wanted" in row["error"] for row in rows)
    err = capsys.readouterr().err
    assert "3 done" in err
    assert "4 failed" in err


def test_a_file_that_changes_while_it_is_read_is_a_failure(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its text may be half of the old content and half of the new."""
    from batch import reader

    real = reader.read_blocks

    def read_blocks(path: Path, **options: Any) -> Any:
        for block in real(path, **options):
            if path.name == "fox.wav":
                os.utime(path, (1, 1))
            yield block

    monkeypatch.setattr(reader, "read_blocks", read_blocks)
    assert transcribe(folder) == 1
    assert "fox.wav changed while it was read" in capsys.readouterr().err
    assert "fox.txt" not in written(folder)


def test_a_full_disk_ends_the_run_with_a_sentence_and_the_next_run_resumes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was done before is kept."""
    real, calls = Outputs.write, []

    def write(self: Outputs, stem: str, texts: Mapping[str, str]) -> dict[str, str]:
        calls.append(stem)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, stem, texts)

    monkeypatch.setattr(Outputs, "write", write)
    assert transcribe(folder) == 1
    assert "is full after 1 recordings, which are safe" in capsys.readouterr().err
    assert len(written(folder)) == 1
    assert transcribe(folder) == 0
    assert "2 done" in capsys.readouterr().err


def test_texts_that_are_removed_while_the_run_goes_on_are_failures(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run never reports as done what is not there; the next one does it again."""
    real, calls = Outputs.write, []

    def write(self: Outputs, stem: str, texts: Mapping[str, str]) -> dict[str, str]:
        calls.append(stem)
        if len(calls) == 3:
            shutil.rmtree(self.folder)
        return real(self, stem, texts)

    monkeypatch.setattr(Outputs, "write", write)
    assert transcribe(folder) == 1
    said = capsys.readouterr().err
    assert "1 done" in said
    assert "2 failed" in said
    assert "was written and then removed; run the same command again" in said
    assert transcribe(folder) == 0
    assert len(written(folder)) == 3


def test_a_name_that_is_too_long_to_write_is_cut(folder: Path) -> None:
    """File systems take names of 255 bytes: x.wav may fit where x.jsonl does not. A second run finds it again."""
    (folder / "fox.wav").rename(folder / ("x" * 251 + ".wav"))
    assert transcribe(folder, "--format", "jsonl") == 0
    assert len(written(folder)) == 3
    assert [len(name) for name in written(folder) if name.startswith("xxx")] == [255]
    before = written(folder)
    assert transcribe(folder, "--format", "jsonl") == 0
    assert written(folder) == before


def test_a_dry_run_says_what_it_would_do_and_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The time comes from a trial at first, after a run from its speed."""
    assert transcribe(folder, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "3 recordings found, 0 done before, 3 to do" in out
    assert "by a trial" in out
    assert not (folder.parent / "out").exists()
    assert transcribe(folder) == 0
    (folder.parent / "out/fox.txt").unlink()
    capsys.readouterr()
    assert transcribe(folder, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "3 recordings found, 2 done before, 1 to do" in out
    assert re.search(r"^\d+ s of audio, about 0:00:\d\d with 1 worker \(by the last run's speed\)$", out, re.MULTILINE)
    assert "fox.wav -> fox.{txt}" in out


@pytest.mark.slow
def test_two_processes_write_what_one_writes(folder: Path) -> None:
    """Byte for byte, by the command as a user starts it. Without a terminal, progress is plain lines."""
    assert transcribe(folder, "--format", ALL) == 0
    one = written(folder)
    shutil.rmtree(folder.parent / "out")
    command = [*ASR, "transcribe", str(folder), "--recursive"]
    command += ["--output-dir", str(folder.parent / "out"), "--format", ALL, "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "0 / 3 files" in done.stderr
    assert "\x1b" not in done.stderr
    assert written(folder) == one
