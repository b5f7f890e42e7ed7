"""Rollouts with a known truth: how often the verdicts are wrong, how soon they come, and what other rules do.

    python -m ops.trial --rollouts 2000

Streams have log-normal lengths; clients come back within the hour or later, by day more than by night; a client suits
one release better than the other (`Kind.client_sd`). Labels are drawn with a probability that grows with the distance;
in some kinds they come hours late, those of streams that differ much later still, and some never come. All rules see
the same streams, one after the other; the peers see each label at once, which is more than they would have.

Rates of words that differ are those of real pairs (docs/log/releases.md).
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from eval.betting import (
    CLIP_WORDS,
    PairScores,
    draw_probability,
    largest,
    log_benefit,
    log_harm,
    log_harm_between_arms,
    log_share_evidence,
    pair_scores,
    pooled,
    units_by_client,
)
from eval.metrics.few_speakers import binomial_bounds
from ops.evidence import GUARDS
from ops.policy import Policy, load_policy

HOUR_S = 3600.0
BY_DAY, NIGHTS = 20.0, 4.0
"""Streams an hour by day, and how many times fewer by night."""
LABEL_SCALE = 10.0
"""Words by which two texts differ that are drawn for certain, as the server draws (docs/log/releases.md)."""
LOOP_WORDS = 25


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rollout. Rates are per word.

    Attributes:
        name: In words.
        worse: Words that only the new release gets wrong.
        better: Words that only the old release gets wrong.
        both: Words that both get wrong, in different ways.
        repeat: Probability that a stream is by a client of the last hour.
        client_sd: Deviation of the logarithm by which a client's rates differ from these.
        loops: Probability of a stream in which a release loops.
        delay_h: Mean hours until a label comes.
        missing: Share of labels that never come.
        drift: The clients' suitability changes: by day the new release is so much worse, and by night better, so that
            all streams together are as they would be without.
        words: Median words of a stream.
        streams: Streams until the trial ends.
    """

    name: str
    worse: float
    better: float
    both: float
    repeat: float = 0.2
    client_sd: float = 0.5
    loops: float = 0.001
    delay_h: float = 0.0
    missing: float = 0.0
    drift: float = 0.0
    words: float = 60.0
    streams: int = 400

    @property
    def points(self) -> float:
        """True difference in errors of 100 words; above 0 the new release is worse."""
        return 100 * (self.worse - self.better)


KINDS = (
    Kind("equal weights", 0, 0, 0, loops=0),
    Kind("equal weights, streams of 15 words", 0, 0, 0, loops=0, words=15, streams=1000),
    Kind("equal, retrained", 0.025, 0.025, 0.03),
    Kind("equal, retrained, labels late and missing", 0.025, 0.025, 0.03, delay_h=4, missing=0.1),
    Kind("equal, another model", 0.05, 0.05, 0.1),
    Kind("equal, clients differ and come back", 0.03, 0.03, 0.03, repeat=0.5, client_sd=1.0),
    Kind("equal, better by night, worse by day", 0.03, 0.03, 0.03, drift=0.004),
    Kind("1 point worse", 0.035, 0.025, 0.03),
    Kind("1 point worse, labels late and missing", 0.035, 0.025, 0.03, delay_h=4, missing=0.1),
    Kind("1 point worse, clients differ and come back", 0.04, 0.03, 0.03, repeat=0.5, client_sd=1.0),
    Kind("1 point worse, better by night, worse by day", 0.04, 0.03, 0.03, drift=0.004),
    Kind("1 point worse, 16 clients in all", 0.04, 0.03, 0.03, repeat=0.8, client_sd=1.0),
    Kind("3 points worse", 0.05, 0.02, 0.03),
    Kind("3 points worse, another model", 0.08, 0.05, 0.1),
    Kind("3 points worse, labels late and missing", 0.05, 0.02, 0.03, delay_h=4, missing=0.1),
    Kind("2 points better", 0.02, 0.04, 0.03),
    Kind("2 points better, another model", 0.05, 0.07, 0.1),
    Kind("2 points better, labels late and missing", 0.02, 0.04, 0.03, delay_h=4, missing=0.1),
)
PROMOTED, STOPPED, UNDECIDED = "promoted", "stopped", "undecided"


