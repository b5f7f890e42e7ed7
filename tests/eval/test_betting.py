"""Sequential tests by betting: exact expectations, Ville's bound, and what late, missing and drawn labels may do."""

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest

from eval.betting import (
    BET_WEIGHTS,
    BETS,
    CLIP_WORDS,
    Audit,
    aipw,
    audit_scores,
    draw_probability,
    log_benefit,
    log_harm,
    log_harm_between_arms,
    log_share_evidence,
    log_wealth,
    log_wealth_of_small_bets,
    pair_scores,
    pooled,
    rate_sequence,
    residual_scores,
    units_by_client,
)

ALPHA = 0.05
ROLLOUTS, UNITS = 600, 200


def test_the_wealth_is_the_weighted_mean_of_constant_bets() -> None:
    """Worked out by hand for two scores."""
    wealth = np.exp(log_wealth(np.array([1.0, -2.0]), 4.0))
    by_hand = [(BET_WEIGHTS * (1 + BETS / 4)).sum(), (BET_WEIGHTS * (1 + BETS / 4) * (1 - BETS / 2)).sum()]
    np.testing.assert_allclose(wealth, by_hand)


def test_the_expected_wealth_is_one_under_the_null() -> None:
    """Over all 2 ** 10 paths of a fair game (3 with probability 1/4, else -1), summed exactly."""
    paths = np.array(list(product([3.0, -1.0], repeat=10)))
    chances = np.where(paths > 0, 0.25, 0.75).prod(axis=1)
    wealth = np.exp(log_wealth(paths, 2.0))
    np.testing.assert_allclose(chances @ wealth, np.ones(10))


def test_scores_beyond_the_bound_are_refused() -> None:
    """With them the wealth could be negative, and Ville's inequality would not hold."""
    for scores in ([-2.1], [np.nan], [np.inf]):
        with pytest.raises(ValueError, match="wanted finite ones"):
            log_wealth(np.array(scores), 2.0)


def test_false_alarms_stay_within_alpha_at_any_number_of_looks() -> None:
    """Scores of mean 0, and of means that change while their running sum stays at most 0: Ville's inequality."""
    rng = np.random.default_rng(0)
    still = rng.choice([6.0, -1.0], (ROLLOUTS, UNITS), p=[1 / 7, 6 / 7])
    wave = -0.5 * np.sin(np.arange(UNITS) * 2 * np.pi / 50)
    assert (np.cumsum(wave) <= 1e-9).all()
    for scores in (still, np.clip(still, -1, 6) + wave):
        crossed = (log_wealth(scores, 2.0).max(axis=1) >= np.log(1 / ALPHA)).mean()
        assert crossed <= ALPHA + 2 * np.sqrt(ALPHA / ROLLOUTS)


def test_a_true_difference_is_found() -> None:
    """Mean 0.5 at a deviation of 1: within 100 units in nine of ten rollouts."""
    scores = np.clip(np.random.default_rng(1).normal(0.5, 1, (200, 100)), -5, 5)
    assert (log_wealth(scores, 5.0).max(axis=1) >= np.log(1 / ALPHA)).mean() > 0.9


def test_drawn_labels_are_unbiased_whatever_the_prediction() -> None:
    """Zrnic and Candes 2024: the expectation over the draw, summed exactly, is the difference itself."""
    difference, chance = np.array([3.0, -1.0, 0.0]), np.array([0.75, 0.25, 0.5])
    for prediction in (0.0, np.array([2.0, 5.0, -1.0])):
        drawn, not_drawn = (aipw(difference, np.full(3, is_drawn), chance, prediction) for is_drawn in (True, False))
        np.testing.assert_allclose(chance * drawn + (1 - chance) * not_drawn, difference)


