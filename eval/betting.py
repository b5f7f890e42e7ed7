"""Sequential tests by betting: they may be looked at after every unit, for ever, without more false alarms.

A test is a bettor's wealth: it begins at 1, and if the null hypothesis holds no betting makes it grow on average. By
Ville's inequality (1939) the chance that it ever reaches 1 / alpha is at most alpha, at any number of looks. Whoever
looks may therefore stop when the wealth is large, and needs no plan of looks.

Two properties of `log_wealth` carry everything that is built on it:

- *Constant bets, mixed.* The wealth is a weighted mean of the wealths of a few bets that never change (Waudby-Smith and
  Ramdas 2024, "Estimating means of bounded random variables by betting", JRSS-B 86; mixtures: Robbins 1970). A bet that
  adapts to the past would learn slightly faster, but it tests the null that *every* conditional mean is at most 0. A
  constant bet b tests the weaker null that their running *sum* is: prod(1 + b Y_i) / exp(b sum E[Y_i | past]) is a
  supermartingale. Traffic that changes cannot cheat it.
- *Monotone in every score.* A score that is not known yet may be replaced by its worst value: the wealth is then at
  most the true one. So labels may be late or missing for any reason, reasons that depend on the words included.

`PairScores` are the scores of pairs of texts; `log_share_evidence` tests assignments and counts of failures.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BETS = np.array([0.95, 0.5, 0.2])
"""The constant bets, as shares of the largest that cannot go broke. At 1 a single worst score would end the bet."""
BET_WEIGHTS = np.array([0.85, 0.1, 0.05])
"""How the first 1 is divided among them. Most lies on the largest: scores lie far within their bound, so that the best
bet of a clear case is beyond it. Others only help where scores spread widely (docs/log/releases.md)."""
CLIP_WORDS = 20.0
"""A unit's difference in errors counts at most so much; known beforehand, because the bets depend on it."""
MOST_WORDS = 100.0
"""A stream with more words counts as one with 100, its errors in proportion."""
AUDIT_WORDS = 50.0
"""The same for a single utterance that is drawn for a label."""
MOST_MISSING = 1_000_000
"""`missing_units` counts no further."""
ODDS = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0])
"""Alternatives of `log_share_evidence`: by how much the odds of the canary are too high (or too low)."""
SMALL_BETS = 0.95 * 0.5 ** np.arange(8.0)
"""Bets for scores that lie far within their bound, in equal parts: labels drawn with small probabilities."""
_TOLERANCE = 1e-9


def log_wealth(scores: np.ndarray, bound: float) -> np.ndarray:
    """The logarithm of the wealth after each unit ``(..., T)``, for scores ``(..., T)`` of units in their order.

    The null hypothesis: at no time is the sum of the scores' conditional means above 0. Raises `ValueError` for a score
    below ``-bound`` or one that is not finite, where the wealth would be no test.
    """
    if not bound > 0 or not np.isfinite(scores).all() or (scores < -bound - _TOLERANCE).any():
        raise ValueError(f"found scores {np.min(scores, initial=0)} ..., wanted finite ones of at least -{bound}")
    return _mixture(np.cumsum(_steps(scores, bound), axis=-1), BET_WEIGHTS)


def log_wealth_of_small_bets(scores: np.ndarray, bound: float, restarts_in: int = 0) -> np.ndarray:
    """As `log_wealth`, with `SMALL_BETS`, after each unit ``(T,)``.

    With ``restarts_in`` units of a month, say, new bets also begin before each of them: the wealth is the mean of
    those of all beginnings, so that a long good time is no burden on a bad one (a Shiryaev-Roberts e-detector whose
    weights add up to 1: Shin, Ramdas and Rinaldo 2024, "E-detectors", NEJSDS). It is a test for that many units.
    """
    steps = np.log1p(np.multiply.outer(SMALL_BETS, np.maximum(scores, -bound) / bound))
    logs = np.cumsum(steps, axis=-1)
    if restarts_in:
        before = np.concatenate([np.zeros((len(SMALL_BETS), 1)), logs[:, :-1]], axis=1)
        begun = np.arange(1, logs.shape[-1] + 1)
        rest = np.log(np.maximum(1.0 - begun / restarts_in, 1e-300))
        logs = np.logaddexp(logs + np.logaddexp.accumulate(-before, axis=1) - np.log(restarts_in), rest)
    return _mixture(logs, np.full(len(SMALL_BETS), 1 / len(SMALL_BETS)))


