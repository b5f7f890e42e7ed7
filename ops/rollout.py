"""The table of states of a rollout: (situation, evidence, policy) -> one action with its sentence. Pure.

    added -> shadow -> canary, step by step -> champion, watched -> kept
               |          |                        |
            rejected   rolled back             rolled back        after max_days: undecided, the champion stays

Suspicion may stop a release, only proof may promote it. The stage is read from the ledger's aliases and moves, and
nowhere else, and each action is one move. So whatever a monitor did not finish, the next one finishes.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from asr.aliases import CANARY, CHAMPION, SHADOW, SHARE, WEIGHT
from asr.ledger.values import Move
from ops.evidence import GUARDS, GuardEvidence, PairEvidence, Weight
from ops.policy import Policy

DAY_S = 86_400.0
UNLOADED = "a server could not load it (its log says why), and no stream has reached it since"
LOAD_PATIENCE_S = 120.0
"""Another server may still be loading a release that could not be loaded on one."""


class Stage(Enum):
    """How far the trial of a release has come."""

    IDLE = "idle"
    LEFTOVER = "leftover"
    SHADOW = "shadow"
    CANARY = "canary"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True)
class Situation:
    """What the ledger's aliases and moves say about a model.

    Attributes:
        stage: The stage.
        champion: Number of the live release; None: none is live.
        new: The release on trial: the challenger, or the champion that is watched.
        old: The release that it is compared with.
        since_s: When the stage began, in seconds since 1970; for the canary when the whole trial began.
        weights: The canary's weights since it began.
        shadow: Number of the release that is the shadow.
        todo: For `LEFTOVER` the alias that is still to be moved.
    """

    stage: Stage
    champion: int | None = None
    new: int | None = None
    old: int | None = None
    since_s: float = 0.0
    weights: tuple[Weight, ...] = ()
    shadow: int | None = None
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a decision rests on; ``now_s`` in seconds since 1970."""

    now_s: float
    pairs: PairEvidence = field(default_factory=PairEvidence)
    guards: GuardEvidence = field(default_factory=GuardEvidence)

    def numbers(self) -> dict[str, float]:
        """The figures that the ledger keeps as a move's evidence."""
        return {**self.pairs.numbers(), **self.guards.numbers()}


@dataclass(frozen=True, slots=True)
class Action:
    """One move of an alias, or none (``alias`` is ""): then the sentence says what is waited for."""

    verdict: str
    why: str
    alias: str = ""
    expected: int | None = None
    to: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


Reason = Callable[[Situation, Evidence, Policy], str]
"""Why a row of the table applies; "": it does not."""


def situation(moves: Sequence[Move]) -> Situation:
    """The situation of one model, from all its moves in order."""
    on = {alias: _last(moves, alias) for alias in (CHAMPION, CANARY, SHADOW)}
    champion, canary, shadow = ((move.to_number if move else None) for move in on.values())
    crowned, shadowed = on[CHAMPION], on[SHADOW]
    if champion is None or crowned is None:
        return Situation(Stage.IDLE)
    promoted_from = None if _was_champion(moves, champion, crowned.id) else crowned.from_number
    base = Situation(Stage.IDLE, champion, champion, promoted_from, crowned.at_s, shadow=shadow)
    if canary == champion:
        return _with(base, Stage.LEFTOVER, todo=CANARY)
    if canary is not None:
        began_s, weights = _begin_s(moves, canary), _weights(moves, canary)
        return Situation(Stage.CANARY, champion, canary, champion, began_s, weights, shadow)
    if shadow is None or shadowed is None:
        # A promotion by hand, or one that a monitor did not finish, is watched too.
        later = [move for move in moves if move.alias == SHADOW and move.id > crowned.id]
        is_open = promoted_from is not None and all(move.to_number != promoted_from for move in later)
        return _with(base, Stage.LEFTOVER, todo=SHADOW) if is_open else base
    if shadow == champion or _has_left_canary(moves, shadow, shadowed.id):
        return _with(base, Stage.LEFTOVER, todo=SHADOW)
    if shadow == promoted_from and shadowed.id > crowned.id:
        return _with(base, Stage.WATCHED, since_s=shadowed.at_s)
    return Situation(Stage.SHADOW, champion, shadow, champion, _begin_s(moves, shadow), shadow=shadow)


def decide(at: Situation, evidence: Evidence, policy: Policy) -> Action:
    """The first row of the table that applies."""
    for stages, reason, act in TABLE:
        if at.stage in stages and (why := reason(at, evidence, policy)):
            return act(at, why, policy)
    return Action("waiting", waiting(at, evidence, policy))


