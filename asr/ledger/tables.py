"""The ledger's tables. Rows are added, never changed and never removed."""

import json
import math
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

FORMAT = 2
"""The version of these tables. A ledger of a newer one is refused: an older program would misread it. One of an older
one gets the tables that it lacks. 2: vitals, alarms, pipelines, draws of labels."""

METADATA = MetaData()

Whole = BigInteger().with_variant(Integer(), "sqlite")
"""Whole numbers of 64 bits. SQLite's have them under the name that makes a key count by itself."""


class Document(TypeDecorator[Any]):
    """A value of JSON, as the text that Python writes. PostgreSQL's own type refuses what a figure may be: NaN."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: object) -> str:
        """The value as JSON text, as the column keeps it."""
        return json.dumps(value)

    def process_result_value(self, value: Any, dialect: object) -> Any:
        """The value that the text of the column stands for."""
        return json.loads(value)


class Finite(TypeDecorator[float]):
    """A finite number. SQLite would keep NaN as no value, PostgreSQL as a number that makes each sum NaN."""

    impl = Float
    cache_ok = True

    def __init__(self, column: str) -> None:
        super().__init__()
        self.column = column

    def process_bind_param(self, value: float | None, dialect: object) -> float | None:
        """The number itself. Raises `ValueError` for one that is not finite."""
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{self.column} is {value}; wanted a finite number")
        return value


def _finite(name: str, nullable: bool = False) -> Column[Any]:
    return Column(name, Finite(name), nullable=nullable)


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _rows(name: str, *columns: Column[Any] | Index) -> Table:
    """A table of rows that are added at a time, each about one model."""
    key, at_s = Column("id", Whole, primary_key=True), _finite("at_s")
    return Table(name, METADATA, key, at_s, Column("name", String, nullable=False, index=True), *columns)


FORMATS = Table("ledger_format", METADATA, Column("version", Whole, primary_key=True))

RELEASES = Table(
    "releases",
    METADATA,
    Column("id", Whole, primary_key=True),
    _required("name", String),
    _required("number", Whole),
    _required("sha256", String(64)),
    _finite("added_at_s"),
    _required("by", String),
    _required("why", String),
    UniqueConstraint("name", "number"),
    UniqueConstraint("name", "sha256"),
)

MOVES = Table(
    "moves",
    METADATA,
    Column("id", Whole, primary_key=True, autoincrement=False),
    _finite("at_s"),
    _required("name", String),
    _required("alias", String),
    Column("from_number", Whole),
    Column("to_number", Whole),
    _required("by", String),
    _required("why", String),
    _required("evidence", Document),
    _required("options", Document),
    Index("moves_by_alias", "name", "alias", "id"),
)

GATES = _rows(
    "gates",
    _required("release", Whole),
    Column("champion", Whole),
    _required("has_passed", Boolean),
    _required("by", String),
    _required("evidence", Document),
)

PAIRS = _rows(
    "pairs",
    _required("champion", Whole),
    _required("challenger", Whole),
    _required("stream_id", String),
    _required("client", String),
    _required("language", String),
    _finite("audio_s"),
    _required("words", Whole),
    _required("challenger_words", Whole),
    _required("distance", Whole),
    _finite("draw_probability"),
    _required("is_drawn", Boolean),
)

OUTCOMES = _rows(
    "outcomes",
    _required("release", Whole),
    _required("arm", String),
    _required("stream_id", String),
    _required("client", String),
    _finite("audio_s"),
    _required("words", Whole),
    _finite("delay_p95_s", nullable=True),
    _required("cause", String),
)

LABELS = _rows(
    "labels",
    _required("stream_id", String),
    _required("release", Whole),
    _required("words", Whole),
    _required("errors", Whole),
    _required("by", String),
)

VITALS = Table(
    "vitals",
    METADATA,
    Column("id", Whole, primary_key=True),
    _finite("at_s"),
    _required("name", String),
    _required("release", Whole),
    _required("stream_id", String),
    _required("client", String),
    _required("utterance", Whole),
    _required("language", String),
    _required("codec", String),
    _finite("audio_s"),
    _required("words", Whole),
    _required("version", Whole),
    _required("numbers", LargeBinary),
    Index("vitals_by_name", "name", "id"),
)

ALARMS = _rows(
    "alarms",
    _required("kind", String),
    _required("signal", String),
    _required("sentence", String),
    _required("evidence", Document),
)

ALARM_CAUSES = Table(
    "alarm_causes",
    METADATA,
    Column("name", String, primary_key=True),
    Column("cause", String, primary_key=True),
    _required("alarm", Whole),
)
"""What alarms were raised for. A table of its own, so that ledgers that have alarms get it too."""

TRIGGERS = _rows(
    "triggers",
    _required("kind", String),
    _required("cause", String),
    _required("fires", Boolean),
    _required("reason", String),
    _required("why", String),
    _required("evidence", Document),
    Index("triggers_once", "name", "cause", "fires", "reason", unique=True),
)

PIPELINE_RUNS = _rows(
    "pipeline_runs",
    _required("plan", String),
    Column("trigger", Whole),
    _required("by", String),
    _required("settings", Document),
)

PIPELINE_STEPS = _rows(
    "pipeline_steps",
    Column("run", Whole, nullable=False, index=True),
    _required("step", String),
    _required("inputs", String),
    _required("state", String),
    _required("why", String),
    _required("result", Document),
)

DRAWS = _rows(
    "draws",
    _required("release", Whole),
    _required("stream_id", String),
    _required("utterance", Whole),
    _required("client", String),
    _required("language", String),
    _required("condition", String),
    _required("words", Whole),
    _finite("expected_errors"),
    _finite("most_errors"),
    _finite("draw_probability"),
    _required("is_drawn", Boolean),
    _finite("scale"),
    _required("row", Whole),
    Index("draws_once", "name", "stream_id", "utterance", unique=True),
)

CHOICES = _rows(
    "choices",
    _required("stream_id", String),
    _required("utterance", Whole),
    _required("first", Whole),
    _required("second", Whole),
    _required("choice", String),
    _required("by", String),
)
