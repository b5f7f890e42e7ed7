"""The machine's noise, from repeats."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from eval.metrics.resampling import Difference
from eval.metrics.rounds import in_turns, with_noise_of_rounds
from eval.metrics.scored_trace import ScoredTrace
from tests.eval.fakes import said


def test_one_run_says_nothing_of_the_machine() -> None:
    """The value stays; there is no interval, however certain the speakers are."""
    change = Difference(1.1, 1.05, 1.15, 0.001, 0.02)
    for rounds in ([1.1], [1.1, 1.2]):
        assert with_noise_of_rounds(change, rounds) == Difference(1.1)


def test_equal_costs_of_all_speakers_leave_the_machines_noise() -> None:
    """Speakers show no difference, so the interval is the rounds'; where those are equal too, there is none."""
    tied = Difference(1.0, p=1.0, tied=True)
    change = with_noise_of_rounds(tied, [0.9, 1.0, 1.1])
    assert change.low == pytest.approx(1.0 - stats.t.ppf(0.98, 2) * 0.1 / 3**0.5)
    assert with_noise_of_rounds(tied, [1.0, 1.0, 1.0]).tied


@pytest.mark.parametrize("machine", [0.1, 1.0, 3.0])
def test_identical_code_is_seldom_called_different(machine: float) -> None:
    """Speakers with a standard error of one, rounds with as much, less or more: at most 5 % beyond chance."""
    rng, wrong = np.random.default_rng(7), 0
    for _ in range(2000):
        rounds = rng.normal() + machine * rng.normal(size=3)
        value = float(rounds.mean())
        change = Difference(value, value - 1.96, value + 1.96, 0.5, 1.0)
        wrong += with_noise_of_rounds(change, rounds.tolist()).excludes_zero
    assert stats.binom.sf(wrong - 1, 2000, 0.05) > 0.001


def test_rounds_are_in_turns_where_none_overtakes_the_next() -> None:
    """Old, new, old, new; not old, old, new, new."""
    old = [[ScoredTrace(replace(said("a"), began_s=at))] for at in (1.0, 3.0)]
    new = [[ScoredTrace(replace(said("a"), began_s=at))] for at in (2.0, 4.0)]
    late = [[ScoredTrace(replace(said("a"), began_s=at))] for at in (5.0, 6.0)]
    assert in_turns(old, new)
    assert not in_turns(old, late)
