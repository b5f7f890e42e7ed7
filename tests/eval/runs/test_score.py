"""`asr eval score`: another system's transcripts beside a run of ours."""

import json
from pathlib import Path

import pytest

from eval.runs.folder import read_run

pytestmark = pytest.mark.slow


@pytest.fixture
def readable(data: Path) -> Path:
    """The data without its broken recording."""
    manifest = data / "manifest.jsonl"
    manifest.write_text("\n".join(line for line in manifest.read_text().splitlines() if "b.wav" not in line))
    return data


def test_transcripts_stand_beside_a_run(asr, readable: Path, tmp_path: Path) -> None:
    """One report over both, on the same recordings: theirs is right in one word more."""
    (tmp_path / "other.ctm").write_text(
        "".join(f"{name} 1 {i / 2} 0.4 {word}\n" for name in "ac" for i, word in enumerate(("Red", "green", "grey")))
    )
    ours, theirs, out = tmp_path / "ours", tmp_path / "theirs", tmp_path / "out"
    assert asr("eval", "run", "--data", readable, "--out", ours, "--mode", "offline") == 0
    assert asr("eval", "score", tmp_path / "other.ctm", "--data", readable, "--out", theirs, "--name", "cloud") == 0
    assert asr("eval", "compare", ours, theirs, "--out", out) == 0
    report = json.loads((out / "report.json").read_text())
    wer = {table["model"]: table["figures"]["wer"] for table in report["dataset_figures"]}
    assert wer == {"scripted": pytest.approx(100 / 3), "cloud": 0.0}
    run = read_run(theirs)
    assert run.signature.data == read_run(ours).signature.data
    assert len(run.signature.models[0].weights_sha256) == 64
    assert [word.start_s for word in run.traces[0].entries[0].event.words] == [0.0, 0.5, 1.0]  # type: ignore[union-attr]


def test_a_recording_without_a_transcript_is_not_left_out_quietly(
    asr, readable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Otherwise a system wins by not answering; the user says what the gap means, and the run says so too."""
    (tmp_path / "hyp.txt").write_text("a red green grey\n")
    command = ["eval", "score", tmp_path / "hyp.txt", "--data", readable, "--out"]
    assert asr(*command, tmp_path / "1") == 2
    assert "no transcript of 1 of 2 recordings (the first: c)" in " ".join(capsys.readouterr().err.split())
    assert asr(*command, tmp_path / "2", "--missing", "empty") == 0
    assert [trace.text for trace in read_run(tmp_path / "2").traces] == ["red green grey", ""]
    assert asr(*command, tmp_path / "3", "--missing", "leave-out") == 0
    run = read_run(tmp_path / "3")
    assert len(run.traces) == 1
    assert "spoken/c: no transcript" in run.left_out


def test_other_transcripts_do_not_go_into_the_same_folder(
    asr, readable: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report always is of one file's content; the same command again changes nothing."""
    (tmp_path / "hyp.txt").write_text("a red\nc green\n")
    command = ["eval", "score", tmp_path / "hyp.txt", "--data", readable, "--out", tmp_path / "out"]
    assert asr(*command) == asr(*command) == 0
    assert len(read_run(tmp_path / "out").traces) == 2
    (tmp_path / "hyp.txt").write_text("a red\nc blue\n")
    assert asr(*command) == 2
    assert "name another folder" in capsys.readouterr().err
