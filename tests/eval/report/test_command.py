"""`asr eval compare` and `asr eval sweep`, from the command line. `asr eval gate` is tested in `test_gate`."""

import json
from pathlib import Path

import pytest

from tests.eval.fakes import ScriptedEngine
from tests.eval.run_folders import WORDS, spoken, write_run


def test_runs_are_compared_from_the_command_line(asr, tmp_path: Path, capsys) -> None:
    """Two runs of one model are distinguished by their names; a folder without a run is wrong use."""
    old = write_run(tmp_path / "old", spoken("m", every=4))
    new = write_run(tmp_path / "new", spoken("m"))
    assert asr("eval", "compare", old, new, "--out", tmp_path / "report") == 0
    assert "m (new) is better than m (old) by 3.1 points" in " ".join(capsys.readouterr().out.split())
    assert asr("eval", "compare", tmp_path, "--out", tmp_path / "report") == 2


def test_runs_of_one_name_are_refused(asr, tmp_path: Path, capsys) -> None:
    """Their systems could not be distinguished."""
    runs = [write_run(tmp_path / parent / "run", spoken("m")[:2]) for parent in "ab"]
    assert asr("eval", "compare", *runs, "--out", tmp_path / "report") == 2
    assert "two runs have the same name" in capsys.readouterr().err


def test_a_sweep_runs_each_combination_and_continues_where_it_stopped(
    asr, engine: ScriptedEngine, data: Path, tmp_path: Path, capsys
) -> None:
    """One folder per combination; the table, the JSON and the plot of the front."""
    arguments = ["eval", "sweep", "--data", data, "--out", tmp_path, "--grid", "stream.update_ms=400,800"]
    for opened in (4, 4):
        assert asr(*arguments) == 0
        assert len(engine.opened) == opened
    assert {call["settings"].stream.update_ms for call in engine.opened} == {400, 800}
    points = json.loads((tmp_path / "sweep.json").read_text())
    assert [point["name"] for point in points] == ["stream.update_ms=400", "stream.update_ms=800"]
    assert "<svg" in (tmp_path / "sweep.html").read_text()
    assert "stream.update_ms=400" in capsys.readouterr().out


def test_keywords_of_a_file_are_counted_in_a_report_of_old_runs(asr, tmp_path: Path) -> None:
    """Beside those of the manifest; a file without any is refused."""
    write_run(tmp_path / "run", spoken("m"))
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n\ndark green\n")
    command = ["eval", "compare", tmp_path / "run", "--out", tmp_path / "out", "--keywords"]
    assert asr(*command, tmp_path / "words.txt") == 0
    figures = json.loads((tmp_path / "out" / "report.json").read_text())["dataset_figures"][0]["figures"]
    assert 0 < figures["keyword_wer"] == pytest.approx(figures["wer"])
    (tmp_path / "empty.txt").write_text("\n")
    assert asr(*command, tmp_path / "empty.txt") == 2