def waiting(at: Situation, evidence: Evidence, policy: Policy) -> str:
    """What is missing for a verdict, in one sentence."""
    pairs, guards = evidence.pairs, evidence.guards
    if at.stage in (Stage.IDLE, Stage.LEFTOVER):
        return "no release is on trial"
    if at.stage is Stage.CANARY and _is_proven(evidence, policy):
        return f"the step needs {policy.step_clients} clients of the canary, and has {guards.clients}"
    if guards.unloaded:
        return f"{UNLOADED}; it is stopped {LOAD_PATIENCE_S:.0f} s after that, unless streams reach it elsewhere"
    seen = f"{_count(pairs.pairs, 'stream')} heard by both, {pairs.units} complete units of clients"
    if at.stage is Stage.WATCHED:
        return f"no harm is shown ({seen}; evidence {_k(pairs.harm)} of {1 / policy.watch_alpha:.0f})"
    labels = f"; {_count(pairs.waiting, 'drawn stream')} without labels" if pairs.waiting else ""
    missing = f"at least {_count(pairs.missing, 'stream')} missing, if their texts are the same"
    return f"no verdict yet: {missing} ({seen}; evidence {_k(pairs.benefit)} of {1 / policy.promote_alpha:.0f}{labels})"


# -- reasons --------------------------------------------------------------------------------------------------------


def _unfinished(at: Situation, evidence: Evidence, policy: Policy) -> str:
    is_nothing = at.todo == SHADOW and at.shadow is None and not policy.shadow_share
    return "" if is_nothing else "a verdict is not carried out to its end"


def _broken(at: Situation, evidence: Evidence, policy: Policy) -> str:
    return evidence.guards.broken


def _guarded(at: Situation, evidence: Evidence, policy: Policy) -> str:
    guards, wanted = evidence.guards, math.log(GUARDS / policy.guard_alpha)
    sentences = (
        (guards.failures, "its streams fail more often than the champion's"),
        (guards.delays, "its streams are late more often than the champion's"),
        (guards.ratio, "the two arms do not have the clients that the weight says"),
        (guards.harm, "labels of its streams show more errors than those of the champion's"),
    )
    return next((f"{what} (evidence {_k(value)} of {math.exp(wanted):.0f})" for value, what in sentences
                 if value >= wanted), "")  # fmt: skip


def _harmful(at: Situation, evidence: Evidence, policy: Policy) -> str:
    alpha = policy.watch_alpha if at.stage is Stage.WATCHED else policy.harm_alpha
    pairs = evidence.pairs
    if pairs.harm < math.log(1 / alpha):
        return ""
    return f"its texts are worse than those of {_ref(at.old)} ({_seen(pairs, pairs.harm, alpha)})"


def _proven(at: Situation, evidence: Evidence, policy: Policy) -> str:
    if not _is_proven(evidence, policy):
        return ""
    pairs = evidence.pairs
    worse = f"less than {policy.allow_points:g} points worse than {_ref(at.old)}"
    return f"proven to be {worse} ({_seen(pairs, pairs.benefit, policy.promote_alpha)})"


def _step_done(at: Situation, evidence: Evidence, policy: Policy) -> str:
    is_last = _next_step(at, policy) is None
    if is_last or evidence.guards.clients < policy.step_clients:
        return ""
    return f"{evidence.guards.clients} clients at {at.weights[-1].weight:.0%}, and no guard says stop"


def _ready(at: Situation, evidence: Evidence, policy: Policy) -> str:
    """The last step is done and the proof is there."""
    is_last = _next_step(at, policy) is None
    return _proven(at, evidence, policy) if is_last and evidence.guards.clients >= policy.step_clients else ""


def _too_old(at: Situation, evidence: Evidence, policy: Policy) -> str:
    if evidence.now_s - at.since_s < policy.max_days * DAY_S:
        return ""
    return f"undecided after {policy.max_days:g} days: {waiting(at, evidence, policy)}"


def _watched_long(at: Situation, evidence: Evidence, policy: Policy) -> str:
    is_over = evidence.now_s - at.since_s >= policy.watch_days * DAY_S
    return f"no harm in {policy.watch_days:g} days" if is_over else ""


# -- actions --------------------------------------------------------------------------------------------------------


def _stop(verdict: str, alias: str) -> Callable[[Situation, str, Policy], Action]:
    return lambda at, why, policy: Action(verdict, why, alias, at.new, None)


def _to_canary(at: Situation, why: str, policy: Policy) -> Action:
    return Action("canary", why, CANARY, None, at.new, {WEIGHT: policy.steps[0]})


def _step(at: Situation, why: str, policy: Policy) -> Action:
    return Action("step", why, CANARY, at.new, at.new, {WEIGHT: _next_step(at, policy)})


def _promote(at: Situation, why: str, policy: Policy) -> Action:
    return Action("promoted", why, CHAMPION, at.old, at.new)


def _roll_back(at: Situation, why: str, policy: Policy) -> Action:
    return Action("rolled back", why, CHAMPION, at.new, at.old)


