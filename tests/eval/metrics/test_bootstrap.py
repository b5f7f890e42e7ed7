"""Intervals on synthetic data with a known truth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.metrics.bootstrap import (
    Difference,
    Interval,
    Percentile,
    Ratio,
    Units,
    difference,
    draw,
    interval,
)
from eval.metrics.bootstrap import units_of as units_by_id
from eval.metrics.significance import smallest_difference

WORDS = 12
MORE, FEWER = 0.2845, 0.2
"""Chances of an error more and of one fewer in an utterance: 400 of them can just show this (2.8 standard errors of
sqrt((0.2845 * 0.7155 + 0.2 * 0.8) / 400))."""


def units_of(datasets: list[str], speakers: list[str]) -> Units:
    """The units of different utterances."""
    return units_by_id(datasets, speakers, [str(i) for i in range(len(datasets))])


def spoken(rng: np.random.Generator, speakers: int, each: int, mean: float) -> tuple[list[str], np.ndarray]:
    """Errors of `each` utterances of `WORDS` words by every speaker, whose own rate is drawn around `mean`."""
    rates = rng.beta(4, 4 / mean - 4, size=speakers)
    names = [f"s{i}" for i in range(speakers) for _ in range(each)]
    return names, rng.binomial(WORDS, np.repeat(rates, each))


def rate(errors: np.ndarray, names: list[str]) -> tuple[Ratio, np.ndarray]:
    units = units_of(["d"] * len(names), names)
    return Ratio(errors, [WORDS] * len(names), units), draw(units, 400)


def test_a_95_per_cent_interval_holds_the_truth_in_95_of_100_cases() -> None:
    """Forty speakers, ten utterances each, 200 worlds: between 90 and 98 of 100 (the percentile interval of so few
    units is a little narrow)."""
    rng, truth, held = np.random.default_rng(1), 0.2, 0
    for _ in range(200):
        names, errors = spoken(rng, 40, 10, truth)
        estimated = interval(*rate(errors, names))
        assert estimated.low is not None
        assert estimated.high is not None
        held += estimated.low <= truth <= estimated.high
    assert 180 <= held <= 196


@pytest.mark.slow
def test_resampling_utterances_instead_of_speakers_promises_too_much() -> None:
    """Why speakers: with people who differ, the same 95 % from utterances holds the truth far less often."""
    rng, truth, held = np.random.default_rng(2), 0.2, 0
    for _ in range(200):
        names, errors = spoken(rng, 20, 40, truth)
        estimated = interval(*rate(errors, [""] * len(names)))
        assert estimated.low is not None
        assert estimated.high is not None
        held += estimated.low <= truth <= estimated.high
    assert held < 160


def test_a_difference_as_large_as_the_data_can_show_is_found_in_four_of_five_cases() -> None:
    """The promise of `smallest_difference`, kept by the paired interval: 0.8 of 200 worlds, give or take chance."""
    rng, detected, promised = np.random.default_rng(3), 0, []
    for _ in range(200):
        names, errors = spoken(rng, 40, 10, 0.2)
        worse = errors + rng.binomial(1, MORE, len(errors)) - rng.binomial(1, FEWER, len(errors))
        (left, drawn), (right, _) = rate(worse, names), rate(errors, names)
        result = difference(left, right, drawn)
        assert result.error is not None
        promised.append(smallest_difference(result.error))
        detected += result.excludes_zero
    assert np.mean(promised) == pytest.approx((MORE - FEWER) / WORDS, rel=0.05), "the world is set wrong"
    assert 0.72 <= detected / 200 <= 0.9


def test_pairing_finds_what_two_separate_intervals_hide() -> None:
    """Both find the same speakers hard; one has an error more in every fifth utterance."""
    rng = np.random.default_rng(4)
    names, errors = spoken(rng, 40, 10, 0.2)
    worse = errors + (np.arange(len(errors)) % 5 == 0)
    (left, drawn), (right, _) = rate(worse, names), rate(errors, names)
    apart, together = [interval(figure, drawn) for figure in (left, right)], difference(left, right, drawn)
    assert apart[0].low is not None
    assert apart[1].high is not None
    assert apart[0].low < apart[1].high
    assert together.excludes_zero
    assert together.value == pytest.approx(0.2 / WORDS)
    assert together.p is not None
    assert together.p < 0.01


def test_the_figure_itself_is_the_sum_over_the_sum() -> None:
    """Never a mean of rates."""
    units = units_of(["d"] * 3, [""] * 3)
    assert Ratio([1, 0, 2], [1, 3, 6], units).value() == 0.3
    assert Ratio([1], [0], units_of(["d"], [""])).value() is None


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 3)), min_size=1, max_size=30), st.sampled_from([5, 50, 95]))
def test_a_resampled_percentile_is_numpys_of_the_repeated_values(rows: list[tuple[float, int]], q: int) -> None:
    """Drawing a unit twice is having its values twice."""
    values, owners = [value for value, _ in rows], [owner for _, owner in rows]
    units = units_of(["d"] * 4, [""] * 4)
    drawn = draw(units, 20)
    resampled = Percentile(values, owners, q, units).resampled(drawn)
    for row, value in zip(drawn, resampled, strict=True):
        repeated = np.repeat(values, row[owners].astype(int))
        assert np.isnan(value) if not len(repeated) else value == pytest.approx(np.percentile(repeated, q))


def test_each_data_set_is_resampled_by_itself() -> None:
    """How much of each there is was chosen: it is the same in each resample."""
    units = units_of(["a"] * 30 + ["b"] * 5, [f"s{i // 2}" for i in range(30)] + [""] * 5)
    drawn = draw(units, 50)
    assert (drawn[:, units.strata == "a"].sum(axis=1) == 15).all()
    assert (drawn[:, units.strata == "b"].sum(axis=1) == 5).all()
    assert units.note == "a: 15 speakers; b: 5 utterances (speakers unknown)"


def test_the_same_recordings_under_noise_are_the_same_people() -> None:
    """Drawn together: noise makes no new sample of them."""
    people = [f"s{i}" for i in range(10)]
    units = units_by_id(["d"] * 10 + ["d+hiss@10dB"] * 10, people * 2, [str(i) for i in range(10)] * 2)
    assert units.count == 10
    assert (units.index[:10] == units.index[10:]).all()


def test_few_speakers_are_no_sample_of_people_and_it_is_said() -> None:
    """One reader: utterances are resampled."""
    units = units_of(["d"] * 3, ["ann"] * 3)
    assert units.count == 3
    assert units.note == "d: 3 utterances (only 1 speaker)"


def test_what_cannot_be_resampled_has_no_interval() -> None:
    """No reference words at all, in either; a value there is not."""
    units = units_of(["d"] * 2, [""] * 2)
    empty = Ratio([1, 1], [0, 0], units)
    assert interval(empty, draw(units, 10)) == Interval(None)
    assert difference(empty, empty, draw(units, 10)) == Difference(None)
    assert interval(Percentile([], [], 50, units), draw(units, 10)) == Interval(None)


def test_the_same_traces_give_the_same_interval() -> None:
    """To the last digit: a report made again is the same report."""
    figure, _ = rate(np.array([1, 0, 2, 0]), ["a", "b", "c", "d"])
    units = units_of(["d"] * 4, ["a", "b", "c", "d"])
    assert interval(figure, draw(units)) == interval(figure, draw(units))
