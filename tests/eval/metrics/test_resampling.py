"""Intervals on synthetic data with a known truth."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval.metrics.few_speakers import log_normal_ends
from eval.metrics.resampling import (
    ALPHA,
    LOOP_WORDS,
    Difference,
    Interval,
    Percentile,
    Ratio,
    Units,
    caution,
    difference,
    interval,
    loop_allowance,
    p_values,
    quotient,
    splits,
)
from eval.metrics.resampling import units_of as units_by_id
from eval.metrics.significance import smallest_difference

WORDS = 12
MORE, FEWER = 0.363, 0.2
"""Chances of an error more and of one fewer in an utterance: 400 of them can just show this, beyond a loop."""


def units_of(datasets: list[str], speakers: list[str]) -> Units:
    """The units of different utterances."""
    return units_by_id(datasets, speakers, [str(i) for i in range(len(datasets))])


def spoken(rng: np.random.Generator, speakers: int, each: int, mean: float) -> tuple[list[str], np.ndarray]:
    """Errors of `each` utterances of `WORDS` words by every speaker, whose own rate is drawn around `mean`."""
    rates = rng.beta(4, 4 / mean - 4, size=speakers)
    names = [f"s{i}" for i in range(speakers) for _ in range(each)]
    return names, rng.binomial(WORDS, np.repeat(rates, each))


def rate(errors: np.ndarray, names: list[str]) -> Ratio:
    return Ratio(errors.tolist(), [WORDS] * len(names), units_of(["d"] * len(names), names), loops=True)


def flipped(differences: list[float]) -> float:
    """The sign-flip test by its definition: the share of sign vectors with a sum as extreme as the data's."""
    signs = itertools.product((-1, 1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(each, differences, strict=True))) for each in signs]
    return sum(total >= abs(sum(differences)) for total in sums) / len(sums)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 20)), min_size=2, max_size=9))
def test_p_is_that_of_the_sign_flip_test(rows: list[tuple[int, int, int]]) -> None:
    """Errors of two systems and words by speaker; every sign vector enumerated."""
    names = [f"s{i}" for i in range(len(rows))]
    units = units_of(["d"] * len(rows), names)
    left, right = (Ratio([row[k] for row in rows], [row[2] for row in rows], units) for k in (0, 1))
    assert difference(left, right).p == pytest.approx(min(1.0, 1.5 * flipped([a - b for a, b, _ in rows])))


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(1, 20)), min_size=2, max_size=30),
    st.integers(1, 10),
)
def test_test_and_interval_agree(rows: list[tuple[int, int, int]], comparisons: int) -> None:
    """The interval leaves zero out exactly where p is at most alpha, also corrected for several comparisons."""
    names = [f"s{i}" for i in range(len(rows))]
    units = units_of(["d"] * len(rows), names)
    left, right = (Ratio([row[k] for row in rows], [row[2] for row in rows], units) for k in (0, 1))
    change = difference(left, right, comparisons)
    assert change.p is not None
    assert change.excludes_zero == (change.p <= ALPHA / comparisons)


def test_p_values_of_many_samples_are_those_of_one() -> None:
    """Where splits are enumerated and where they are drawn; a difference of nothing too."""
    rng = np.random.default_rng(8)
    for speakers in (7, 40):
        names, errors = [f"s{i}" for i in range(speakers)], rng.integers(0, 9, (2, 5, speakers))
        errors[:, 0] = 3
        pairs = zip(errors[0], errors[1], strict=True)
        alone = [difference(rate(left, names), rate(right, names)).p for left, right in pairs]
        assert p_values(errors[0] - errors[1]).tolist() == pytest.approx(alone)


def test_more_speakers_need_more_caution() -> None:
    """They show smaller differences, which a loop that no recording happens to have would outweigh."""
    assert [caution(units) for units in (1, 6, 15, 20, 30, 1000)] == [1.5, 1.5, 1.5, 2.0, 3.0, 3.0]
    assert [caution(units, of_errors=True) for units in (6, 15, 20, 1000)] == [1.5, 1.5, 2.0, 2.0]
    assert [loop_allowance(units) for units in (1, 12, 30, 1000)] == [0.0, 0.0, LOOP_WORDS, LOOP_WORDS]


def test_fewer_than_six_speakers_have_no_interval() -> None:
    """However clear it looks: of five speakers all five are better by chance in one of sixteen cases."""
    for speakers in range(1, 8):
        names = [f"s{i}" for i in range(speakers)]
        worse, better = rate(np.full(speakers, 6), names), rate(np.zeros(speakers, int), names)
        assert difference(worse, better).excludes_zero == (speakers >= 6)
        assert (interval(rate(np.arange(speakers), names)).low is not None) == (speakers >= 6)


