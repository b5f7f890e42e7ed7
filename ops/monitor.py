"""The monitor: a round runs watchers over all models; `Verdicts` decides by `ops.rollout` and moves aliases.

A watcher keeps in memory only what a new one reads from the ledger: a second monitor, one that was killed and one that
starts again see the same rows and come to the same end. Two at once do no harm, because a move from where an alias no
longer is fails. Each verdict's move names the last rows that it rests on, so `replay` can repeat it to the last digit.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from asr.aliases import BASIS, CANARY, CHAMPION, LOADING, SHADOW
from asr.collection import uncollected
from asr.errors import AsrError, MoveConflict
from asr.ledger import Ledger
from asr.ledger.values import Move, OutcomePart
from ops.clock import is_ahead
from ops.evidence import GuardEvidence, broken, broken_shadow, guard_evidence, pair_evidence, unloaded
from ops.policy import Policy
from ops.rollout import LOAD_PATIENCE_S, UNLOADED, Action, Evidence, Situation, Stage, decide, situation
from ops.rows import Rows

BY = "asr monitor"
MOST_MOVES = 12
"""Of one model in one round; a verdict needs at most four."""


class Finding(Protocol):
    """What a watcher reports about one model; as text it is one sentence."""

    @property
    def name(self) -> str:
        """The model's name."""

    def as_dict(self) -> dict[str, Any]:
        """For a program: one JSON object."""


class Watcher(Protocol):
    """One part of a round. It reads only rows that it has not read yet; a new one starts at the ledger's first row."""

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Finding]:
        """Does what is due for the model, and yields each finding at once. Raises `LedgerError`."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the monitor did about a model, or what it waits for."""

    name: str
    at: Situation
    evidence: Evidence
    action: Action
    move: Move | None = None

    def __str__(self) -> str:
        if self.move is None:
            return f"{self.name}: {self.action.why}"
        place = f"{self.name}@{self.move.alias}"
        return f"{place} {_number(self.move.from_number)} -> {_number(self.move.to_number)}, {_verdict(self)}"

    def as_dict(self) -> dict[str, Any]:
        """For a program: one JSON object."""
        return {
            "name": self.name,
            "stage": self.at.stage.value,
            "release": self.at.new if self.at.stage is not Stage.IDLE else None,
            "against": self.at.old if self.at.stage is not Stage.IDLE else None,
            "verdict": self.action.verdict,
            "why": self.action.why,
            "evidence": self.evidence.numbers(),
            "move": None if self.move is None else asdict(self.move),
        }


