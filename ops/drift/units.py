"""Units: rows of the ledger's vitals that count.

A unit is a client's first utterance with speech of a day, or the first of a stream whose client is unknown: what one
client says later depends on it.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

import numpy as np

from asr.ledger import Ledger, VitalsRow
from asr.vitals import INDEX
from ops.drift.detector import DAY_S, signals_of

PAGE_ROWS = 20_000
PART_S = 21_600.0
MOST_SEEN = 200_000
"""Clients and streams that are remembered."""
_SPEECH = INDEX["speech_share"]


class Units:
    """Finds the rows that are units, in their order. ``seen``: hashes of the clients' days and the streams so far."""

    def __init__(self, seen: Iterable[int] = ()) -> None:
        self.seen = dict.fromkeys(seen)

    def is_one(self, row: VitalsRow) -> bool:
        """Whether the row is the first with speech of its client's day, or of its stream."""
        if not row.numbers[_SPEECH] > 0:
            return False
        key = f"{row.client} {int(row.at_s // DAY_S)}" if row.client else f" {row.stream_id}"
        number = int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
        if number in self.seen:
            return False
        self.seen[number] = None
        while len(self.seen) > MOST_SEEN:
            del self.seen[next(iter(self.seen))]
        return True


def stratum(row: VitalsRow) -> str:
    """What is known before any audio: how it is sent, and the part of the day (UTC)."""
    return f"{row.codec} {int(row.at_s % DAY_S // PART_S)}"


def values_of(rows: Sequence[VitalsRow]) -> np.ndarray:
    """The watched numbers ``(n, len(SIGNALS))`` of at least one row."""
    return signals_of(np.array([row.numbers for row in rows]))


def rows_after(ledger: Ledger, name: str, after_id: int) -> Iterator[VitalsRow]:
    """All rows after one, page by page."""
    while page := ledger.vitals(name, after_id, PAGE_ROWS):
        yield from page
        after_id = page[-1].id