def test_a_recording_without_a_speaker_is_a_unit_of_its_own() -> None:
    """One label missing of 260 changes nothing for the others."""
    names = [f"s{i // 10}" for i in range(260)]
    whole = units_of(["d"] * 260, names)
    one_missing = units_of(["d"] * 260, ["", *names[1:]])
    assert (whole.count, one_missing.count, one_missing.unknown) == (26, 27, 1)
    assert one_missing.note == "d: 26 speakers and 1 recording of unknown speakers"
    errors = np.random.default_rng(0).binomial(WORDS, np.repeat(np.linspace(0.05, 0.4, 26), 10))
    ends = [interval(Ratio(errors.tolist(), [WORDS] * 260, units)) for units in (whole, one_missing)]
    widths = [end.high - end.low for end in ends if end.low is not None and end.high is not None]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_recordings_of_unknown_speakers_never_make_an_interval_narrower() -> None:
    """A third of the labels missing: what the named speakers alone leave open stays open, around the same value."""
    rng, held, given = np.random.default_rng(11), 0, 0
    for _ in range(150):
        names, errors = spoken(rng, 20, 10, 0.2)
        nameless = ["" if i % 10 < 3 else name for i, name in enumerate(names)]
        missing, named = rate(errors, nameless), np.array([name != "" for name in nameless])
        alone = interval(rate(errors[named], [name for name in nameless if name]))
        ends = interval(missing)
        assert None not in (ends.value, ends.low, ends.high, alone.value, alone.low, alone.high)
        assert ends.high - ends.value >= alone.high - alone.value - 1e-9
        held, given = held + (not ends.excludes(0.2)), given + 1
    assert stats.binom.sf(given - held - 1, given, 0.07) > 0.001


def test_unknown_speakers_count_only_where_too_few_are_named() -> None:
    """In a set with five named speakers they are units; in one with six they are left out of the second interval."""
    for named, left in ((5, None), (6, 6)):
        units = units_of(["d"] * 10, [*(f"s{i}" for i in range(named)), *[""] * (10 - named)])
        kept = units.of_known_speakers
        assert (None if kept is None else len(kept)) == left
        assert units.taken_as_speakers == (0 if left else 5)
    mixed = units_by_id(["a"] * 8 + ["b"] * 3, [*"123456", "", "", "", "", ""], [str(i) for i in range(11)])
    assert mixed.of_known_speakers is not None
    assert (len(mixed.of_known_speakers), mixed.taken_as_speakers) == (9, 3)


def test_a_difference_must_be_larger_than_a_loop() -> None:
    """Forty speakers with one error less each: 40 words are more than a loop of 12, 14 words hardly are."""
    names = [f"s{i}" for i in range(40)]
    base, some = np.full(40, 3), np.array([1] * 14 + [0] * 26)
    assert difference(rate(base, names), rate(base - 1, names)).excludes_zero
    few = difference(rate(base, names), rate(base - some, names))
    without = Ratio((base - some).tolist(), [WORDS] * 40, units_of(["d"] * 40, names))
    bare = difference(Ratio(base.tolist(), [WORDS] * 40, units_of(["d"] * 40, names)), without)
    assert bare.excludes_zero, "costs have no loops"
    assert not few.excludes_zero


def test_the_segments_of_a_recording_are_one_unit() -> None:
    """One voice, whether it is known or not."""
    assert units_by_id(["d"] * 3, [""] * 3, ["u", "u", "v"]).count == 2


def test_a_difference_as_large_as_the_data_can_show_is_found_in_four_of_five_cases() -> None:
    """The promise of `smallest_difference`, kept by the paired interval: 0.8 of 200 worlds, give or take chance."""
    rng, detected, promised = np.random.default_rng(3), 0, []
    for _ in range(200):
        names, errors = spoken(rng, 40, 10, 0.2)
        worse = errors + rng.binomial(1, MORE, len(errors)) - rng.binomial(1, FEWER, len(errors))
        result = difference(rate(worse, names), rate(errors, names))
        assert result.low is not None
        assert result.high is not None
        assert result.error is not None
        promised.append(smallest_difference(result.low, result.high, result.error))
        detected += result.excludes_zero
    assert np.mean(promised) == pytest.approx((MORE - FEWER) / WORDS, rel=0.05), "the world is set wrong"
    assert 0.72 <= detected / 200 <= 0.9


