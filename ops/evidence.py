"""Rows of the ledger -> what they prove about a challenger. Pure: the same rows and the same time give the same result.

The unit is what one client says within `Policy.unit_minutes`, once in `Policy.client_hours`, in the order of the rows.
Labels that are late or missing count as the worst that they can be (`eval.betting`): so look whenever you like.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asr.aliases import CANARY, LOADING, SHADOW
from asr.ledger.values import Label, Outcome, OutcomePart, Pair, PairPart
from eval.betting import (
    PairScores,
    largest,
    log_benefit,
    log_harm,
    log_harm_between_arms,
    log_share_evidence,
    missing_units,
    pair_scores,
    pooled,
    units_by_client,
)
from ops.clock import steady
from ops.policy import Policy

AnyPair = Pair | PairPart
AnyOutcome = Outcome | OutcomePart
Errors = dict[str, dict[int, int]]
"""Stream -> release -> errors that a person found in its text."""
FAILURES = ("internal", "overloaded")
"""Causes of an end that are the server's fault."""
GUARDS = 4
"""Guards of the canary with statistics, which share `Policy.guard_alpha`."""
MOST_WEIGHT = 0.5
"""Streams at a larger weight of the canary leave too few for comparison of labels."""
LATE_QUANTILE = 0.9
"""A late stream has a delay beyond this quantile of the champion's streams before the canary began ..."""
FEWEST_BEFORE = 20
"""... if there were as many."""
USUAL_WORDS = 40.0
"""Words of a stream, where none has been seen."""


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """What the pairs of two releases prove. ``harm`` and ``benefit`` are logarithms of wealths, the largest so far.

    Attributes:
        pairs: Streams that both releases heard.
        units: Units that are complete.
        different: Pairs whose texts differ.
        labelled: Pairs with labels of both texts.
        waiting: Pairs that were drawn and are not labelled.
        harm: Evidence that the new release is worse than the old one.
        benefit: Evidence that it is not worse by `Policy.allow_points`.
        missing: Streams that the proof of the benefit needs at least, if all their texts are the same.
    """

    pairs: int = 0
    units: int = 0
    different: int = 0
    labelled: int = 0
    waiting: int = 0
    harm: float = 0.0
    benefit: float = 0.0
    missing: int = 0

    def numbers(self) -> dict[str, float]:
        """For the ledger. ``harm`` and ``benefit`` are wealths: 20 is a chance of at most 5 %."""
        counts = {"pairs": self.pairs, "units": self.units, "different": self.different, "labelled": self.labelled}
        wealths = {"harm": _wealth(self.harm), "benefit": _wealth(self.benefit)}
        return {**counts, "waiting": self.waiting, **wealths}


@dataclass(frozen=True, slots=True)
class GuardEvidence:
    """What the streams of the two arms say. Wealths as logarithms, the largest so far.

    Attributes:
        clients: Clients of the canary since its weight last changed.
        ratio: Evidence that the arms do not have the clients that the weights say.
        failures: Evidence that the canary fails more often.
        delays: Evidence that it is late more often.
        harm: Evidence, from labels of single streams, that it makes more errors.
        broken: Why it is stopped at once, in words; "": it is not.
        unloaded: Whether a server could not load it, and no other one has it.
    """

    clients: int = 0
    ratio: float = 0.0
    failures: float = 0.0
    delays: float = 0.0
    harm: float = 0.0
    broken: str = ""
    unloaded: bool = False

    def numbers(self) -> dict[str, float]:
        """The figures of these pairs that the ledger keeps as a move's evidence."""
        parts = {"ratio": self.ratio, "failures": self.failures, "delays": self.delays, "arms": self.harm}
        return {"clients": self.clients, **{name: _wealth(value) for name, value in parts.items()}}


@dataclass(frozen=True, slots=True)
class Weight:
    """The canary's weight from this time on, in seconds since 1970."""

    at_s: float
    weight: float