class Verdicts:
    """The watcher of rollouts: promotes, stops and rolls back releases."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._rows: dict[str, Rows] = {}

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Decision]:
        """Makes the moves that are due, one after the other, and yields each; the last decision is to wait.

        Raises `LedgerError`. A move that somebody else made in between is taken as it is.
        """
        rows = self._rows.setdefault(name, Rows(name))
        _begin_now(ledger, rows, now_s)
        for _ in range(MOST_MOVES):
            at, evidence, action = judge(ledger, rows, self._policy, now_s)
            if not action.alias:
                yield Decision(name, at, evidence, action)
                return
            try:
                basis = {"rows": rows.read, "now_s": now_s, "policy": asdict(self._policy)}
                move = _carry_out(ledger, name, action, {**evidence.numbers(), BASIS: basis})
            except MoveConflict:
                continue
            yield Decision(name, at, evidence, action, move)


def judge(ledger: Ledger, rows: Rows, policy: Policy, now_s: float) -> tuple[Situation, Evidence, Action]:
    """Reads the newest rows and decides; moves nothing. Raises `LedgerError`."""
    with uncollected():
        rows.read_moves(ledger)
        at = situation(rows.moves_by(now_s))
        evidence = gather(ledger, rows, at, policy, now_s)
        return at, evidence, decide(at, evidence, policy)


def gather(ledger: Ledger, rows: Rows, at: Situation, policy: Policy, now_s: float) -> Evidence:
    """The evidence on the release that is on trial. Raises `LedgerError`."""
    if at.stage in (Stage.IDLE, Stage.LEFTOVER) or at.new is None or at.old is None:
        return Evidence(now_s)
    champion, challenger = (at.new, at.old) if at.stage is Stage.WATCHED else (at.old, at.new)
    rows.read_pairs(ledger, champion, challenger)
    pairs = pair_evidence(rows.pairs, rows.errors, at.new, at.old, policy, now_s)
    guards = GuardEvidence()
    rows.read_outcomes(ledger)
    if at.stage is Stage.SHADOW:
        guards = GuardEvidence(broken=broken_shadow(rows.outcomes, rows.pairs, at.new, policy))
    elif at.stage is Stage.CANARY:
        of = [o for o in rows.outcomes if o.release in (at.new, at.old) and o.arm in (CHAMPION, CANARY)]
        guards = guard_evidence(of, rows.errors, at.weights, policy, {pair.stream_id for pair in rows.pairs})
    elif at.stage is Stage.WATCHED:
        guards = GuardEvidence(
            broken=broken(_since_promotion(rows.outcomes, at, rows.moves_by(now_s)), policy, CHAMPION)
        )
    return Evidence(now_s, pairs, _with_failed_load(guards, rows, at, now_s))


def _with_failed_load(guards: GuardEvidence, rows: Rows, at: Situation, now_s: float) -> GuardEvidence:
    """The guards, and whether the release could be loaded at all. Another server may need some time for that."""
    assert at.new is not None
    heard_s = [pair.at_s for pair in rows.pairs] if at.stage is Stage.SHADOW else []
    heard_s += [o.at_s for o in rows.outcomes if o.release == at.new and o.arm != LOADING]
    failed = unloaded(rows.outcomes, heard_s, at.new, at.since_s)
    if failed is None:
        return guards
    is_over = now_s - failed.at_s >= LOAD_PATIENCE_S
    return replace(guards, broken=guards.broken or (UNLOADED if is_over else ""), unloaded=True)


def replay(ledger: Ledger, name: str) -> Iterator[tuple[Move, bool]]:
    """Repeats each verdict that a monitor carried out, from the rows and with the policy that it rested on.

    Yields each move and whether the same verdict comes out, to the last digit. Moves of earlier versions, which do not
    name their rows, are left out. Raises `LedgerError`.
    """
    for move in ledger.moves(name):
        basis = move.evidence.get(BASIS) if move.by == BY else None
        if basis is None:
            continue
        policy = Policy(**{**basis["policy"], "steps": tuple(basis["policy"]["steps"])})
        rows = Rows(name, until=basis["rows"])
        _, evidence, action = judge(ledger, rows, policy, basis["now_s"])
        made = Action(
            move.evidence["verdict"], move.why, move.alias, move.from_number, move.to_number, dict(move.options)
        )
        numbers = {**evidence.numbers(), "verdict": action.verdict, BASIS: basis}
        yield move, action == made and numbers == dict(move.evidence)


def look(
    ledger: Ledger,
    watchers: Sequence[Watcher],
    now_s: float,
    report: Callable[[Finding], None],
    failed: Callable[[AsrError], None],
) -> list[Finding]:
    """One round: each watcher looks at all models. Reports each finding as it is made, and returns them all.

    A watcher that fails at one model is reported to ``failed``, and the round goes on. Raises `LedgerError` where the
    names of the models cannot be read.
    """
    findings = []
    names = ledger.names()
    for watcher in watchers:
        for name in names:
            try:
                for finding in watcher.look(ledger, name, now_s):
                    report(finding)
                    findings.append(finding)
            except AsrError as error:
                failed(error)
    return findings


def run(
    look_once: Callable[[], None], failed: Callable[[AsrError], None], every_s: float, stop: threading.Event
) -> None:
    """Looks every ``every_s`` seconds until ``stop``. A look that fails is reported to ``failed``, and tried again."""
    while not stop.is_set():
        try:
            look_once()
        except AsrError as error:
            failed(error)
        stop.wait(every_s)


def _begin_now(ledger: Ledger, rows: Rows, now_s: float) -> None:
    """Repeats the last move of a canary or shadow that is dated after now: else its time would never begin."""
    rows.read_moves(ledger)
    for alias in (CANARY, SHADOW):
        move = next((one for one in reversed(rows.moves) if one.alias == alias), None)
        if move is None or move.to_number is None or not is_ahead(move.at_s, now_s):
            continue
        why = "the clock was ahead when the alias was moved; its time begins now"
        to = move.to_number
        with suppress(MoveConflict):
            ledger.move(rows.name, alias, expected=to, to=to, by=BY, why=why, options=move.options)


def _carry_out(ledger: Ledger, name: str, action: Action, evidence: Mapping[str, Any]) -> Move:
    return ledger.move(
        name,
        action.alias,
        expected=action.expected,
        to=action.to,
        by=BY,
        why=action.why,
        evidence={"verdict": action.verdict, **evidence},
        options=action.options,
    )


def _since_promotion(outcomes: Sequence[OutcomePart], at: Situation, moves: Sequence[Move]) -> list[OutcomePart]:
    """Streams of the new champion that began after its promotion."""
    promoted_s = max((m.at_s for m in moves if m.alias == CHAMPION and m.to_number == at.new), default=0.0)
    return [o for o in outcomes if o.release == at.new and o.arm == CHAMPION and o.at_s - o.audio_s >= promoted_s]


def _verdict(decision: Decision) -> str:
    return f"{decision.action.verdict}: {decision.action.why}"


def _number(number: int | None) -> str:
    return "none" if number is None else str(number)
