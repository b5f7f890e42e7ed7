"""The ledger of releases: which model folders exist by number, which of them is live, and who moved what, when and why.

    values      what the ledger holds: releases, moves of aliases, and the numbers of watched streams
    folders     a model's folder -> a complete copy that never changes, named by its hash
    tables      the tables, and the format's version
    database    connections, transactions, and each failure as one sentence
    history     what follows from the moves: the release to go back to, the evidence that a promotion rests on
    draws       utterances that are drawn for labels, and comparisons of two texts
    pipelines   triggers and non-triggers, runs of pipelines and their steps
    copying     a ledger into another one
    ledger      the ledger itself; `resolve` reads NAME, NAME@champion and NAME/7

It is imported only where a ledger is used: a server without one never loads SQLAlchemy.
"""

from asr.aliases import ALIASES, CANARY, CHAMPION, SHADOW, SHARE, WEIGHT
from asr.errors import LedgerError, MoveConflict
from asr.ledger.draws import CHOICE_KINDS, Choice, Draw, Draws, label_id
from asr.ledger.history import evidence_for, previous_champion
from asr.ledger.ledger import Ledger, open_ledger, resolve
from asr.ledger.pipelines import Pipelines
from asr.ledger.values import ALARM_KINDS, Alarm, Gate, Label, Move, Outcome, Pair, Release, VitalsRow

__all__ = [
    "ALARM_KINDS",
    "ALIASES",
    "CANARY",
    "CHAMPION",
    "CHOICE_KINDS",
    "SHADOW",
    "SHARE",
    "WEIGHT",
    "Alarm",
    "Choice",
    "Draw",
    "Draws",
    "Gate",
    "Label",
    "Ledger",
    "LedgerError",
    "Move",
    "MoveConflict",
    "Outcome",
    "Pair",
    "Pipelines",
    "Release",
    "VitalsRow",
    "evidence_for",
    "label_id",
    "open_ledger",
    "previous_champion",
    "resolve",
]
