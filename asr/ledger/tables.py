"""The ledger's tables. Rows are added, never changed and never removed."""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

FORMAT = 2
"""The version of these tables. A ledger of a newer one is refused: an older program would misread it. One of an older
one gets the tables that it lacks. 2: vitals, alarms, pipelines."""

METADATA = MetaData()


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _rows(name: str, *columns: Column[Any] | Index) -> Table:
    """A table of rows that are added at a time, each about one model."""
    key, at_s = Column("id", Integer, primary_key=True), _required("at_s", Float)
    return Table(name, METADATA, key, at_s, Column("name", String, nullable=False, index=True), *columns)


FORMATS = Table("ledger_format", METADATA, Column("version", Integer, primary_key=True))

RELEASES = Table(
    "releases",
    METADATA,
    Column("id", Integer, primary_key=True),
    _required("name", String),
    _required("number", Integer),
    _required("sha256", String(64)),
    _required("added_at_s", Float),
    _required("by", String),
    _required("why", String),
    UniqueConstraint("name", "number"),
    UniqueConstraint("name", "sha256"),
)

MOVES = Table(
    "moves",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    _required("at_s", Float),
    _required("name", String),
    _required("alias", String),
    Column("from_number", Integer),
    Column("to_number", Integer),
    _required("by", String),
    _required("why", String),
    _required("evidence", JSON),
    _required("options", JSON),
    Index("moves_by_alias", "name", "alias", "id"),
)

GATES = _rows(
    "gates",
    _required("release", Integer),
    Column("champion", Integer),
    _required("has_passed", Boolean),
    _required("by", String),
    _required("evidence", JSON),
)

PAIRS = _rows(
    "pairs",
    _required("champion", Integer),
    _required("challenger", Integer),
    _required("stream_id", String),
    _required("client", String),
    _required("language", String),
    _required("audio_s", Float),
    _required("words", Integer),
    _required("challenger_words", Integer),
    _required("distance", Integer),
    _required("draw_probability", Float),
    _required("is_drawn", Boolean),
)

OUTCOMES = _rows(
    "outcomes",
    _required("release", Integer),
    _required("arm", String),
    _required("stream_id", String),
    _required("client", String),
    _required("audio_s", Float),
    _required("words", Integer),
    Column("delay_p95_s", Float),
    _required("cause", String),
)

LABELS = _rows(
    "labels",
    _required("stream_id", String),
    _required("release", Integer),
    _required("words", Integer),
    _required("errors", Integer),
    _required("by", String),
)

VITALS = Table(
    "vitals",
    METADATA,
    Column("id", Integer, primary_key=True),
    _required("at_s", Float),
    _required("name", String),
    _required("release", Integer),
    _required("stream_id", String),
    _required("client", String),
    _required("utterance", Integer),
    _required("language", String),
    _required("codec", String),
    _required("audio_s", Float),
    _required("words", Integer),
    _required("version", Integer),
    _required("numbers", LargeBinary),
    Index("vitals_by_name", "name", "id"),
)

ALARMS = _rows(
    "alarms",
    _required("kind", String),
    _required("signal", String),
    _required("sentence", String),
    _required("evidence", JSON),
)

TRIGGERS = _rows(
    "triggers",
    _required("kind", String),
    _required("cause", String),
    _required("fires", Boolean),
    _required("reason", String),
    _required("why", String),
    _required("evidence", JSON),
    Index("triggers_once", "name", "cause", "fires", "reason", unique=True),
)

PIPELINE_RUNS = _rows(
    "pipeline_runs",
    _required("plan", String),
    Column("trigger", Integer),
    _required("by", String),
    _required("settings", JSON),
)

PIPELINE_STEPS = _rows(
    "pipeline_steps",
    Column("run", Integer, nullable=False, index=True),
    _required("step", String),
    _required("inputs", String),
    _required("state", String),
    _required("why", String),
    _required("result", JSON),
)