@dataclass(frozen=True, slots=True)
class Streams:
    """One rollout's streams in their order ``(T,)``; times in seconds."""

    at_s: np.ndarray
    client: np.ndarray
    words: np.ndarray
    old_errors: np.ndarray
    new_errors: np.ndarray
    distance: np.ndarray
    is_drawn: np.ndarray
    probability: np.ndarray
    labelled_s: np.ndarray


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule did, after how many streams, how many of which counted, and how many labels."""

    what: str
    streams: int
    counted: int
    labels: int


Rule = Callable[[Streams, Policy], Verdict]


def draw(kind: Kind, rng: np.random.Generator) -> Streams:
    """The streams of one rollout."""
    count = kind.streams
    at_s, is_day = _times(count, rng)
    client = _clients(at_s, kind.repeat, rng)
    words = np.clip(np.round(kind.words * np.exp(rng.normal(0, 0.7, count))), 3, 500)
    suits = np.exp(rng.normal(-(kind.client_sd**2) / 2, kind.client_sd, (3, client.max() + 1)))[:, client]
    swing = kind.drift * np.where(is_day, 1.0, -NIGHTS)
    rates = np.maximum(0.0, [kind.worse + swing, np.full(count, kind.better), np.full(count, kind.both)])
    counts = np.minimum(rng.poisson(words * rates * suits), words)
    loops = LOOP_WORDS * (rng.random((2, count)) < kind.loops)
    worse, better, both = counts[0] + loops[0], counts[1] + loops[1], counts[2]
    common = rng.poisson(0.08 * words * suits[2])
    distance = (worse + better + both).astype(float)
    probability = draw_probability(distance, LABEL_SCALE)
    late = 1 + (distance > LABEL_SCALE)  # long work waits longer, so what comes early is no fair sample
    labelled_s = at_s + rng.exponential(kind.delay_h * HOUR_S, count) * late
    never = rng.random(count) < kind.missing * late / 1.5
    return Streams(
        at_s,
        client,
        words,
        (common + better + both).astype(float),
        (common + worse + both).astype(float),
        distance,
        rng.random(count) < probability,
        probability,
        np.where(never, np.inf, labelled_s),
    )


def _times(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """When streams end, by day four times as often as by night; and which are by day."""
    now_s, times = float(rng.uniform(0, 24)) * HOUR_S, np.zeros(count)
    for i in range(count):
        is_day = (now_s / HOUR_S) % 24 < 12
        now_s += rng.exponential(HOUR_S / (BY_DAY if is_day else BY_DAY / NIGHTS))
        times[i] = now_s
    return times, (times / HOUR_S) % 24 < 12


def _clients(at_s: np.ndarray, repeat: float, rng: np.random.Generator) -> np.ndarray:
    """Who speaks: one of the last hour with this probability, one of all before with a fifth of it, or a new one."""
    client, newest = np.zeros(len(at_s), int), 0
    luck, which = rng.random(len(at_s)), rng.random(len(at_s))
    for i in range(1, len(at_s)):
        recent = int(np.searchsorted(at_s[:i], at_s[i] - HOUR_S))
        if luck[i] < repeat and recent < i:
            client[i] = client[recent + int(which[i] * (i - recent))]
        elif luck[i] < 1.2 * repeat:
            client[i] = client[int(which[i] * i)]
        else:
            newest += 1
            client[i] = newest
    return client


def ours(streams: Streams, policy: Policy) -> Verdict:
    """The verdicts of `ops.rollout` on pairs, looked at after every stream; a release that was promoted is watched."""
    unit, ends_s = units_by_client(
        streams.client.astype(str).tolist(), streams.at_s, policy.unit_minutes * 60, policy.client_hours * HOUR_S
    )
    looks = len(streams.at_s)

    def evidence(look: int, of: Callable[[PairScores], np.ndarray]) -> float:
        now_s = streams.at_s[look]
        difference = np.where(streams.labelled_s <= now_s, streams.new_errors - streams.old_errors, np.nan)
        scores = pair_scores(streams.words, streams.distance, difference, streams.is_drawn, streams.probability)
        return float(of(pooled(scores, unit).until(int((ends_s <= now_s).sum()))).max(initial=0.0))

    def harm(scores: PairScores) -> np.ndarray:
        return log_harm(scores, policy.harm_points / 100)

    def benefit(scores: PairScores) -> np.ndarray:
        return log_benefit(scores, policy.allow_points / 100)

    stopped = _first(looks, lambda look: evidence(look, harm) >= np.log(1 / policy.harm_alpha))
    promoted = _first(looks, lambda look: evidence(look, benefit) >= np.log(1 / policy.promote_alpha))
    what = UNDECIDED if stopped == promoted == looks else STOPPED if stopped <= promoted else PROMOTED
    end = min(stopped, promoted, looks - 1)
    is_label = streams.is_drawn & (streams.labelled_s <= streams.at_s[end])
    is_counted = (unit >= 0) & (ends_s[unit] <= streams.at_s[end])
    return Verdict(what, end + 1, int(is_counted[: end + 1].sum()), int(is_label[: end + 1].sum()))


def _first(looks: int, is_reached: Callable[[int], bool]) -> int:
    """The first look at which it is reached, else ``looks``. Evidence only grows (`eval.betting`): halving finds it."""
    if not is_reached(looks - 1):
        return looks
    low, high = -1, looks - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return high


def peeked(streams: Streams, policy: Policy) -> Verdict:
    """The paired t-test of a fixed size at 5 %, looked at after every stream from the tenth on."""
    n = np.arange(1, len(streams.words) + 1)
    allow = policy.allow_points / 100
    below, above = (
        _t_values(np.clip(streams.new_errors - streams.old_errors, -CLIP_WORDS, CLIP_WORDS) - rate * streams.words)
        for rate in (allow, policy.harm_points / 100)
    )
    limit = stats.t.ppf(0.95, np.maximum(n - 1, 1))
    return _earlier(above >= limit, -below >= limit, first=9)


def _t_values(scores: np.ndarray) -> np.ndarray:
    n = np.arange(1, len(scores) + 1)
    mean = np.cumsum(scores) / n
    variance = (np.cumsum(scores**2) - n * mean**2) / np.maximum(n - 1, 1)
    return np.asarray(mean / np.sqrt(np.maximum(variance, 1e-9) / n))


def flagger(streams: Streams, policy: Policy) -> Verdict:
    """Flagger's rule: a metric against a threshold at each interval; 5 failed checks stop, 10 steps promote.

    The metric is the WER of the interval's 20 streams, the threshold the champion's WER and ``allow_points``.
    """
    every, steps, threshold = 20, 10, 5
    limit = streams.old_errors.sum() / streams.words.sum() + policy.allow_points / 100
    failed = passed = 0
    for end in range(every, len(streams.words) + 1, every):
        part = slice(end - every, end)
        is_good = streams.new_errors[part].sum() / streams.words[part].sum() <= limit
        failed, passed = failed + (not is_good), passed + is_good
        if failed >= threshold or passed >= steps:
            return Verdict(STOPPED if failed >= threshold else PROMOTED, end, end, end)
    return Verdict(UNDECIDED, *[len(streams.words)] * 3)


def kayenta(streams: Streams, policy: Policy) -> Verdict:
    """Kayenta's judge: Mann-Whitney on the WERs of streams of two arms, at 98 %, tolerance 25 %, a growing lookback.

    Every 50 streams; "High" stops the canary, four intervals without it promote it.
    """
    for end in range(50, 201, 50):
        old, new = (
            np.sort(errors[start:end:2] / streams.words[start:end:2])
            for errors, start in ((streams.old_errors, 0), (streams.new_errors, 1))
        )
        differences = np.sort((new[:, None] - old[None, :]).ravel())
        spread = stats.norm.ppf(0.99) * np.sqrt(len(old) * len(new) * (len(old) + len(new) + 1) / 12)
        low = differences[max(0, int(len(differences) / 2 - spread))]
        if low > 0.25 * abs(float(np.median(differences))) and low > 0:
            return Verdict(STOPPED, end, end, end)
    return Verdict(PROMOTED, 200, 200, 200)


def _earlier(stops: np.ndarray, promotes: np.ndarray, first: int) -> Verdict:
    places = [int(np.argmax(each[first:])) + first if each[first:].any() else len(each) for each in (stops, promotes)]
    what = UNDECIDED if places[0] == places[1] == len(stops) else STOPPED if places[0] <= places[1] else PROMOTED
    end = min(*places, len(stops) - 1) + 1
    return Verdict(what, end, end, end)


RULES: tuple[tuple[str, Rule], ...] = (
    ("ours", ours),
    ("t-test, peeked", peeked),
    ("Flagger", flagger),
    ("Kayenta", kayenta),
)


def watched(kind: Kind, policy: Policy, rng: np.random.Generator) -> bool:
    """Whether a release of this kind is rolled back after its promotion, while the old champion hears all streams."""
    watch = replace(policy, harm_alpha=policy.watch_alpha, promote_alpha=1e-9)
    return ours(draw(kind, rng), watch).what == STOPPED


def guards_stop(policy: Policy, rng: np.random.Generator) -> bool:
    """Whether a guard stops an equal canary: 600 clients at weights that change; 2 % fail and 10 % are late in both."""
    weight = np.repeat(policy.steps, 200)
    is_canary = (rng.random(len(weight)) < weight).astype(float)
    failed, late = rng.random(len(weight)) < 0.02, rng.random(len(weight)) < 0.1
    values = [log_share_evidence(is_canary, weight, is_two_sided=True)]
    values += [log_share_evidence(is_canary[rows], weight[rows]) for rows in (failed, late)]
    return any(value.max(initial=0.0) >= np.log(GUARDS / policy.guard_alpha) for value in values)


LANGUAGE_RATES = np.array([0.05, 0.12, 0.3])
"""Errors a word, in three languages; the third is spoken by night."""


def labels_stop(policy: Policy, rng: np.random.Generator, worse: float = 1.0) -> bool:
    """Whether labels of single streams stop a canary that makes ``worse`` times the errors of the champion.

    900 streams of about 400 clients over three days, while the weight is raised step by step. Clients differ, as do
    languages; by night other clients speak another language, and people label most streams of the night and few of
    the day: so each step has labels of other hours. As `ops.evidence` does, it counts a client's first labelled stream.
    """
    streams, clients = 900, 400
    hour = np.sort(rng.uniform(0, 72, streams))
    is_night = hour % 24 >= 12
    client = rng.integers(0, clients // 2, streams) + clients // 2 * is_night
    language = np.where(client >= clients // 2, 2, client % 2)
    rate = LANGUAGE_RATES[language] * np.exp(rng.normal(-0.5, 1.0, clients))[client]
    words = np.clip(np.round(60 * np.exp(rng.normal(0, 0.7, streams))), 3, 500)
    weight = np.asarray(policy.steps)[np.searchsorted([12, 30], hour)]
    is_canary = rng.random(clients)[client] < weight
    errors = np.minimum(rng.poisson(words * rate * np.where(is_canary, worse, 1.0)), words).astype(float)
    labelled = np.flatnonzero(rng.random(streams) < np.where(is_night, 0.8, 0.2))
    mine = labelled[np.sort(np.unique(client[labelled], return_index=True)[1])]
    evidence = log_harm_between_arms(errors[mine], words[mine], is_canary[mine], weight[mine], policy.harm_points / 100)
    return bool(largest(evidence) >= np.log(GUARDS / policy.guard_alpha))


def trial(kind: Kind, rollouts: int, seed: int, policy: Policy) -> dict[str, list[Verdict]]:
    """All rules on the same rollouts: name of the rule -> verdicts."""
    rng = np.random.default_rng(seed)
    samples = [draw(kind, rng) for _ in range(rollouts)]
    return {name: [rule(streams, policy) for streams in samples] for name, rule in RULES}


def table_row(kind: Kind, name: str, verdicts: Sequence[Verdict]) -> str:
    """One line of Markdown: shares with their 95 % upper bounds, streams and labels."""
    total, cells = len(verdicts), []
    for what in (PROMOTED, STOPPED):
        mine = [verdict for verdict in verdicts if verdict.what == what]
        upper = binomial_bounds(len(mine), total)[1]
        cells.append(f"{100 * len(mine) / total:.1f} (<= {100 * upper:.1f})")
    decided = [verdict for verdict in verdicts if verdict.what != UNDECIDED]
    streams = "/".join(f"{np.quantile([v.streams for v in decided], q):.0f}" for q in (0.5, 0.95)) if decided else "-"
    counts = [f"{np.median(each):.0f}" if decided else "-" for each in _columns(decided)]
    return f"| {kind.name} | {name} | {cells[0]} | {cells[1]} | {streams} | {' | '.join(counts)} |"


def _columns(verdicts: Sequence[Verdict]) -> tuple[list[int], list[int]]:
    return [verdict.counted for verdict in verdicts], [verdict.labels for verdict in verdicts]


def main() -> None:
    """Prints the table in Markdown, and the shares of false stops by the watch and by the guards."""
    parser = argparse.ArgumentParser(description="Verdicts on rollouts with a known truth.")
    parser.add_argument("--rollouts", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", default="", help="only kinds whose name has this in it; none such: only false stops")
    options = parser.parse_args()
    policy, kinds = load_policy(), [kind for kind in KINDS if options.kind in kind.name]
    titles = ["rollout", "rule", "promoted, %", "stopped, %", "streams, p50/p95", "counted, p50", "labels, p50"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for kind in kinds:
        for name, verdicts in trial(kind, options.rollouts, options.seed, policy).items():
            print(table_row(kind, name, verdicts), flush=True)
    if not options.kind or not kinds:
        print(_false_stops(policy, options.rollouts, np.random.default_rng(options.seed + 1)))


def _false_stops(policy: Policy, rollouts: int, rng: np.random.Generator) -> str:
    """How often an equal release is stopped otherwise: by the old champion's hearing, and by the guards."""
    again = [watched(KINDS[2], policy, rng) for _ in range(rollouts)]
    stopped = [guards_stop(policy, rng) for _ in range(rollouts)]
    lines = []
    arms = [labels_stop(policy, rng) for _ in range(rollouts)]
    results = (
        ("rolled back while watched", again),
        ("stopped by a guard that needs no label", stopped),
        ("stopped by labels of single streams", arms),
    )
    for what, rows in results:
        upper = binomial_bounds(sum(rows), len(rows))[1]
        lines.append(f"\nAn equal release is {what} in {100 * np.mean(rows):.1f} % (<= {100 * upper:.1f}).")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