def pair_evidence(
    pairs: Sequence[AnyPair], errors: Errors, new: int, old: int, policy: Policy, now_s: float
) -> PairEvidence:
    """What pairs of the releases ``new`` and ``old`` prove, whichever of them was live."""
    if not pairs:
        return PairEvidence(missing=_missing(None, policy))
    nothing: Mapping[int, int] = {}
    mine = [errors.get(pair.stream_id, nothing) for pair in pairs]
    difference = np.array([each[new] - each[old] if new in each and old in each else np.nan for each in mine])
    is_drawn = np.array([pair.is_drawn for pair in pairs])
    scores = pair_scores(
        np.array([pair.words for pair in pairs], float),
        np.array([pair.distance for pair in pairs], float),
        difference,
        is_drawn,
        np.array([pair.draw_probability for pair in pairs]),
    )
    at_s = steady(np.array([pair.at_s for pair in pairs]), now_s)
    unit, ends_s = units_by_client(
        [pair.client for pair in pairs], at_s, policy.unit_minutes * 60, policy.client_hours * 3600
    )
    complete = int((ends_s <= now_s).sum())
    units = pooled(scores, unit).until(complete)
    return PairEvidence(
        pairs=len(pairs),
        units=complete,
        different=int((scores.distance > 0).sum()),
        labelled=int((~np.isnan(difference)).sum()),
        waiting=int((is_drawn & np.isnan(difference)).sum()),
        harm=largest(log_harm(units, policy.harm_points / 100)),
        benefit=largest(log_benefit(units, policy.allow_points / 100)),
        missing=_missing(units, policy),
    )


def guard_evidence(
    outcomes: Sequence[AnyOutcome],
    errors: Errors,
    weights: Sequence[Weight],
    policy: Policy,
    paired: Container[str] = (),
) -> GuardEvidence:
    """What the streams of both arms say since the canary began. ``weights`` are its weights in order, one at least;
    ``paired`` are the streams that both releases heard.

    A client counts once for each guard: its arm is fixed by its hash, so its later streams are no new draw of the arm.
    Streams that began before the canary are left out; which release they got was no draw.
    """
    begin_s = weights[0].at_s
    mine = [outcome for outcome in outcomes if _start_s(outcome) >= begin_s]
    first = _of_clients(mine)
    late_s = _late_s([outcome for outcome in outcomes if outcome.at_s < begin_s])
    late = [o for o in mine if late_s is not None and (o.delay_p95_s or 0) > late_s]
    canary = [o for o in first if o.arm == CANARY]
    return GuardEvidence(
        clients=sum(_start_s(o) >= weights[-1].at_s for o in canary),
        ratio=_share(first, weights, is_two_sided=True),
        failures=_share(_of_clients([o for o in mine if o.cause in FAILURES]), weights),
        delays=_share(_of_clients(late), weights),
        harm=_harm_between_arms([o for o in mine if o.stream_id not in paired], errors, weights, policy),
        broken=broken(mine, policy),
    )


def broken(outcomes: Sequence[AnyOutcome], policy: Policy, arm: str = CANARY) -> str:
    """Why the release of this arm cannot stay, without statistics; "" where nothing says so."""
    mine, others = [o for o in outcomes if o.arm == arm], [o for o in outcomes if o.arm != arm]
    clients = _of_clients(mine)
    failed = len(_of_clients([o for o in mine if o.cause == FAILURES[0]]))
    if failed >= policy.fewest_failures and failed >= policy.most_failed * len(clients):
        return f"streams of {failed} of its {len(clients)} clients failed"
    delays, theirs = _delays(mine), _delays(others)
    median_s = float(np.median(delays)) if delays else 0.0
    is_slower = not theirs or median_s > float(np.median(theirs))
    if arm == CANARY and len(clients) >= policy.fewest_delays and median_s > policy.most_delay_s and is_slower:
        return f"the median of its streams' p95 of the delay is {median_s:.1f} s, allowed are {policy.most_delay_s:g} s"
    return ""


def broken_shadow(outcomes: Sequence[AnyOutcome], pairs: Sequence[AnyPair], release: int, policy: Policy) -> str:
    """Why the shadow cannot become a canary, by the streams that it failed on, and its pairs; "" where nothing does."""
    failures = _of_clients([o for o in outcomes if o.arm == SHADOW and o.release == release])
    heard = {pair.client or pair.stream_id for pair in pairs} | {o.client or o.stream_id for o in failures}
    if len(failures) >= policy.fewest_failures and len(failures) >= policy.most_failed * len(heard):
        return f"it failed on streams of {len(failures)} of the {len(heard)} clients that it heard as the shadow"
    return ""


