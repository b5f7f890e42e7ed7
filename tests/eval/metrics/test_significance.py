"""The matched-pairs test, Holm's correction, and what a data set could show."""

import random
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from eval.metrics.resampling import ALPHA
from eval.metrics.significance import holm, holm_comparisons, mapsswe, segments, smallest_difference, too_few_units
from eval.metrics.word_errors import Edit, align, counts_of, total

Pair = tuple[tuple[Edit, ...], tuple[Edit, ...]]


def recognised(reference: list[str], rate: float, rng: random.Random) -> list[str]:
    """Each kind of error with that rate, never two side by side, so that every aligner finds the same alignment."""
    words, before = [], False
    for word in reference:
        draw = 1.0 if before else rng.random()
        before = draw < 3 * rate
        words += [["s" + word], [], [word, "i" + word], [word]][min(int(draw / rate), 3)]
    return words


def two_systems(rate_a: float, rate_b: float, seed: int = 1989, utterances: int = 60) -> list[Pair]:
    rng = random.Random(seed)
    pairs = []
    for number in range(utterances):
        reference = [f"w{number}x{i}" for i in range(rng.randint(5, 25))]
        a, b = recognised(reference, rate_a, rng), recognised(reference, rate_b, rng)
        pairs.append((align(reference, a), align(reference, b)))
    return pairs


def test_the_segments_of_nists_own_example() -> None:
    """From the description of the test in NIST's scoring toolkit: four segments, parted by "the best", "times it" and
    "of times"."""
    reference = ["it", "was", "the", "best", "of", "times", "it", "was", "the", "worst", "of", "times", "it", "was"]
    a = ["its", "the", "best", "of", "times", "it", "is", "the", "worst", "of", "times", "or", "it", "was"]
    b = ["it", "was", "the", "best", "times", "it", "won", "the", "test", "of", "times", "it", "was"]
    assert segments(align(reference, a), align(reference, b)) == ((2, 0), (0, 1), (1, 2), (1, 0))


def test_segments_never_reach_over_an_utterance() -> None:
    """The last word of one and the first of the next are two segments."""
    wrong = (align(["a"], ["b"]), align(["a"], ["a"]))
    result = mapsswe([wrong, (wrong[1], wrong[0]), wrong])
    assert result is not None
    assert result.segments == 3


@pytest.mark.parametrize(
    ("rates", "p", "shares"),
    [((0.06, 0.08), 0.010, (90.4, 4.9, 4.7, 5.4)), ((0.06, 0.07), 0.294, (90.1, 5.4, 4.5, 4.7))],
)
def test_the_same_p_as_sc_stats(rates: tuple[float, float], p: float, shares: tuple[float, ...]) -> None:
    """`sctk sclite -r ref.trn trn -h a.trn trn a -i wsj -o sgml sum` for both, `sctk sc_stats -t mapsswe -u`, Debian's
    sctk 2.4.10, on the same sixty utterances. (It looks z up in a table of two decimals: hence the tolerance.)"""
    pairs = two_systems(*rates)
    result = mapsswe(pairs)
    assert result is not None
    assert result.p == pytest.approx(p, abs=0.001)
    counts = total(counts_of(a) for a, _ in pairs)
    kinds = (counts.hits, counts.substitutions, counts.deletions, counts.insertions)
    assert [round(100 * n / counts.reference_length, 1) for n in kinds] == list(shares)


def test_z_is_the_textbooks() -> None:
    """One-sample t on the segments' differences, by scipy; p from the normal distribution, as the paper has it."""
    pairs = two_systems(0.05, 0.08)
    result = mapsswe(pairs)
    assert result is not None
    t = stats.ttest_1samp([a - b for pair in pairs for a, b in segments(*pair)], 0.0).statistic
    assert result.z == pytest.approx(float(t))
    assert result.p == pytest.approx(2 * float(stats.norm.sf(abs(t))))


def test_equal_systems_are_rarely_found_different() -> None:
    """At 5 % about one in twenty: of 300 draws 15, and 27 or more in one of a thousand such trials."""
    result = [mapsswe(two_systems(0.06, 0.06, seed, utterances=30)) for seed in range(300)]
    assert 5 <= sum(test is not None and test.p < 0.05 for test in result) <= 27


def test_nothing_to_test_is_no_test() -> None:
    """No errors, or every segment alike."""
    same, wrong = align(["a"], ["a"]), align(["a"], ["b"])
    assert mapsswe([(same, same)]) is None
    assert mapsswe([(wrong, same), (wrong, same)]) is None


def test_holm_on_a_worked_example() -> None:
    """0.01, 0.04, 0.03, 0.005 times 3, 1, 2, 4 in rising order, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([]) == ()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_only_raises_and_keeps_the_order(p_values: list[float]) -> None:
    """And never beyond one."""
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert all(adjusted[i] <= adjusted[j] for i, j in pairwise(order))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_an_interval_with_holms_correction_agrees_with_the_adjusted_p(p_values: list[float]) -> None:
    """p is at most alpha over that number of comparisons exactly where the adjusted p is at most alpha."""
    counts = holm_comparisons(p_values)
    for p, adjusted, count in zip(p_values, holm(p_values), counts, strict=True):
        assert 1 <= count <= len(p_values)
        if abs(p * count - ALPHA) > 1e-12:
            assert (p * count <= ALPHA) == (adjusted <= ALPHA)


def test_the_smallest_difference_is_found_in_four_of_five_cases() -> None:
    """A normal figure that far from nought passes 1.96 standard errors with probability 0.8."""
    smallest = smallest_difference(-1.96, 1.96, 1.0)
    assert 1 - NormalDist(smallest).cdf(1.96) == pytest.approx(0.8, abs=0.001)
    assert smallest == pytest.approx(2.80, abs=0.01)


@pytest.mark.parametrize(
    ("units", "comparisons", "too_few"), [(5, 1, True), (6, 1, False), (6, 2, True), (11, 28, False)]
)
def test_too_few_speakers_can_never_pass(units: int, comparisons: int, too_few: bool) -> None:
    """All n better has probability 2 / 2 ** n: 0.0625 of five, 0.03125 of six, times the comparisons."""
    assert too_few_units(units, comparisons) == too_few
