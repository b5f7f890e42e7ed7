"""Rows of the ledger about pipelines: what triggered one or did not, its runs, and what each step of a run came to.

Rows are added, never changed: a run's state is that of its last step.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Table, select

from asr.errors import RowRefused
from asr.ledger.ledger import Ledger
from asr.ledger.tables import PIPELINE_RUNS, PIPELINE_STEPS, TRIGGERS

STEPS = ("audit", "train", "eval", "gate", "add", "shadow", "canary", "promote")
"""The steps of a pipeline, in order."""
DONE, REJECTED, WAITING, FAILED, STARTED = STATES = ("done", "rejected", "waiting", "failed", "started")
"""``done``: the next step follows. ``rejected``: the run has ended, since the model must not go on. ``waiting``: live
streams decide. ``failed``: a fault; the step is tried again. ``started``: it runs, or was killed."""
HARM, NEW_LABELS, SCHEDULE, HAND = ("harm", "labels", "schedule", "hand")
"""What can trigger a run."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One look at one cause: it ``fires`` a run, or does not, and ``why``.

    ``cause`` names what happened, such as "alarm 17"; it fires once. ``reason`` is the kind of a refusal ("cooldown"),
    "" where it fires: each refusal of a cause is one row. ``kind``: `HARM`, `NEW_LABELS`, `SCHEDULE`, `HAND`, or the
    kind of an alarm that triggers nothing.
    """

    at_s: float
    name: str
    kind: str
    cause: str
    fires: bool
    reason: str
    why: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a pipeline. ``plan`` is the hash of its ``settings``; ``trigger`` the trigger's row, None: by hand."""

    at_s: float
    name: str
    plan: str
    trigger: int | None
    by: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True, slots=True)
class StepRow:
    """What one step of the run ``run`` came to. ``inputs`` is the hash of all that it depends on."""

    at_s: float
    name: str
    run: int
    step: str
    inputs: str
    state: str
    why: str
    result: Mapping[str, Any] = field(default_factory=dict)
    id: int = 0


Row = TypeVar("Row", Trigger, Run, StepRow)


class Pipelines:
    """The pipelines' rows in a ledger. Every method raises `LedgerError` if the database cannot be used."""

    def __init__(self, ledger: Ledger) -> None:
        self._database = ledger.database

    def add_trigger(self, trigger: Trigger) -> Trigger | None:
        """Adds it with its number; None if this cause has this row already, also by another process."""
        try:
            return self._add(TRIGGERS, trigger)
        except RowRefused:
            key = (trigger.cause, trigger.fires, trigger.reason)
            if any((row.cause, row.fires, row.reason) == key for row in self.triggers(trigger.name)):
                return None
            raise

    def add_run(self, run: Run) -> Run:
        """Adds it with its number."""
        return self._add(PIPELINE_RUNS, run)

    def add_step(self, row: StepRow) -> StepRow:
        """Adds it with its number."""
        return self._add(PIPELINE_STEPS, row)

    def triggers(self, name: str, after_id: int = 0) -> list[Trigger]:
        """The triggers and non-triggers of a model, in order."""
        return self._rows(TRIGGERS, Trigger, name, after_id)

    def runs(self, name: str, after_id: int = 0) -> list[Run]:
        """The runs of a model's pipeline, in order."""
        return self._rows(PIPELINE_RUNS, Run, name, after_id)

    def steps(self, name: str, after_id: int = 0) -> list[StepRow]:
        """The steps of all runs of a model's pipeline, in order."""
        return self._rows(PIPELINE_STEPS, StepRow, name, after_id)

    def _add(self, table: Table, row: Row) -> Row:
        values = {key: value for key, value in asdict(row).items() if key != "id"}
        with self._database.writing() as connection:
            row_id = connection.execute(table.insert().values(values).returning(table.c.id)).scalar_one()
        return replace(row, id=row_id)

    def _rows(self, table: Table, cls: type[Row], name: str, after_id: int) -> list[Row]:
        query = select(table).where(table.c.name == name, table.c.id > after_id).order_by(table.c.id)
        with self._database.reading() as connection:
            return [cls(**row._mapping) for row in connection.execute(query)]
