"""The gate: what stops a build and what does not."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from asr.cli import run as asr
from tests.eval.run_folders import spoken, write_run


@pytest.fixture
def baseline(tmp_path: Path) -> str:
    return str(write_run(tmp_path / "baseline", spoken("m")))


def code(*arguments: str) -> int:
    return asr(["eval", "gate", *arguments])


LIMITS = ("--max-wer-rise", "0.3", "--max-p95-rise", "0.2", "--max-cost-rise", "0.1")


def test_the_same_run_passes(baseline: str, tmp_path: Path, capsys) -> None:
    """Nothing rose."""
    same = write_run(tmp_path / "same", spoken("m"))
    assert code(str(same), "--baseline", baseline, *LIMITS) == 0
    shown = capsys.readouterr().out
    assert shown.count("ok ") == 3
    assert "machines" not in shown


@pytest.mark.parametrize(
    ("change", "figure"),
    [({"every": 4}, "WER"), ({"late_s": 0.5}, "p95 of the delay"), ({"cost": 1.5}, "CPU time")],
)
def test_what_is_worse_beyond_chance_stops_the_build(change, figure, baseline: str, tmp_path: Path, capsys) -> None:
    """In accuracy, in delay, in cost; one sentence says which and by how much; only that one."""
    worse = write_run(tmp_path / "worse", spoken("m", **change))
    assert code(str(worse), "--baseline", baseline, *LIMITS) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert figure in shown.err
    assert shown.out.count("WORSE") == 1


def test_what_may_be_chance_passes(baseline: str, tmp_path: Path) -> None:
    """One word of 320 more is 0.31 points, above the limit, but one speaker's."""
    unlucky = write_run(tmp_path / "unlucky", spoken("m", every=40))
    assert code(str(unlucky), "--baseline", baseline, "--max-wer-rise", "0.3") == 0


def test_what_is_allowed_passes(baseline: str, tmp_path: Path) -> None:
    """A rise of 3.1 points where 4 are allowed."""
    worse = write_run(tmp_path / "worse", spoken("m", every=4))
    assert code(str(worse), "--baseline", baseline, "--max-wer-rise", "4") == 0


def test_another_model_may_take_the_place_of_the_old_one(baseline: str, tmp_path: Path) -> None:
    """One model in each run: they are compared, whatever they are called."""
    new = write_run(tmp_path / "new", spoken("n", every=4))
    assert code(str(new), "--baseline", baseline, "--max-wer-rise", "0.3") == 1


def test_a_gate_that_would_compare_nothing_is_wrong_use(baseline: str, tmp_path: Path, capsys) -> None:
    """No limit; no mode in common; recordings that are lacking: none of them passes in silence."""
    offline = write_run(tmp_path / "offline", spoken("m", "offline"))
    short = write_run(tmp_path / "short", spoken("m")[:10])
    assert code(baseline, "--baseline", baseline) == 2
    assert code(str(offline), "--baseline", baseline, *LIMITS) == 2
    assert "the run has m offline, the baseline m replay" in capsys.readouterr().err
    assert code(str(short), "--baseline", baseline, *LIMITS) == 2
    assert "10 of the 40 recordings" in capsys.readouterr().err


def test_build_servers_read_the_outcome(baseline: str, tmp_path: Path) -> None:
    """JUnit's element names, with one failure of three."""
    worse, junit = write_run(tmp_path / "worse", spoken("m", every=4)), tmp_path / "gate.xml"
    assert code(str(worse), "--baseline", baseline, *LIMITS, "--junit", str(junit)) == 1
    suite = ElementTree.parse(junit).getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "3", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["WER"]
