"""The same code twice, on made-up runs; real ones: `asr bench same-code`."""

from pathlib import Path

import numpy as np
import pytest

from asr.cli import run as asr
from eval.bench.same_code import results
from eval.bench.shares import Share
from eval.report.systems import systems_of
from tests.eval.run_folders import repeated, run_of, spoken, write_run

NOISE, OTHER = np.exp(np.random.default_rng(5).normal(0, 0.05, (2, 16))).tolist()


def shares(cost: float) -> dict[str, Share]:
    """Called different in forty smaller runs; the second name costs this many times the first."""
    traces = [*repeated(spoken("a"), NOISE), *repeated(spoken("b", cost=cost), OTHER)]
    left, right = systems_of([run_of("r", traces)])
    return {each.world: each.shares["called different, %"] for each in results(left, right, 10, 40, seed=1)}


def test_the_machines_noise_is_no_difference() -> None:
    """Repeats differ by 5 % (standard deviation); texts and delays are the same."""
    assert shares(1.0)["10 speakers: CPU time"].percent <= 10


def test_a_real_difference_is_found() -> None:
    """Twice the cost: what is counted is no constant."""
    assert shares(2.0)["10 speakers: CPU time"].percent == 100


def test_the_command_wants_two_names_and_three_repeats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a sentence says what was found."""
    run = write_run(tmp_path / "run", [*repeated(spoken("a")), *repeated(spoken("b"))])
    assert asr(["bench", "same-code", str(run), "--speakers", "10", "--samples", "3"]) == 0
    assert "| 10 speakers: CPU time |" in capsys.readouterr().out
    once = write_run(tmp_path / "once", [*spoken("a"), *spoken("b")])
    assert asr(["bench", "same-code", str(once)]) == 2
    assert "wanted 3 repeats or more in turns" in capsys.readouterr().err
    one = write_run(tmp_path / "one", spoken("a"))
    assert asr(["bench", "same-code", str(one)]) == 2
    assert "has 1 systems, wanted one model under two names" in capsys.readouterr().err
