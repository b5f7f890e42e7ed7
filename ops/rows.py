"""Rows of the ledger about one model that a monitor has read. Each is read once: a round reads only newer ones.

This needs ids in the order of commits, which SQLite with its one writer at a time gives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from asr.ledger import Ledger
from asr.ledger.values import Label, Move, OutcomePart, PairPart
from ops.clock import steady
from ops.evidence import Errors, add_labels

Row = TypeVar("Row", Move, PairPart, OutcomePart, Label)


class Rows:
    """All rows up to now, or up to the rows ``until``: table -> last row, as ``read`` gave them once.

    Attributes:
        moves: All moves of the model.
        pairs: Pairs of the two releases that were asked for last.
        outcomes: Streams that ended.
        errors: Labels: stream -> release -> errors; the last label counts.
    """

    def __init__(self, name: str, until: Mapping[str, int] | None = None) -> None:
        self.name = name
        self.moves: list[Move] = []
        self.pairs: list[PairPart] = []
        self.outcomes: list[OutcomePart] = []
        self.errors: Errors = {}
        self._until = until
        self._label_id = 0
        self._trial: tuple[int, int] | None = None

    @property
    def read(self) -> dict[str, int]:
        """Table -> its last row that was read; 0: none."""
        return {
            "moves": _last(self.moves),
            "pairs": _last(self.pairs),
            "outcomes": _last(self.outcomes),
            "labels": self._label_id,
        }

    def read_moves(self, ledger: Ledger) -> None:
        """Reads the newer moves. Raises `LedgerError`."""
        self.moves += self._wanted("moves", ledger.moves(self.name, after_id=_last(self.moves)))

    def moves_by(self, now_s: float) -> list[Move]:
        """The moves with times that never fall, whatever the clocks said that wrote them (`ops.clock`)."""
        times = steady(np.array([move.at_s for move in self.moves]), now_s)
        return [replace(move, at_s=float(at_s)) for move, at_s in zip(self.moves, times, strict=True)]

    def read_pairs(self, ledger: Ledger, champion: int, challenger: int) -> None:
        """Reads the newer labels, and the newer pairs of these releases. Raises `LedgerError`."""
        if self._trial != (champion, challenger):
            self._trial, self.pairs = (champion, challenger), []
        newer = ledger.pair_parts(self.name, champion, challenger, after_id=_last(self.pairs))
        self.pairs += self._wanted("pairs", newer)
        labels = self._wanted("labels", ledger.labels(self.name, after_id=self._label_id))
        self._label_id = labels[-1].id if labels else self._label_id
        add_labels(self.errors, labels)

    def read_outcomes(self, ledger: Ledger) -> None:
        """Reads the newer outcomes. Raises `LedgerError`."""
        self.outcomes += self._wanted("outcomes", ledger.outcome_parts(self.name, after_id=_last(self.outcomes)))

    def _wanted(self, table: str, rows: list[Row]) -> list[Row]:
        return rows if self._until is None else [row for row in rows if row.id <= self._until[table]]


def _last(rows: Sequence[Move] | Sequence[PairPart] | Sequence[OutcomePart]) -> int:
    return rows[-1].id if rows else 0
