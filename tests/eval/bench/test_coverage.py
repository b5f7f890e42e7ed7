"""Coverage where the speakers of runs are the population, on made-up runs; real ones: `asr bench coverage`."""

from pathlib import Path

import numpy as np
import pytest

from asr.cli import run as asr
from eval.bench.coverage import results
from eval.metrics.resampling import Percentile, Units, interval
from eval.report.systems import systems_of
from tests.eval.run_folders import run_of, spoken, write_run

SAMPLES = 30


def test_the_truth_is_the_figure_over_all_speakers() -> None:
    """Ten of twenty speakers hold it in nearly all samples; exchanged systems are seldom called different."""
    systems = systems_of([run_of("r", [*spoken("m", every=5), *spoken("n", every=4)])])
    found = {result.world: result.shares for result in results(systems, 10, SAMPLES, seed=1)}
    assert next(iter(found)) == "m, replay: WER"
    assert found["m, replay: WER"]["holds the truth, %"].percent >= 80
    pair = found["difference of m, replay and n, replay"]
    assert pair["exchanged, called different, %"].percent <= 20
    assert pair["holds the truth, %"].percent >= 80


def test_a_few_slow_speakers_are_held() -> None:
    """One of sixteen holds the slowest words, as on en-accented: ten speakers often have none. It was 81.7 % there."""
    rng, held = np.random.default_rng(2), 0
    population = [rng.lognormal(0.5, 0.5, 30) * (2.0 if speaker % 16 == 0 else 1.0) for speaker in range(80)]
    truth = float(np.percentile(np.concatenate(population), 95))
    for _ in range(60):
        values = [population[speaker] for speaker in rng.integers(0, 80, 10)]
        owners = np.repeat(np.arange(10), 30)
        units = Units(np.arange(10), np.array(["d"] * 10))
        held += not interval(Percentile(np.concatenate(values).tolist(), owners.tolist(), 95, units)).excludes(truth)
    assert held >= 53


@pytest.mark.slow
def test_the_command_prints_a_table_for_each_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without traces is an error."""
    run = write_run(tmp_path / "run", spoken("m", every=5))
    assert asr(["bench", "coverage", str(run), "--speakers", "8,10", "--samples", "2"]) == 0
    shown = capsys.readouterr().out
    assert "8 speakers:" in shown
    assert "| m, replay: final, p95 |" in shown