def test_labels_that_come_later_never_take_evidence_back() -> None:
    """Whatever is missing, for whatever reason: the evidence is at most that of all labels."""
    rng = np.random.default_rng(2)
    words, distance = rng.integers(0, 300, 80).astype(float), rng.integers(0, 30, 80).astype(float)
    difference = np.round(rng.uniform(-1, 1, 80) * distance)
    chance = draw_probability(distance, 4.0)
    is_drawn, order = rng.random(80) < chance, rng.permutation(80)
    before: list[np.ndarray] = []
    for arrived in (0, 20, 50, 80):
        known = np.full(80, np.nan)
        known[order[:arrived]] = difference[order[:arrived]]
        scores = pair_scores(words, distance, known, is_drawn, chance)
        now = [log_harm(scores), log_benefit(scores, 0.01)]
        assert all((new >= old - 1e-9).all() for new, old in zip(now, before, strict=False))
        before = now
    assert (scores.low == scores.high).all()


def test_scores_stay_within_the_bound_that_the_bets_know() -> None:
    """Small draw probabilities, loops of 500 words, long streams and probabilities that are too small."""
    rng = np.random.default_rng(3)
    words, distance = rng.integers(0, 3000, 5000).astype(float), rng.integers(0, 500, 5000).astype(float)
    difference = np.where(rng.random(5000) < 0.3, np.nan, rng.uniform(-600, 600, 5000))
    chance = draw_probability(distance, CLIP_WORDS) * np.where(rng.random(5000) < 0.2, 0.01, 1.0)
    scores = pair_scores(words, distance, difference, rng.random(5000) < chance, chance)
    assert np.abs(scores.low).max() <= CLIP_WORDS
    assert np.abs(scores.high).max() <= CLIP_WORDS
    assert (scores.low <= scores.high).all()


def test_a_pair_drawn_less_often_than_the_policy_says_counts_as_one_without_a_label() -> None:
    """Its weight would break the bound; its distance still bounds what it can say."""
    one = np.ones(1)
    scores = pair_scores(50 * one, 3 * one, one, one > 0, 0.01 * one)
    assert (scores.low[0], scores.high[0]) == (-3.0, 3.0)


def test_equal_texts_prove_no_harm_without_a_label() -> None:
    """170 streams of 50 words, not one word of difference, no label; the same texts are never evidence of harm."""
    words, zero = np.full(170, 50.0), np.zeros(170)
    scores = pair_scores(words, zero, np.full(170, np.nan), zero > 0, zero)
    assert log_benefit(scores, 0.01)[-1] >= np.log(1 / ALPHA)
    assert log_harm(scores).max() <= 1e-12


def test_one_client_at_a_time_is_one_unit() -> None:
    """A client's streams within the window are one unit, later ones another or none; unknown clients are not joined."""
    client = ["a", "b", "a", "", "", "a"]
    unit, ends = units_by_client(client, np.array([0.0, 5, 9, 10, 11, 12]), 10.0)
    assert unit.tolist() == [0, 1, 0, 2, 3, 4]
    assert ends.tolist() == [10, 15, 20, 21, 22]
    assert units_by_client(client, np.array([0.0, 5, 9, 10, 11, 12]), 10.0, rest_s=12.5)[0].tolist() == [
        0,
        1,
        0,
        2,
        3,
        -1,
    ]


def test_a_client_that_repeats_itself_raises_no_alarm() -> None:
    """Each client says 20 streams of one and the same difference, of mean 0 over clients."""
    rng = np.random.default_rng(4)
    alarms = {False: 0, True: 0}
    for _ in range(200):
        each = np.repeat(rng.choice([-2.0, 2.0], 15), 20)
        full = np.full(len(each), 1.0)
        scores = pair_scores(40 * full, np.abs(each), each, full > 0, full)
        for joined in alarms:
            mine = pooled(scores, np.repeat(np.arange(15), 20)) if joined else scores
            alarms[joined] += log_harm(mine).max() >= np.log(1 / ALPHA)
    assert alarms[True] <= 0.05 * 200
    assert alarms[False] > 0.1 * 200, "streams as units should fail here, else this test shows nothing"