def test_pairing_finds_what_two_separate_intervals_hide() -> None:
    """Both find the same speakers hard; one has an error more in every fifth utterance."""
    rng = np.random.default_rng(4)
    names, errors = spoken(rng, 40, 10, 0.2)
    worse = errors + (np.arange(len(errors)) % 5 == 0)
    left, right = rate(worse, names), rate(errors, names)
    apart, together = [interval(figure) for figure in (left, right)], difference(left, right)
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
def test_the_percentile_of_a_half_is_numpys_of_its_values(rows: list[tuple[float, int]], q: int) -> None:
    """Of the half and of its complement, for every split."""
    values, owners = np.array([value for value, _ in rows]), np.array([owner for _, owner in rows])
    units = units_of(["d"] * 4, [""] * 4)
    halves, rests = Percentile(values.tolist(), owners.tolist(), q, units).split(100)
    for members, half, rest in zip(splits(4, 100), halves, rests, strict=True):
        for chosen, value in ((members, half), (~members, rest)):
            mine = values[chosen[owners]]
            assert np.isnan(value) if not len(mine) else value == pytest.approx(np.percentile(mine, q))


def test_percentiles_of_many_values_are_numpys_too() -> None:
    """Thousands of values lie in many cells; some are equal."""
    rng = np.random.default_rng(3)
    values, owners = rng.lognormal(size=3_000).round(2), rng.integers(0, 40, 3_000)
    units = units_of(["d"] * 40, [f"s{unit}" for unit in range(40)])
    halves, rests = Percentile(values.tolist(), owners.tolist(), 95, units).split(50)
    for members, half, rest in zip(splits(40, 50), halves, rests, strict=True):
        for chosen, value in ((members, half), (~members, rest)):
            mine = values[chosen[owners]]
            assert np.isnan(value) if not len(mine) else value == pytest.approx(np.percentile(mine, 95))


def test_all_splits_are_enumerated_where_there_are_few() -> None:
    """Each once, none beside its complement; at random beyond that, always with the data as it is."""
    few = splits(5, 100)
    assert len(few) == 16
    assert len({min(tuple(half), tuple(~half)) for half in few}) == 16
    many = splits(40, 100)
    assert many.shape == (100, 40)
    assert not many[0].any()


def test_the_size_of_a_data_set_was_chosen() -> None:
    """Two sets of very different error rates: their mean is no less certain than each of them."""
    names = [f"s{i}" for i in range(40)]
    units = units_by_id(["easy"] * 20 + ["hard"] * 20, names, names)
    rng = np.random.default_rng(5)
    errors = rng.binomial(100, [0.05] * 20 + [0.5] * 20)
    pooled = interval(Ratio(errors.tolist(), [100] * 40, units))
    assert pooled.low is not None
    assert pooled.high is not None
    assert pooled.high - pooled.low < 0.05
    assert units.note == "easy: 20 speakers; hard: 20 speakers"


def test_a_set_of_one_speaker_is_not_known_exactly() -> None:
    """Another speaker of it would differ as much as those of other sets do; the value stays within the interval."""
    names = [f"s{i}" for i in range(21)]
    errors = np.random.default_rng(6).binomial(100, 0.2, 20).tolist()
    units = units_by_id(["many"] * 20 + ["one"], names, names)
    many = interval(Ratio(errors, [100] * 20, units_by_id(["many"] * 20, names[:20], names[:20])))
    assert many.low is not None
    assert many.high is not None
    for own in (500, 2000, 4000):
        found = interval(Ratio([*errors, own], [100] * 20 + [10_000], units))
        assert found.low is not None
        assert found.high is not None
        assert found.low < found.value < found.high
        assert found.high - found.low > many.high - many.low


def test_one_speaker_with_most_of_the_words_makes_no_absurd_interval() -> None:
    """A p95 of 2 s had an upper end of millions of seconds: the variance between speakers had one degree of freedom."""
    rng = np.random.default_rng(7)
    names = ["giant"] * 400 + [f"s{i // 10}" for i in range(200)]
    rates = {name: 0.3 * rng.normal() for name in dict.fromkeys(names)}
    delays = [float(0.6 * np.exp(rates[name] + 0.6 * rng.normal())) for name in names]
    found = interval(Percentile(delays, list(range(600)), 95, units_of(["d"] * 600, names)))
    assert found.value is not None
    assert found.high is not None
    assert found.value < found.high < 10 * found.value