def unloaded(
    outcomes: Sequence[AnyOutcome], heard_s: Sequence[float], release: int, since_s: float
) -> AnyOutcome | None:
    """The first load of this release that failed since ``since_s`` and that no stream came after; None without one.

    ``heard_s`` are the times of the streams that it served or heard. Servers that load it give such streams, so a
    release that fails on one server of several stays.
    """
    last_s = max(heard_s, default=0.0)
    rows = (o for o in outcomes if o.arm == LOADING and o.release == release and o.at_s >= max(since_s, last_s))
    return next(rows, None)


def add_labels(errors: Errors, labels: Sequence[Label]) -> None:
    """Adds labels to those that are known; the last label of a text counts."""
    for label in labels:
        errors.setdefault(label.stream_id, {})[label.release] = label.errors


def _missing(units: PairScores | None, policy: Policy) -> int:
    """The smallest number of further units of the usual length, all texts the same, that completes the proof."""
    units = units or PairScores(*[np.zeros(0)] * 4)
    words = float(units.words.mean()) if units.words.any() else USUAL_WORDS
    return missing_units(units, policy.allow_points / 100, words, policy.promote_alpha)


def _harm_between_arms(
    outcomes: Sequence[AnyOutcome], errors: Errors, weights: Sequence[Weight], policy: Policy
) -> float:
    """From labels of streams without a pair: people chose these streams, and must not choose by the text.

    Streams with a pair are drawn by the distance of its texts, so those with labels are no fair sample of either arm;
    `pair_evidence` counts them.
    """
    labelled = [o for o in outcomes if o.stream_id in errors and o.release in errors[o.stream_id]]
    first = _of_clients(labelled)
    mine = [o for o, weight in zip(first, _weights(first, weights), strict=True) if weight <= MOST_WEIGHT]
    counts = np.array([errors[o.stream_id][o.release] for o in mine], float)
    words, is_canary = np.array([o.words for o in mine], float), np.array([o.arm == CANARY for o in mine], bool)
    return largest(log_harm_between_arms(counts, words, is_canary, _weights(mine, weights), policy.harm_points / 100))


def _share(outcomes: Sequence[AnyOutcome], weights: Sequence[Weight], is_two_sided: bool = False) -> float:
    hits = np.array([outcome.arm == CANARY for outcome in outcomes], float)
    probability = _weights(outcomes, weights)
    return largest(log_share_evidence(hits, probability, is_two_sided))


def _weights(outcomes: Sequence[AnyOutcome], weights: Sequence[Weight]) -> np.ndarray:
    """The canary's weight when each stream ``(T,)`` began."""
    begins = np.array([each.at_s for each in weights])
    places = np.searchsorted(begins, np.array([_start_s(o) for o in outcomes], float), side="right") - 1
    return np.array([each.weight for each in weights])[places]


def _start_s(outcome: AnyOutcome) -> float:
    """About when the stream began: its row is written at its end."""
    return outcome.at_s - outcome.audio_s


def _of_clients(outcomes: Sequence[AnyOutcome]) -> list[AnyOutcome]:
    """The first stream of each client; each stream of an unknown one."""
    return list(_first_of_clients(outcomes))


def _first_of_clients(outcomes: Sequence[AnyOutcome]) -> Iterator[AnyOutcome]:
    seen: set[str] = set()
    for outcome in outcomes:
        if not outcome.client or outcome.client not in seen:
            seen.add(outcome.client)
            yield outcome


def _late_s(before: Sequence[AnyOutcome]) -> float | None:
    """From which delay on a stream is late. It is fixed before the canary begins, as the test needs it."""
    delays = _delays(before)
    return float(np.quantile(delays, LATE_QUANTILE)) if len(delays) >= FEWEST_BEFORE else None


def _delays(outcomes: Sequence[AnyOutcome]) -> list[float]:
    return [outcome.delay_p95_s for outcome in outcomes if outcome.delay_p95_s is not None]


def _wealth(log_value: float) -> float:
    return round(float(np.exp(min(log_value, 50.0))), 2)