def test_the_share_of_the_canary_is_an_exact_likelihood_ratio() -> None:
    """Over all 2 ** 9 assignments at weights that change, summed exactly, the expectation is 1; it is less if fewer."""
    weights = np.array([0.05] * 3 + [0.25] * 3 + [0.5] * 3)
    paths = np.array(list(product([0, 1], repeat=9)))
    for is_two_sided in (False, True):
        value = np.exp(log_share_evidence(paths, np.broadcast_to(weights, paths.shape), is_two_sided))
        np.testing.assert_allclose(np.where(paths, weights, 1 - weights).prod(axis=1) @ value, np.ones(9))
    fewer = np.where(paths, weights / 2, 1 - weights / 2).prod(axis=1)
    assert (fewer @ np.exp(log_share_evidence(paths, np.broadcast_to(weights, paths.shape))) <= 1).all()


def test_failures_of_the_canary_alone_are_found() -> None:
    """Eight failures, all of a canary with 5 % of the streams; and none where both arms fail in proportion."""
    assert log_share_evidence(np.ones(8), np.full(8, 0.05))[-1] >= np.log(200)
    even = np.tile([1.0] + [0.0] * 19, 10)
    assert log_share_evidence(even, np.full(200, 0.05)).max() < np.log(20)


def test_errors_of_two_arms_are_compared_without_bias() -> None:
    """Streams that only one release recognised: equal releases raise no alarm, one with three times the errors does."""
    rng = np.random.default_rng(5)
    rates = {}
    for factor in (1, 3):
        crossed = 0
        for _ in range(100):
            weight = np.repeat([0.25, 0.5], 150)
            is_canary = rng.random(300) < weight
            errors = rng.poisson(np.where(is_canary, 4.0 * factor, 4.0)).astype(float)
            crossed += log_harm_between_arms(errors, np.full(300, 40.0), is_canary, weight).max() >= np.log(20)
        rates[factor] = crossed
    assert rates[1] <= 8
    assert rates[3] >= 90


RATES = np.arange(0, 0.9, 0.01)


def audit(count: int, seed: int, scale: float, *, estimated: bool = True, times: float = 1.0) -> Audit:
    """Utterances with skewed rates of errors, of which an estimate knows a part; `times`: more than it knows.

    Without an estimate all are drawn alike, with the probability 20 / scale.
    """
    rng = np.random.default_rng(seed)
    recognised = np.clip(np.round(9 * np.exp(rng.normal(0, 0.5, count))), 1, 60)
    rate = np.clip(rng.gamma(0.7, 0.18 / 0.7, count), 0, 0.9)
    expected = np.clip(rate * np.exp(rng.normal(-0.125, 0.5, count)), 0.01, 1) * recognised
    errors = rng.poisson(rate * recognised * times)
    deleted = rng.binomial(errors, 0.15)
    words = np.maximum(0, recognised + deleted - rng.binomial(errors - deleted, 0.15))
    most = np.full(count, CLIP_WORDS)
    if estimated:
        most = np.minimum(np.ceil(expected + 3 * np.sqrt(1.8 * expected)) + 1, CLIP_WORDS)
    probability = np.minimum(1.0, most / scale)
    is_drawn = rng.random(count) < probability
    prediction = np.minimum(expected, most) if estimated else np.zeros(count)
    return Audit(recognised, prediction, most, probability, is_drawn, errors.astype(float), words)


def labelled(of: Audit, missing: float = 0.0, seed: int = 0) -> Audit:
    """With the labels of those drawn, but for a share that never comes."""
    comes = of.is_drawn & (np.random.default_rng(seed).random(len(of.errors)) >= missing)
    return replace(of, errors=np.where(comes, of.errors, np.nan), words=np.where(comes, of.words, np.nan))


