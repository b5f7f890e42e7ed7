"""What follows from the rows of the ledger."""

from collections.abc import Iterable
from typing import Any

from asr.aliases import CHAMPION
from asr.ledger.ledger import Ledger
from asr.ledger.values import Move


def previous_champion(moves: Iterable[Move]) -> int | None:
    """The release that a rollback goes to, from all moves of one model. None: there was no other champion before.

    A second rollback goes back one more, since the first one takes its release off the list.
    """
    champions: list[int] = []
    for move in moves:
        if move.alias != CHAMPION or move.to_number is None or champions[-1:] == [move.to_number]:
            continue
        if champions[-2:-1] == [move.to_number]:
            champions.pop()
        else:
            champions.append(move.to_number)
    return champions[-2] if len(champions) > 1 else None


def evidence_for(ledger: Ledger, name: str, number: int) -> dict[str, Any]:
    """What a promotion of the release can rest on: its last look of the gate, if it passed, beside the champion of
    today. {} if there is none. Raises `LedgerError`."""
    champion = ledger.aliases(name).get(CHAMPION)
    gates = [gate for gate in ledger.gates(name) if gate.release == number]
    if not gates or not gates[-1].has_passed or gates[-1].champion != (champion and champion.number):
        return {}
    return {"gate": gates[-1].id, **gates[-1].evidence}