def largest(log_values: np.ndarray) -> float:
    """The largest so far; 0 (a wealth of 1) where there is none. Ville's bound is on exactly this."""
    return float(np.max(log_values, initial=0.0))


def draw_probability(distance: np.ndarray, scale: float) -> np.ndarray:
    """With which probability a pair of texts at this edit distance is drawn for a label: min(1, distance / scale).

    Pairs that differ by ``scale`` words or more are all drawn. Above `CLIP_WORDS` the scores would leave their bound.
    """
    return np.minimum(1.0, distance / scale)


def aipw(
    difference: np.ndarray, is_drawn: np.ndarray, probability: np.ndarray, prediction: np.ndarray | float = 0.0
) -> np.ndarray:
    """Scores whose mean is that of ``difference``, though only drawn ones are labelled (Zrnic and Candes 2024, "Active
    statistical inference", ICML): prediction + drawn / probability * (difference - prediction).

    ``difference`` is not read where nothing was drawn; ``prediction`` must be fixed before the draw.
    """
    error = np.where(is_drawn, difference - prediction, 0.0) / np.where(is_drawn, probability, 1.0)
    return np.asarray(prediction + error)


@dataclass(frozen=True, slots=True)
class PairScores:
    """What each pair, or each unit of pairs, says about errors(challenger) - errors(champion). All ``(T,)``.

    Attributes:
        words: Words of the champion's text.
        low: The score if what is not known yet speaks for the challenger as much as it can.
        high: The same if it speaks against the challenger.
        distance: Edit distance of the two texts: no label can make the difference larger.
    """

    words: np.ndarray
    low: np.ndarray
    high: np.ndarray
    distance: np.ndarray

    def until(self, count: int) -> "PairScores":
        """The first ``count`` of them."""
        return PairScores(self.words[:count], self.low[:count], self.high[:count], self.distance[:count])


def pair_scores(
    words: np.ndarray,
    distance: np.ndarray,
    difference: np.ndarray,
    is_drawn: np.ndarray,
    probability: np.ndarray,
) -> PairScores:
    """The scores of pairs. ``difference`` in errors ``(T,)`` is NaN where no label came, or none has come yet.

    |errors(challenger) - errors(champion)| <= distance whatever was said, because the edit distance is a metric. This
    bounds what a missing label can say. A pair drawn with less than distance / `CLIP_WORDS` would break the bound of
    the bets, so it counts as one that cannot be labelled.
    """
    share = np.minimum(1.0, MOST_WORDS / np.maximum(words, 1.0))
    most = np.minimum(distance * share, CLIP_WORDS)
    can_draw = probability >= draw_probability(most, CLIP_WORDS) - _TOLERANCE
    is_known = ~np.isnan(difference)
    known = np.clip(np.where(is_known, difference, 0.0) * share, -most, most)
    ends = []
    for worst in (-most, most):
        scores = aipw(np.where(is_known, known, worst), is_drawn & can_draw, probability)
        ends.append(np.where(can_draw | (most == 0), scores, worst))
    return PairScores(words * share, ends[0], ends[1], most)


def pooled(scores: PairScores, unit: np.ndarray) -> PairScores:
    """The scores of units: means over each unit's pairs. ``unit`` ``(T,)`` numbers units from 0 in order; -1: none.

    Streams of one client depend on each other: one speaker whom the challenger does not understand speaks again and
    again. A mean counts the client once, and keeps the bound.
    """
    mine = unit >= 0
    counts = np.bincount(unit[mine])
    parts = (scores.words, scores.low, scores.high, scores.distance)
    return PairScores(*(np.bincount(unit[mine], each[mine]) / counts for each in parts))