def _keep(at: Situation, why: str, policy: Policy) -> Action:
    return Action("kept", why, SHADOW, at.old, None)


def _tidy(at: Situation, why: str, policy: Policy) -> Action:
    """Finishes a verdict: the canary's alias goes, the old champion becomes the shadow, or the shadow goes."""
    if at.todo == CANARY:
        return Action("finished", "the canary is the champion now", CANARY, at.champion, None)
    if at.old is not None and at.shadow in (None, at.champion) and policy.shadow_share:
        why = f"the champion before it listens for {policy.watch_days:g} days"
        return Action("watch", why, SHADOW, at.shadow, at.old, {SHARE: policy.shadow_share})
    return Action("finished", "the trial is over", SHADOW, at.shadow, None)


TABLE: tuple[tuple[tuple[Stage, ...], Reason, Callable[[Situation, str, Policy], Action]], ...] = (
    ((Stage.LEFTOVER,), _unfinished, _tidy),
    ((Stage.CANARY,), _broken, _stop("rolled back", CANARY)),
    ((Stage.CANARY,), _guarded, _stop("rolled back", CANARY)),
    ((Stage.CANARY,), _harmful, _stop("rolled back", CANARY)),
    ((Stage.CANARY,), _ready, _promote),
    ((Stage.CANARY,), _too_old, _stop("undecided", CANARY)),
    ((Stage.CANARY,), _step_done, _step),
    ((Stage.SHADOW,), _broken, _stop("rejected", SHADOW)),
    ((Stage.SHADOW,), _harmful, _stop("rejected", SHADOW)),
    ((Stage.SHADOW,), _proven, _to_canary),
    ((Stage.SHADOW,), _too_old, _stop("undecided", SHADOW)),
    ((Stage.WATCHED,), _broken, _roll_back),
    ((Stage.WATCHED,), _harmful, _roll_back),
    ((Stage.WATCHED,), _watched_long, _keep),
)
"""Stages, reason and action. What stops comes before what goes on."""


def _is_proven(evidence: Evidence, policy: Policy) -> bool:
    return evidence.pairs.benefit >= math.log(1 / policy.promote_alpha)


def _next_step(at: Situation, policy: Policy) -> float | None:
    return next((step for step in policy.steps if step > at.weights[-1].weight), None)


def _last(moves: Sequence[Move], alias: str) -> Move | None:
    return next((move for move in reversed(moves) if move.alias == alias), None)


def _was_champion(moves: Sequence[Move], number: int, before_id: int) -> bool:
    """Whether the release was the champion before: then the move to it was no promotion but a return."""
    mine = [move for move in moves if move.alias == CHAMPION and move.id < before_id]
    return any(number in (move.to_number, move.from_number) for move in mine)


def _has_left_canary(moves: Sequence[Move], number: int, after_id: int) -> bool:
    """Whether this shadow was stopped as a canary since it became the shadow."""
    canary = [move for move in moves if move.alias == CANARY and move.id > after_id]
    return any(move.from_number == number and move.to_number is None for move in canary)


def _begin_s(moves: Sequence[Move], number: int) -> float:
    """When the trial of this release began: its first place among the aliases since it last had none."""
    begin_s, places = math.inf, dict.fromkeys((CANARY, SHADOW), False)
    for move in moves:
        if move.alias in places:
            was_on, places[move.alias] = any(places.values()), move.to_number == number
            if any(places.values()) and not was_on:
                begin_s = move.at_s
    return begin_s


def _weights(moves: Sequence[Move], number: int) -> tuple[Weight, ...]:
    """The weights since the canary came to this release. One of 0 or 1 has one arm only: it counts as nearly so."""
    weights: list[Weight] = []
    for move in moves:
        if move.alias == CANARY:
            if move.to_number != number or move.from_number != number:
                weights = []
            if move.to_number == number:
                value = move.options.get(WEIGHT, 0.0)
                weight = float(value) if isinstance(value, int | float) else 0.0
                weights.append(Weight(move.at_s, min(0.999, max(0.001, weight))))
    return tuple(weights)


def _with(base: Situation, stage: Stage, since_s: float | None = None, todo: str = "") -> Situation:
    since_s = base.since_s if since_s is None else since_s
    return Situation(stage, base.champion, base.new, base.old, since_s, base.weights, base.shadow, todo)


def _ref(number: int | None) -> str:
    return f"release {number}"


def _seen(pairs: PairEvidence, log_value: float, alpha: float) -> str:
    """What a verdict on pairs rests on."""
    streams, labels = _count(pairs.pairs, "stream"), _count(pairs.labelled, "label")
    return f"{streams} heard by both, {labels}; evidence {_k(log_value)} of {1 / alpha:.0f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _k(log_value: float) -> str:
    return f"{math.exp(min(log_value, 13.0)):.1f}"
