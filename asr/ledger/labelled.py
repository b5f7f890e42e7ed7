"""Sums over labels, made by the database: a page needs them of a hundred thousand streams within milliseconds."""

import math
from dataclasses import dataclass

from scipy import stats
from sqlalchemy import String, func, select

from asr.ledger.ledger import Ledger
from asr.ledger.tables import DRAWS, LABELS, PAIRS

LEAST_STREAMS = 20
"""Below it no interval is given."""


@dataclass(frozen=True, slots=True)
class Wer:
    """Word error rate of labelled streams in per cent, with its 95 % interval; None without enough of them.

    A ratio of two sums, with the variance of its linearisation (Cochran 1977, "Sampling techniques", 6.4) and Student's
    quantile. ``deviation``: its standard error, in points.
    """

    streams: int
    words: int
    wer: float | None = None
    low: float | None = None
    high: float | None = None
    deviation: float | None = None


def labelled_wer(ledger: Ledger, name: str, release: int, from_s: float, until_s: float = math.inf) -> Wer:
    """The WER of one release in labels of this time.

    Labels of streams that were drawn because two releases differ in them are left out, and those of single utterances
    (STREAM/UTTERANCE), which were drawn by their uncertainty: both are harder than the others. Raises `LedgerError`.
    """
    drawn = select(PAIRS.c.stream_id).where(PAIRS.c.name == name, PAIRS.c.is_drawn)
    errors, words = LABELS.c.errors, LABELS.c.words
    products = (errors, words, errors * errors, errors * words, words * words)
    query = select(func.count(), *map(func.sum, products)).where(
        LABELS.c.name == name,
        LABELS.c.release == release,
        LABELS.c.at_s >= from_s,
        LABELS.c.at_s < min(until_s, 1e12),
        LABELS.c.stream_id.not_in(drawn),
        LABELS.c.stream_id.not_like("%/%"),
    )
    with ledger.database.reading() as connection:
        count, *sums = connection.execute(query).one()
    e, w, ee, ew, ww = (float(value or 0) for value in sums)
    if count < LEAST_STREAMS or not w:
        return Wer(count, int(w))
    rate = e / w
    spread = max(0.0, ee - 2 * rate * ew + rate * rate * ww) * count / (count - 1)
    deviation = math.sqrt(spread) / w
    half = float(stats.t.ppf(0.975, count - 1)) * deviation
    return Wer(count, int(w), 100 * rate, 100 * max(0.0, rate - half), 100 * (rate + half), 100 * deviation)


def label_queue(ledger: Ledger, name: str) -> tuple[int, int]:
    """Streams and utterances that were drawn for labels and have none, and those with labels. Raises `LedgerError`."""
    labelled = select(LABELS.c.stream_id).where(LABELS.c.name == name)
    waiting = select(func.count(func.distinct(PAIRS.c.stream_id))).where(
        PAIRS.c.name == name, PAIRS.c.is_drawn, PAIRS.c.stream_id.not_in(labelled)
    )
    key = DRAWS.c.stream_id + "/" + DRAWS.c.utterance.cast(String)
    alone = select(func.count()).where(DRAWS.c.name == name, DRAWS.c.is_drawn, key.not_in(labelled))
    done = select(func.count(func.distinct(LABELS.c.stream_id))).where(LABELS.c.name == name)
    with ledger.database.reading() as connection:
        waits = sum(connection.execute(query).scalar_one() for query in (waiting, alone))
        return waits, connection.execute(done).scalar_one()