def truth(of: Audit) -> np.ndarray:
    return np.cumsum(np.minimum(of.errors, of.most)) / np.cumsum(of.words)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_confidence_sequence_holds_the_rate_at_every_look(missing: float) -> None:
    """60 streams of 150 utterances, looked at after each: at 5 % more than 8 have p < 0.01. Also without labels that
    never come. The truth is the rate that came, which moves more than the expected one."""
    wrong = 0
    for seed in range(60):
        whole = audit(150, seed, 12.0)
        low, high = rate_sequence(labelled(whole, missing), 12.0, ALPHA, RATES)
        rate = truth(whole)
        wrong += bool(((rate < low - 0.01) | (rate > high + 0.01))[20:].any())
    assert wrong <= 8


def test_60_drawn_labels_say_as_much_as_150_uniform_ones() -> None:
    """Mean width of the sequence after 600 utterances."""
    widths, labels = {}, {}
    for estimated, scale in ((True, 73.0), (False, 80.0)):
        found = [labelled(audit(600, seed, scale, estimated=estimated)) for seed in range(8)]
        ends = [rate_sequence(each, scale, ALPHA, RATES) for each in found]
        widths[estimated] = np.mean([min(1.0, high[-1]) - low[-1] for low, high in ends])
        labels[estimated] = np.mean([each.is_drawn.sum() for each in found])
    assert labels[True] <= 62
    assert labels[False] >= 145
    assert widths[True] <= widths[False]


def test_drawn_labels_leave_the_mean_as_it_is() -> None:
    """Over 2,000 draws of the same utterances: the mean score is errors - rate * words."""
    whole = audit(400, 3, 40.0)
    rng, found = np.random.default_rng(4), []
    for _ in range(2000):
        drawn = replace(whole, is_drawn=rng.random(400) < whole.probability)
        found.append(audit_scores(labelled(drawn), 0.15, 40.0)[0].mean())
    share = np.minimum(1.0, 50 / whole.recognised)
    expected = ((np.minimum(whole.errors, whole.most) - 0.15 * whole.words) * share).mean()
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / np.sqrt(2000))


def test_scores_stay_within_the_bounds_that_the_bets_need() -> None:
    """Whatever a label says, also an impossible one: more errors than any word, far more or fewer words."""
    rng = np.random.default_rng(5)
    for scale, rate in product((5.0, 60.0), (0.0, 0.3, 1.0)):
        whole = audit(500, 6, scale)
        absurd = replace(whole, errors=rng.integers(0, 200, 500).astype(float), words=rng.integers(0, 200, 500))
        low, high, below, above = audit_scores(labelled(absurd, 0.3), rate, scale)
        assert low.min() >= -below - 1e-9
        assert high.max() <= above + 1e-9
        assert (low <= high + 1e-9).all()
        scores, bound = residual_scores(labelled(absurd, 0.3), 0.05, scale)
        assert scores.min() >= -bound - 1e-9


def test_a_harm_after_a_long_good_time_is_found_by_bets_that_begin_anew() -> None:
    """2,000 good utterances, then bad ones: without new beginnings the wealth is spent."""
    good, bad = labelled(audit(2000, 1, 15.0)), labelled(audit(400, 2, 15.0, times=2.5))
    whole = Audit(*(np.concatenate([getattr(each, f.name) for each in (good, bad)]) for f in fields(Audit)))
    scores, _, bound, _ = audit_scores(whole, 0.25, 15.0)
    anew = log_wealth_of_small_bets(scores, bound, 3000)
    assert anew[:2000].max() < np.log(1 / ALPHA) <= anew.max()
    assert log_wealth_of_small_bets(scores, bound).max() < np.log(1 / ALPHA)


def test_bets_that_begin_anew_have_an_expected_wealth_of_one() -> None:
    """Over all 2 ** 10 paths of a fair game, summed exactly."""
    paths = np.array(list(product([3.0, -1.0], repeat=10)))
    chances = np.where(paths > 0, 0.25, 0.75).prod(axis=1)
    wealth = np.exp([log_wealth_of_small_bets(path, 2.0, 20) for path in paths])
    np.testing.assert_allclose(chances @ wealth, np.ones(10))
