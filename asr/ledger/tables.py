"""The ledger's tables. Rows are added, never changed and never removed."""

from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, MetaData, String, Table, UniqueConstraint

FORMAT = 1
"""The version of these tables. A ledger of a newer one is refused: an older program would misread it."""

METADATA = MetaData()

FORMATS = Table("ledger_format", METADATA, Column("version", Integer, primary_key=True))

RELEASES = Table(
    "releases",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("number", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("added_at_s", Float, nullable=False),
    Column("by", String, nullable=False),
    Column("why", String, nullable=False),
    UniqueConstraint("name", "number"),
    UniqueConstraint("name", "sha256"),
)

MOVES = Table(
    "moves",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("at_s", Float, nullable=False),
    Column("name", String, nullable=False),
    Column("alias", String, nullable=False),
    Column("from_number", Integer),
    Column("to_number", Integer),
    Column("by", String, nullable=False),
    Column("why", String, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("options", JSON, nullable=False),
    Index("moves_by_alias", "name", "alias", "id"),
)

GATES = Table(
    "gates",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at_s", Float, nullable=False),
    Column("name", String, nullable=False, index=True),
    Column("release", Integer, nullable=False),
    Column("champion", Integer),
    Column("has_passed", Boolean, nullable=False),
    Column("by", String, nullable=False),
    Column("evidence", JSON, nullable=False),
)

PAIRS = Table(
    "pairs",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at_s", Float, nullable=False),
    Column("name", String, nullable=False, index=True),
    Column("champion", Integer, nullable=False),
    Column("challenger", Integer, nullable=False),
    Column("stream_id", String, nullable=False),
    Column("client", String, nullable=False),
    Column("language", String, nullable=False),
    Column("audio_s", Float, nullable=False),
    Column("words", Integer, nullable=False),
    Column("challenger_words", Integer, nullable=False),
    Column("distance", Integer, nullable=False),
    Column("draw_probability", Float, nullable=False),
    Column("is_drawn", Boolean, nullable=False),
)

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at_s", Float, nullable=False),
    Column("name", String, nullable=False, index=True),
    Column("release", Integer, nullable=False),
    Column("arm", String, nullable=False),
    Column("stream_id", String, nullable=False),
    Column("client", String, nullable=False),
    Column("audio_s", Float, nullable=False),
    Column("words", Integer, nullable=False),
    Column("delay_p95_s", Float),
    Column("cause", String, nullable=False),
)

LABELS = Table(
    "labels",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("stream_id", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("name", String, nullable=False, index=True),
    Column("release", Integer, nullable=False),
    Column("words", Integer, nullable=False),
    Column("errors", Integer, nullable=False),
    Column("by", String, nullable=False),
)
