"""The monitor: reads the ledger, decides by `ops.rollout`, and makes moves by compare-and-set.

It keeps nothing in memory that matters: a second monitor, one that was killed and one that starts again see the same
rows and come to the same end. Two at once do no harm, because a move from where an alias no longer is fails.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asr.aliases import CHAMPION
from asr.errors import AsrError, MoveConflict
from asr.ledger import Ledger
from asr.ledger.values import Move, Outcome
from ops.evidence import GuardEvidence, broken, guard_evidence, pair_evidence
from ops.policy import Policy
from ops.rollout import Action, Evidence, Situation, Stage, decide, situation

BY = "asr monitor"
MOST_MOVES = 12
"""Of one model in one round; a verdict needs at most four."""


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


def gather(ledger: Ledger, name: str, at: Situation, policy: Policy, now_s: float, moves: Sequence[Move]) -> Evidence:
    """The evidence on the release that is on trial. Raises `LedgerError`."""
    if at.stage in (Stage.IDLE, Stage.LEFTOVER) or at.new is None or at.old is None:
        return Evidence(now_s)
    labels = ledger.labels(name)
    champion, challenger = (at.new, at.old) if at.stage is Stage.WATCHED else (at.old, at.new)
    pairs = pair_evidence(ledger.pairs(name, champion, challenger), labels, at.new, at.old, policy, now_s)
    guards = GuardEvidence()
    if at.stage is not Stage.SHADOW:
        outcomes = ledger.outcomes(name)
        if at.stage is Stage.CANARY:
            of = [o for o in outcomes if o.release in (at.new, at.old)]
            guards = guard_evidence(of, labels, at.weights, policy)
        else:
            guards = GuardEvidence(broken=broken(_since_promotion(outcomes, at, moves), policy, CHAMPION))
    return Evidence(now_s, pairs, guards)


def settle(ledger: Ledger, name: str, policy: Policy, now_s: float) -> Iterator[Decision]:
    """Makes the moves that are due, one after the other, and yields each; the last decision is to wait.

    Raises `LedgerError`. A move that somebody else made in between is taken as it is.
    """
    for _ in range(MOST_MOVES):
        moves = ledger.moves(name)
        at = situation(moves)
        evidence = gather(ledger, name, at, policy, now_s, moves)
        action = decide(at, evidence, policy)
        if not action.alias:
            yield Decision(name, at, evidence, action)
            return
        try:
            yield Decision(name, at, evidence, action, _carry_out(ledger, name, action, evidence))
        except MoveConflict:
            continue


def look(ledger: Ledger, policy: Policy, now_s: float, report: Callable[[Decision], None]) -> list[Decision]:
    """Settles all models, reports each decision as it is made, and returns them all. Raises `LedgerError`."""
    decisions = []
    for name in ledger.names():
        for decision in settle(ledger, name, policy, now_s):
            report(decision)
            decisions.append(decision)
    return decisions


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


def _carry_out(ledger: Ledger, name: str, action: Action, evidence: Evidence) -> Move:
    return ledger.move(
        name,
        action.alias,
        expected=action.expected,
        to=action.to,
        by=BY,
        why=action.why,
        evidence={"verdict": action.verdict, **evidence.numbers()},
        options=action.options,
    )


def _since_promotion(outcomes: Sequence[Outcome], at: Situation, moves: Sequence[Move]) -> list[Outcome]:
    """Streams of the new champion that began after its promotion."""
    promoted_s = max((m.at_s for m in moves if m.alias == CHAMPION and m.to_number == at.new), default=0.0)
    return [o for o in outcomes if o.release == at.new and o.arm == CHAMPION and o.at_s - o.audio_s >= promoted_s]


def _verdict(decision: Decision) -> str:
    return f"{decision.action.verdict}: {decision.action.why}"


def _number(number: int | None) -> str:
    return "none" if number is None else str(number)
