"""Systems side by side."""

from dataclasses import replace

import pytest

from eval.report.systems import comparisons, on_common, systems_of
from tests.eval.run_folders import run_of, spoken


def test_systems_are_models_and_modes_and_runs_where_a_model_comes_again() -> None:
    """In the order of the modes."""
    first = run_of("r1", [*spoken("a", "live"), *spoken("a", "offline"), *spoken("b")])
    assert [(s.name, s.mode) for s in systems_of([first])] == [("a", "offline"), ("a", "live"), ("b", "replay")]
    second = run_of("r2", spoken("a", "live"))
    names = {s.name for s in systems_of([first, second])}
    assert names == {"a (r1)", "a (r2)", "b"}


def test_only_recordings_that_all_have_are_compared() -> None:
    """And only with the same reference."""
    a, b = spoken("a"), spoken("b")[5:]
    b[0] = replace(b[0], reference="something else")
    one, other = on_common(systems_of([run_of("r", [*a, *b])]))
    assert len(one.scored) == len(other.scored) == 34
    assert [s.key for s in one.scored] == [s.key for s in other.scored]


def test_a_worse_model_is_found_worse_by_both_tests() -> None:
    """Ten words of 320 more: 3.125 points; delay and cost are compared as well."""
    run = run_of("r", [*spoken("worse", every=4, late_s=0.5, cost=2.0), *spoken("better")])
    (pair,) = comparisons(systems_of([run]))
    assert (pair.left, pair.right, pair.utterances) == ("worse", "better", 40)
    assert pair.wer.value == pytest.approx(3.125)
    assert pair.is_significant
    assert pair.matched_pairs is not None
    assert pair.matched_pairs.p < 0.05
    assert pair.cost.value == pytest.approx(2.0)
    assert pair.delay is not None
    assert pair.delay.value == pytest.approx(0.5, abs=0.05)
    assert pair.smallest == pytest.approx(3.08 * (pair.wer.error or 0), rel=0.25), "2.24 for a p of 0.05 / 2, and 0.84"


def test_equal_models_are_not_told_apart() -> None:
    """The same traces: no difference, nothing to test."""
    (pair,) = comparisons(systems_of([run_of("r", [*spoken("a"), *spoken("b")])]))
    assert pair.wer.value == 0
    assert not pair.is_significant
    assert pair.matched_pairs is None


def test_three_models_pay_for_three_comparisons() -> None:
    """Holm: the smallest p is tripled."""
    compared = comparisons(systems_of([run_of("r", [*spoken("a", every=4), *spoken("b"), *spoken("c", every=8)])]))
    assert len(compared) == 3
    smallest = min(compared, key=lambda c: c.wer.p or 1)
    assert smallest.p_holm == pytest.approx(3 * (smallest.wer.p or 0))
