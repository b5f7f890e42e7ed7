"""The trial of rollouts, small: wrong verdicts are rare and right ones soon. The full one is in docs/BENCHMARKS.md."""

import numpy as np
import pytest

from ops.policy import load_policy
from ops.trial import KINDS, PROMOTED, STOPPED, Kind, draw, guards_stop, labels_stop, ours

POLICY = load_policy()
ROLLOUTS = 60


def kind(name: str) -> Kind:
    return next(each for each in KINDS if each.name == name)


def share(name: str, what: str, within: int = 10**6) -> float:
    rng = np.random.default_rng(0)
    verdicts = [ours(draw(kind(name), rng), POLICY) for _ in range(ROLLOUTS)]
    return sum(verdict.what == what and verdict.streams <= within for verdict in verdicts) / ROLLOUTS


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("equal, retrained", STOPPED),
        ("equal, retrained, labels late and missing", STOPPED),
        ("equal, clients differ and come back", STOPPED),
        ("1 point worse", PROMOTED),
        ("1 point worse, labels late and missing", PROMOTED),
        ("1 point worse, clients differ and come back", PROMOTED),
    ],
)
def test_wrong_verdicts_are_rare(name: str, what: str) -> None:
    """At most 5 % of 60 rollouts, and what chance adds to it (Clopper and Pearson: 7 of 60)."""
    assert share(name, what) <= 7 / 60


def test_right_verdicts_come_soon() -> None:
    """Equal weights without a label within 200 streams, 3 points worse within 80, 2 points better within 150."""
    assert share("equal weights", PROMOTED, within=200) == 1
    assert share("3 points worse", STOPPED, within=80) > 0.5
    assert share("3 points worse, another model", STOPPED, within=80) > 0.5
    assert share("2 points better", PROMOTED, within=150) > 0.95


def test_the_guards_leave_an_equal_canary_alone() -> None:
    """Four guards share 1 %."""
    rng = np.random.default_rng(1)
    assert sum(guards_stop(POLICY, rng) for _ in range(200)) <= 8


def test_labels_of_single_streams_leave_an_equal_canary_alone_and_stop_a_bad_one() -> None:
    """Arms with other clients, hours and languages; one with eight times the errors is often found."""
    rng = np.random.default_rng(1)
    assert sum(labels_stop(POLICY, rng) for _ in range(200)) <= 4
    assert sum(labels_stop(POLICY, rng, worse=8.0) for _ in range(50)) >= 15
