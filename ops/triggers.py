"""What starts the pipeline: harm, enough new labels, a schedule. Each cause fires once; each non-trigger has a reason.

Only harm among the alarms retrains: a shift alone is audio that changed, and the words may be as good as before.
Decisions are rows of the ledger with a unique cause, so monitors that were killed, or two at once, start one run.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr.aliases import CANARY, SHADOW
from asr.ledger import Ledger, Pipelines, previous_champion
from asr.ledger.pipelines import FAILED, HARM, NEW_LABELS, SCHEDULE, WAITING, Run, Trigger
from ops.pipeline.plan import Plan, load_plan
from ops.pipeline.run import has_ended, is_busy

HOUR_S, DAY_S = 3600.0, 86_400.0
NOT_HARM = "not harm"


@dataclass(frozen=True, slots=True)
class Decided:
    """What a round of the monitor reports: a trigger or a non-trigger, with why."""

    trigger: Trigger

    @property
    def name(self) -> str:
        """The model's name."""
        return self.trigger.name

    def __str__(self) -> str:
        start = "the pipeline starts" if self.trigger.fires else "no start of the pipeline"
        return f"{self.name}: {start}, {self.trigger.cause}: {self.trigger.why}"

    def as_dict(self) -> dict[str, Any]:
        """For a program: one JSON object."""
        return asdict(self.trigger)


class Triggers:
    """The watcher (`ops.monitor.Watcher`) of one pipeline's file. What it decided is in the ledger, not in memory."""

    def __init__(self, file: Path) -> None:
        self._file, self._plan = file, load_plan(file)

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Decided]:
        """Decides, starts the pipeline where it is due, and yields what is new. Raises `LedgerError`."""
        if name == self._plan.name:
            yield from map(Decided, watch(ledger, self._plan, self._file, now_s))


def decide(ledger: Ledger, plan: Plan, now_s: float) -> list[Trigger]:
    """The triggers and non-triggers that are new, as rows that are not stored yet."""
    rows = Pipelines(ledger)
    runs, triggers = rows.runs(plan.name), rows.triggers(plan.name)
    fired = {each.cause for each in triggers if each.fires}
    refused = {(each.cause, each.reason) for each in triggers if not each.fires}
    decided = []
    for cause in _causes(ledger, plan, now_s, runs):
        if cause.cause in fired:
            continue
        reason, why = ("", "") if not cause.fires else _obstacle(ledger, plan, now_s, runs, cause)
        new = cause if not why else _refusal(cause, reason, why)
        if new.fires or (new.cause, new.reason) not in refused:
            decided.append(new)
        if new.fires:
            break  # one run for whatever else happened by now
    return decided


def watch(ledger: Ledger, plan: Plan, file: Path, now_s: float) -> list[Trigger]:
    """Stores what is decided, and starts the pipeline as a process of its own where one fires or a run is left over."""
    rows = Pipelines(ledger)
    added = [row for row in map(rows.add_trigger, decide(ledger, plan, now_s)) if row is not None]
    if is_busy(Path(plan.work)):
        return added
    runs, started = rows.runs(plan.name), {run.trigger for run in rows.runs(plan.name)}
    open_triggers = [each for each in rows.triggers(plan.name) if each.fires and each.id not in started]
    if open_triggers:
        start(file, ledger.where, str(open_triggers[0].evidence.get("nearest", "")), open_triggers[0].id)
    elif runs and _goes_on(ledger, runs[-1]):
        start(file, ledger.where, str(runs[-1].settings.get("condition", "")), runs[-1].trigger)
    return added


def start(file: Path, ledger: str, condition: str, trigger: int | None) -> None:
    """Starts `asr pipeline run FILE` as a process that lives on without this one."""
    more = ["--condition", condition] if condition else []
    more += ["--trigger", str(trigger)] if trigger is not None else []
    command = [sys.executable, "-m", "asr", "pipeline", "run", str(file), "--ledger", ledger, *more]
    nowhere = subprocess.DEVNULL
    subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)


