"""Rows of the ledger about labels to come: which utterances were drawn, and which of two texts people preferred."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import select

from asr.errors import LedgerError
from asr.ledger.ledger import AT_ONCE, Ledger
from asr.ledger.tables import CHOICES, DRAWS, PAIRS

FIRST, SECOND, BOTH, NEITHER = CHOICE_KINDS = ("first", "second", "both", "neither")
"""Which of two texts is right."""


@dataclass(frozen=True, slots=True)
class Draw:
    """An utterance that could be labelled, drawn or not; all of it was fixed before anybody listened.

    Attributes:
        utterance: Counts from 0 in its stream.
        condition: Of the evaluation, which the utterance is most like; "": none.
        words: Normalised words of the release's text.
        expected_errors: By `eval.estimate`; at most ``most_errors``, with which the utterance counts at most.
        draw_probability: min(1, most_errors / scale).
        is_drawn: The result.
        row: Number of its vitals.
    """

    at_s: float
    name: str
    release: int
    stream_id: str
    utterance: int
    client: str
    language: str
    condition: str
    words: int
    expected_errors: float
    most_errors: float
    draw_probability: float
    is_drawn: bool
    scale: float
    row: int
    id: int = 0

    @property
    def label_id(self) -> str:
        """The ``stream_id`` of its labels: STREAM/UTTERANCE."""
        return label_id(self.stream_id, self.utterance)


@dataclass(frozen=True, slots=True)
class Choice:
    """A person compared two releases' texts of an utterance without knowing which was whose.

    ``first`` and ``second`` are the releases in the random order in which the texts were shown; ``choice`` is one of
    `CHOICE_KINDS`.
    """

    at_s: float
    name: str
    stream_id: str
    utterance: int
    first: int
    second: int
    choice: str
    by: str
    id: int = 0


def label_id(stream_id: str, utterance: int) -> str:
    """Names one utterance where labels name streams: STREAM/UTTERANCE."""
    return f"{stream_id}/{utterance}"


class Draws:
    """These rows of a ledger. Every method raises `LedgerError` if the database cannot be used."""

    def __init__(self, ledger: Ledger) -> None:
        self._database = ledger.database

    def add(self, draws: Sequence[Draw]) -> int:
        """Adds the utterances that are not there yet, and returns how many: each is drawn once, by whoever is first."""
        return sum(self._add(draws[at : at + AT_ONCE]) for at in range(0, len(draws), AT_ONCE))

    def of_model(self, name: str, after_id: int = 0) -> list[Draw]:
        """The utterances of a model, drawn or not, in the order in which they were added."""
        query = select(DRAWS).where(DRAWS.c.name == name, DRAWS.c.id > after_id).order_by(DRAWS.c.id)
        with self._database.reading() as connection:
            return [Draw(**row._mapping) for row in connection.execute(query)]

    def drawn_words(self, name: str, stream_id: str) -> int | None:
        """Words of the champion's normalised text of a stream that two releases heard and that was drawn for labels;
        None for any other stream."""
        mine = (PAIRS.c.name == name, PAIRS.c.stream_id == stream_id, PAIRS.c.is_drawn)
        query = select(PAIRS.c.words).where(*mine).order_by(PAIRS.c.id.desc()).limit(1)
        with self._database.reading() as connection:
            words: int | None = connection.execute(query).scalar_one_or_none()
        return words

    def drawn_pairs(self, name: str, after_id: int = 0) -> list[tuple[str, int]]:
        """Streams that two releases heard and that were drawn for labels, each with its row, after the row."""
        query = select(PAIRS.c.stream_id, PAIRS.c.id).where(PAIRS.c.name == name, PAIRS.c.is_drawn)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(PAIRS.c.id > after_id).order_by(PAIRS.c.id))
            return [(str(row.stream_id), int(row.id)) for row in rows]

    def add_choice(self, choice: Choice) -> None:
        """Adds it. Raises `LedgerError` for an unknown kind."""
        if choice.choice not in CHOICE_KINDS:
            raise LedgerError(f"{choice.choice!r} is no choice; wanted {', '.join(CHOICE_KINDS)}")
        with self._database.writing() as connection:
            connection.execute(CHOICES.insert(), [_values(choice)])

    def choices(self, name: str) -> list[Choice]:
        """What people preferred, in the order in which it was added."""
        query = select(CHOICES).where(CHOICES.c.name == name).order_by(CHOICES.c.id)
        with self._database.reading() as connection:
            return [Choice(**row._mapping) for row in connection.execute(query)]

    def _add(self, draws: Sequence[Draw]) -> int:
        streams = {draw.stream_id for draw in draws}
        query = select(DRAWS.c.name, DRAWS.c.stream_id, DRAWS.c.utterance).where(DRAWS.c.stream_id.in_(streams))
        with self._database.writing() as connection:
            known = {tuple(row) for row in connection.execute(query)}
            new = {(draw.name, draw.stream_id, draw.utterance): draw for draw in draws}
            rows = [_values(draw) for key, draw in new.items() if key not in known]
            if rows:
                connection.execute(DRAWS.insert(), rows)
        return len(rows)


def _values(row: Draw | Choice) -> dict[str, Any]:
    return {key: value for key, value in asdict(row).items() if key != "id"}
