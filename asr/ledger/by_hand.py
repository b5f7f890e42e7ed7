"""Moves of the champion that a person makes, on the command line or on a page: the same rules for both."""

from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.errors import ConfigError, LedgerError
from asr.ledger.history import evidence_for, previous_champion
from asr.ledger.ledger import Ledger
from asr.ledger.values import Move, Release


def promote(ledger: Ledger, release: Release, by: str, because: str) -> list[Move]:
    """Makes the release the champion; it leaves its other aliases.

    Raises `LedgerError` if it is the champion or its files are not whole, `ConfigError` without a passed gate and
    without a reason.
    """
    aliases, name = ledger.aliases(release.name), release.name
    if aliases.get(CHAMPION) == release:
        raise LedgerError(f"{release.ref} is the champion already")
    evidence = evidence_for(ledger, name, release.number)
    if not evidence and not because.strip():
        raise ConfigError(
            f"{release.ref} has no passed gate beside today's champion; wanted `asr models gate {release.ref}` "
            'first, or a reason: --because "..."'
        )
    ledger.verified_folder(release)
    at = aliases.get(CHAMPION)
    why = because or "its gate passed"
    expected = at.number if at else None
    moves = [ledger.move(name, CHAMPION, expected=expected, to=release.number, by=by, why=why, evidence=evidence)]
    for alias in (CANARY, SHADOW):
        if aliases.get(alias) == release:
            why = "it is the champion now"
            moves.append(ledger.move(name, alias, expected=release.number, to=None, by=by, why=why))
    return moves


def roll_back(ledger: Ledger, name: str, by: str, because: str) -> Move:
    """Makes the release before the champion the champion again. Raises `LedgerError` where there is none."""
    at, number = ledger.aliases(name).get(CHAMPION), previous_champion(ledger.moves(name))
    if number is None:
        raise LedgerError(f"{name} had no other champion before; wanted `asr models promote {name}/NUMBER`")
    ledger.verified_folder(ledger.release(name, number))
    return ledger.move(name, CHAMPION, expected=at.number if at else None, to=number, by=by, why=because)