def test_a_rate_is_never_below_zero() -> None:
    """A rare error in one of two sets: the interval of both begins at zero at the lowest."""
    names = [f"s{i}" for i in range(40)]
    units = units_by_id(["easy"] * 20 + ["hard"] * 20, names, names)
    rare = interval(Ratio([0] * 38 + [1, 1], [100] * 40, units))
    assert rare.low == 0.0


def test_the_same_recordings_under_noise_are_the_same_people() -> None:
    """Drawn together: noise makes no new sample of them."""
    people = [f"s{i}" for i in range(10)]
    units = units_by_id(["d"] * 10 + ["d+hiss@10dB"] * 10, people * 2, [str(i) for i in range(10)] * 2)
    assert units.count == 10
    assert (units.index[:10] == units.index[10:]).all()


def test_where_nothing_differs_there_is_no_interval() -> None:
    """Twenty speakers with the same errors: they do not show that there is no other kind, nor how rare it is."""
    names = [f"s{i}" for i in range(20)]
    errors = np.arange(20)
    tie = difference(rate(errors, names), rate(errors, names))
    assert (tie.value, tie.low, tie.high, tie.p, tie.tied) == (0.0, None, None, 1.0, True)
    assert interval(rate(np.full(20, 3), names)) == Interval(0.25)


def test_what_few_speakers_have_may_be_in_many_others() -> None:
    """One of fifteen differs: Clopper and Pearson's bound is 4.79, 3.79 more. No speaker has an error: 3.27."""
    names = [f"s{i}" for i in range(15)]
    one, none = np.array([5] + [0] * 14), np.zeros(15, int)
    most = stats.binomtest(1, 15).proportion_ci(0.95, "exact").high
    change = difference(rate(one, names), rate(none, names))
    assert change.high == pytest.approx((5 + (15 * most - 1) * 5) / (15 * WORDS))
    assert change.low == pytest.approx((5 - (15 * most - 1) * 5) / (15 * WORDS))
    rule_of_three = interval(rate(none, names))
    assert rule_of_three.high == pytest.approx((1 - 0.025 ** (1 / 15)) / WORDS)
    assert rule_of_three.low == 0.0


def test_what_cannot_be_resampled_has_no_interval() -> None:
    """No reference words at all, in either; a value there is not."""
    units = units_of(["d"] * 2, [""] * 2)
    empty = Ratio([1, 1], [0, 0], units)
    assert interval(empty) == Interval(None)
    assert difference(empty, empty) == Difference(None)
    assert quotient(empty, empty) == Difference(None)
    assert interval(Percentile([], [], 50, units)) == Interval(None)


def test_words_in_silence_count_where_nothing_is_said() -> None:
    """Half of the speakers said nothing: a half of them only has errors and no words."""
    names = [f"s{i}" for i in range(12)]
    units = units_of(["d"] * 12, names)
    words = [0] * 6 + [WORDS] * 6
    left, right = Ratio([3] * 12, words, units), Ratio([1] * 12, words, units)
    assert difference(left, right).p == pytest.approx(1.5 * 2 / 2**12)


def test_a_quotient_is_tested_against_one() -> None:
    """Twice the cost on every speaker: no chance; the same cost: no difference."""
    names = [f"s{i}" for i in range(10)]
    once, twice = rate(np.arange(1, 11), names), rate(2 * np.arange(1, 11), names)
    assert quotient(twice, once).value == pytest.approx(2.0)
    assert quotient(twice, once).excludes(1)
    assert not quotient(once, once).excludes(1)


def test_the_same_traces_give_the_same_interval() -> None:
    """To the last digit: a report made again is the same report."""
    errors = np.random.default_rng(0).binomial(WORDS, 0.2, 60)
    names = [f"s{i}" for i in range(60)]
    assert interval(rate(errors, names)) == interval(rate(errors, names))
    assert difference(rate(errors, names), rate(errors[::-1], names)) == difference(
        rate(errors, names), rate(errors[::-1], names)
    )


def test_the_modelled_ends_do_not_depend_on_the_order_of_values() -> None:
    """Each unit's own percentile is that of its values, wherever they stand."""
    rng = np.random.default_rng(4)
    values, units = rng.lognormal(size=200), rng.integers(0, 12, 200)
    order = np.lexsort((values, units))[::-1]
    assert log_normal_ends(values[order], units[order], 0.95) == pytest.approx(log_normal_ends(values, units, 0.95))
    values[units == 3] *= 5
    assert log_normal_ends(values, units, 0.95)[1] > log_normal_ends(values[order], units[order], 0.5)[1]