def units_by_client(
    client: Sequence[str], at_s: np.ndarray, window_s: float, rest_s: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Which unit each pair ``(T,)`` belongs to (-1: none), and when each unit ``(U,)`` is complete, in seconds.

    A unit is what one client says within ``window_s`` of its first stream; what it says then until ``rest_s`` after
    that stream counts nothing. "" is an unknown client, and each of its streams a unit. A unit is complete when the
    window is over, however much was said: so units complete in the order in which they began, and a client that speaks
    much does not come first.
    """
    last: dict[str, int] = {}
    begins: list[float] = []
    unit = np.full(len(client), -1)
    for i, (name, time_s) in enumerate(zip(client, at_s.tolist(), strict=True)):
        mine = last.get(name) if name else None
        if mine is None or time_s >= begins[mine] + max(window_s, rest_s):
            unit[i] = last[name] = len(begins)
            begins.append(time_s)
        elif time_s < begins[mine] + window_s:
            unit[i] = mine
    return unit, np.array(begins) + window_s


def log_harm(scores: PairScores, tolerated: float = 0.0) -> np.ndarray:
    """Evidence against "the challenger makes at most ``tolerated`` errors a word more", after each unit ``(T,)``."""
    return log_wealth(scores.low - tolerated * scores.words, CLIP_WORDS + tolerated * MOST_WORDS)


def log_benefit(scores: PairScores, allowed: float) -> np.ndarray:
    """Evidence against "the challenger makes ``allowed`` errors a word more, or worse", after each unit ``(T,)``.

    The mean of two wealths is a wealth: one uses the labels, one the edit distance alone, as if each difference were an
    error of the challenger.
    """
    wealths = [log_wealth(allowed * scores.words - each, CLIP_WORDS) for each in (scores.high, scores.distance)]
    return np.asarray(np.logaddexp(*wealths) - np.log(2))


def missing_units(scores: PairScores, allowed: float, words: float, alpha: float) -> int:
    """How many further units of ``words`` words each, all texts the same, complete the proof of `log_benefit`.

    At most `MOST_MISSING`, also where no number is enough.
    """
    wanted = np.log(1 / alpha)
    if largest(log_benefit(scores, allowed)) >= wanted:
        return 0
    now = [
        _steps(allowed * scores.words - each, CLIP_WORDS).sum(axis=-1, keepdims=True)
        for each in (scores.high, scores.distance)
    ]
    step = _steps(np.array([allowed * words]), CLIP_WORDS)

    def is_proven(count: int) -> bool:
        wealths = [_mixture(each + count * step, BET_WEIGHTS)[0] for each in now]
        return bool(np.logaddexp(*wealths) - np.log(2) >= wanted)

    return 1 + bisect_left(range(1, MOST_MISSING), True, key=is_proven)


def log_harm_between_arms(
    errors: np.ndarray, words: np.ndarray, is_canary: np.ndarray, weight: np.ndarray, tolerated: float = 0.0
) -> np.ndarray:
    """The same as `log_harm` where each stream was recognised by one release only, after each stream ``(T,)``.

    ``weight`` ``(T,)`` is the probability of the canary, at most 0.5 and known before the stream. Errors of the canary
    count 1 / weight, those of the champion -1 / (1 - weight) (Horvitz and Thompson 1952). It needs far more labels.
    """
    share = np.minimum(1.0, MOST_WORDS / np.maximum(words, 1.0))
    counted = np.minimum(errors * share, CLIP_WORDS)
    scores = np.where(is_canary, counted / weight, -counted / (1 - weight)) - tolerated * words * share
    return log_wealth(scores, 2 * CLIP_WORDS + tolerated * MOST_WORDS)


@dataclass(frozen=True, slots=True)
class Audit:
    """Utterances of which some were drawn for a label, in their order, ``(T,)`` each.

    All but the last three are fixed before the draw: the model's normalised ``recognised`` words, the ``expected``
    errors, and ``most``, with which an utterance counts at most; expected <= most.
    A label says ``errors`` and ``words`` of the correct text; NaN where none came.
    """

    recognised: np.ndarray
    expected: np.ndarray
    most: np.ndarray
    probability: np.ndarray
    is_drawn: np.ndarray
    errors: np.ndarray
    words: np.ndarray


def audit_scores(
    audit: Audit, rate: float | np.ndarray, scale: float, predicted: float = 1.0
) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Scores whose mean is that of errors - ``rate`` * words, though only drawn utterances are labelled (`aipw`).

    The rate may be one of each utterance ``(T,)`` if it is fixed before the draw.
    Two are returned ``(T,)``: with what is unknown at its lowest and at its highest; then how far the first may lie
    below 0, and the second above. ``scale`` is that of the draw: probability = min(1, most / scale). An utterance with
    more than `AUDIT_WORDS` words counts in proportion. The bound rests on errors >= |words - recognised|, as it is for
    an edit distance, so errors - rate * words >= -rate * recognised. Expected errors count as a prediction up to the
    share ``predicted`` of ``most``: whatever is predicted the mean is right, and the first score lies the less far
    below 0 the less may be predicted, so bets against it may be larger.
    """
    share = np.minimum(1.0, AUDIT_WORDS / np.maximum(audit.recognised, 1.0))
    expected = np.minimum(audit.expected, predicted * audit.most)
    recognised, prediction = audit.recognised * share, (expected - rate * audit.recognised) * share
    is_known = ~np.isnan(audit.errors)
    errors = np.minimum(np.where(is_known, audit.errors, 0.0), audit.most)
    words = np.where(is_known, np.clip(audit.words, audit.recognised - errors, audit.recognised + errors), 0.0)
    known = (errors - rate * words) * share
    ends = (-rate * recognised, (audit.most * (1 + rate) - rate * audit.recognised) * share)
    low, high = (aipw(np.where(is_known, known, end), audit.is_drawn, audit.probability, prediction) for end in ends)
    most = float(np.max(rate, initial=0.0))
    return low, high, predicted * scale + most * AUDIT_WORDS, (1 + most) * max(scale, CLIP_WORDS) + CLIP_WORDS


def residual_scores(audit: Audit, tolerated: float, scale: float) -> tuple[np.ndarray, float]:
    """Scores whose mean is that of errors - expected errors - ``tolerated`` * recognised words, and how far they may
    lie below 0. What is unknown counts as no error."""
    share = np.minimum(1.0, AUDIT_WORDS / np.maximum(audit.recognised, 1.0))
    errors = np.minimum(np.nan_to_num(audit.errors), audit.most)
    scores = aipw((errors - audit.expected) * share, audit.is_drawn, audit.probability)
    return scores - tolerated * audit.recognised * share, max(scale, CLIP_WORDS) + tolerated * AUDIT_WORDS


def rate_sequence(audit: Audit, scale: float, alpha: float, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A confidence sequence of the errors a word: the lowest and the highest of ``rates`` after each utterance.

    With the probability 1 - ``alpha`` it holds the rate of the expected errors so far at every look (duality of tests
    and intervals: Waudby-Smith and Ramdas 2024). Rates must grow.
    """
    low_end, high_end = np.zeros(len(audit.expected)), np.full(len(audit.expected), np.inf)
    limit = np.log(2 / alpha)
    for rate in rates:
        low, high, low_bound, high_bound = audit_scores(audit, float(rate), scale)
        is_above = log_wealth_of_small_bets(low, low_bound) >= limit
        is_below = log_wealth_of_small_bets(-high, high_bound) >= limit
        low_end = np.where(is_above, rate, low_end)
        high_end = np.where(is_below & (rate < high_end), rate, high_end)
    return low_end, high_end


def log_share_evidence(hits: np.ndarray, probability: np.ndarray, is_two_sided: bool = False) -> np.ndarray:
    """Evidence that events fall into the canary more often than ``probability`` says, after each event ``(..., T)``.

    ``hits`` is 1 for the canary. If both arms fail equally often, a failure is the canary's with the probability of the
    assignment (Lindon and Malek 2022, "Anytime-valid inference for multinomial count data", NeurIPS). Likelihood ratios
    are mixed over a few odds instead of their Dirichlet prior, which needs a probability that never changes; a canary's
    weight does. Two-sided: also less often, for the ratio of the assignment itself.
    """
    if ((probability <= 0) | (probability >= 1)).any():
        raise ValueError("found a weight of 0 or 1, wanted events from times with two arms")
    odds = np.concatenate([ODDS, 1 / ODDS]) if is_two_sided else ODDS
    tilted = odds.reshape(-1, *[1] * np.ndim(hits))
    steps = np.log(np.where(hits > 0, tilted, 1.0)) - np.log1p(probability * (tilted - 1))
    return _mixture(np.cumsum(steps, axis=-1), np.full(len(odds), 1 / len(odds)))


def _steps(scores: np.ndarray, bound: float) -> np.ndarray:
    """By what each bet's logarithm grows with each score: ``(bets, ..., T)``."""
    return np.asarray(np.log1p(np.multiply.outer(BETS, np.maximum(scores, -bound) / bound)))


def _mixture(logs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The logarithm of the weighted mean over the first axis."""
    top = logs.max(axis=0, initial=0.0)
    shape = (-1, *[1] * (logs.ndim - 1))
    return np.asarray(top + np.log((weights.reshape(shape) * np.exp(logs - top)).sum(axis=0)))