def _causes(ledger: Ledger, plan: Plan, now_s: float, runs: Sequence[Run]) -> Iterator[Trigger]:
    """What happened. ``fires``: it starts a run unless something stands in its way."""
    name, settings = plan.name, plan.triggers
    began_s = runs[-1].at_s if runs else 0.0
    for alarm in ledger.alarms(name):
        evidence = {"alarm": alarm.id, "sentence": alarm.sentence, "nearest": alarm.evidence.get("nearest", "")}
        cause = Trigger(now_s, name, alarm.kind, f"alarm {alarm.id}", True, "", alarm.sentence, evidence)
        if alarm.kind != HARM:
            yield _refusal(cause, NOT_HARM, f"{alarm.kind} alone starts nothing: no harm to the words is shown")
        elif not settings.harm:
            yield _refusal(cause, "off", "triggers.harm is off")
        elif alarm.at_s <= began_s:
            yield _refusal(cause, "covered", f"run {runs[-1].id} began after it")
        else:
            yield cause
    new = sum(label.at_s > began_s for label in ledger.labels(name))
    if settings.labels and new >= settings.labels:
        why = f"{new} labels are new, {settings.labels} are wanted"
        yield Trigger(now_s, name, NEW_LABELS, f"labels since run {runs[-1].id if runs else 0}", True, "", why)
    if settings.every_days and now_s - began_s >= settings.every_days * DAY_S:
        why = f"the last run began {settings.every_days:g} days ago or more" if runs else "no run yet"
        yield Trigger(now_s, name, SCHEDULE, f"schedule after run {runs[-1].id if runs else 0}", True, "", why)


def _obstacle(ledger: Ledger, plan: Plan, now_s: float, runs: Sequence[Run], cause: Trigger) -> tuple[str, str]:
    """Why the cause starts nothing now: the kind of reason and the sentence; both "" where it starts a run."""
    steps = Pipelines(ledger).steps(plan.name)
    if runs and not has_ended(runs[-1], steps) and not _failed(runs[-1], ledger):
        return "running", f"run {runs[-1].id} has not ended"
    aliases = ledger.aliases(plan.name)
    busy = aliases.get(CANARY) or (aliases.get(SHADOW) if not _is_old_champion(ledger, plan.name) else None)
    if busy:
        return "on trial", f"{busy.ref} is on trial"
    left_s = plan.triggers.cooldown_hours * HOUR_S - (now_s - runs[-1].at_s) if runs else 0.0
    if left_s > 0:
        return "cooldown", f"cooldown: run {runs[-1].id} began less than {plan.triggers.cooldown_hours:g} hours ago"
    return "", ""


def _refusal(cause: Trigger, reason: str, why: str) -> Trigger:
    return Trigger(cause.at_s, cause.name, cause.kind, cause.cause, False, reason, why, cause.evidence)


def _is_old_champion(ledger: Ledger, name: str) -> bool:
    """Whether the shadow is the champion before, which only watches the present one."""
    shadow = ledger.aliases(name).get(SHADOW)
    return shadow is not None and shadow.number == previous_champion(ledger.moves(name))


def _failed(run: Run, ledger: Ledger) -> bool:
    mine = [row for row in Pipelines(ledger).steps(run.name) if row.run == run.id]
    return bool(mine) and mine[-1].state == FAILED


def _goes_on(ledger: Ledger, run: Run) -> bool:
    """Whether a run that nobody works on has something to do: it was killed, or an alias has moved since it waits."""
    steps = Pipelines(ledger).steps(run.name)
    mine = [row for row in steps if row.run == run.id]
    if has_ended(run, steps) or _failed(run, ledger):
        return False
    waits = bool(mine) and mine[-1].state == WAITING
    return not waits or ledger.version() > mine[-1].result.get("version", 0)
