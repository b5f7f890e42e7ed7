"""What starts the pipeline: harm, enough new labels, a schedule. Each cause fires once; each non-trigger has a reason.

Only harm among the alarms retrains: a shift alone is audio that changed, and the words may be as good as before.
Decisions are rows of the ledger with a unique cause, so monitors that were killed, or two at once, start one run.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr.aliases import CANARY, SHADOW
from asr.errors import LedgerError
from asr.ledger import Ledger, Pipelines, previous_champion
from asr.ledger.pipelines import FAILED, HARM, NEW_LABELS, SCHEDULE, WAITING, Run, Trigger
from asr.options import LEDGER
from ops.drift.reference import frozen
from ops.drift.watcher import alarms_since
from ops.pipeline.plan import Plan, load_plan
from ops.pipeline.run import has_ended, is_busy, starting

HOUR_S, DAY_S = 3600.0, 86_400.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 10.0, HOUR_S
"""Between two processes of which the first changed nothing in the ledger; each further pause is twice as long."""
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


@dataclass(slots=True)
class Pauses:
    """Keeps a process that ends at once from being started again in each round. Memory only: a new monitor tries."""

    _state: tuple[int, ...] = ()
    _pause_s: float = 0.0
    _next_s: float = 0.0

    def may_start(self, state: tuple[int, ...], now_s: float) -> bool:
        """Whether to start one now. ``state``: what the ledger says about the pipeline."""
        if state != self._state:
            self._state, self._pause_s = state, FIRST_PAUSE_S
        elif now_s < self._next_s and self._next_s - now_s <= self._pause_s:  # else the clock was set back
            return False
        else:
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._next_s = now_s + self._pause_s
        return True


class Triggers:
    """The watcher (`ops.monitor.Watcher`) of one pipeline's file. What it decided is in the ledger, not in memory.

    The file is read again when it was changed; while it is broken, nothing is started and each round says why.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._plan = file, load_plan(file)
        self._stamp, self._pauses = _stamp(file), Pauses()

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Decided]:
        """Decides, starts the pipeline where it is due, and yields what is new. Raises `AsrError`."""
        if name == self._plan.name:
            self._read_again()
        if name == self._plan.name:
            yield from map(Decided, watch(ledger, self._plan, self._file, now_s, self._pauses))

    def _read_again(self) -> None:
        stamp = _stamp(self._file)
        if stamp is None or stamp != self._stamp:
            self._plan = load_plan(self._file)
            self._stamp, self._pauses = stamp, Pauses()


def _stamp(file: Path) -> tuple[int, int] | None:
    """Of a file's content; None where it cannot be read."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


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


def watch(ledger: Ledger, plan: Plan, file: Path, now_s: float, pauses: Pauses) -> list[Trigger]:
    """Stores what is decided, and starts the pipeline as a process of its own where one fires or a run is left over."""
    rows = Pipelines(ledger)
    added = [row for row in map(rows.add_trigger, decide(ledger, plan, now_s)) if row is not None]
    if is_busy(Path(plan.work)):
        return added
    runs, started = rows.runs(plan.name), {run.trigger for run in rows.runs(plan.name)}
    fired = [each for each in rows.triggers(plan.name) if each.fires]
    first = next((each for each in fired if each.id not in started), None)
    if first is None and not (runs and _goes_on(ledger, runs[-1])):
        return added
    state = (len(fired), len(runs), len(rows.steps(plan.name)), ledger.version())
    if pauses.may_start(state, now_s):
        condition = first.evidence.get("nearest", "") if first else runs[-1].settings.get("condition", "")
        start(plan, file, ledger.place, str(condition), first.id if first else runs[-1].trigger)
    return added


def start(plan: Plan, file: Path, ledger: str, condition: str, trigger: int | None) -> None:
    """Starts `asr pipeline run FILE` as a process that lives on without this one, if none was started that still lives.

    Its output is appended to ``logs/trigger-N.log`` in the pipeline's folder; ``logs/run.log`` without a trigger.
    """
    more = ["--condition", condition] if condition else []
    more += ["--trigger", str(trigger)] if trigger is not None else []
    command = [sys.executable, "-m", "asr", "pipeline", "run", str(file), *more]
    logs = Path(plan.work) / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / (f"trigger-{trigger}.log" if trigger is not None else "run.log")
    with starting(Path(plan.work)) as lock, log.open("ab") as output:
        if lock is None:
            return
        nowhere = subprocess.DEVNULL
        process = subprocess.Popen(
            command,
            stdin=nowhere,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(lock,),
            env=os.environ | {LEDGER: ledger},  # not in the command, which all users see: a URL has a password
        )
    threading.Thread(target=process.wait, daemon=True).start()  # else it stays a zombie while this process lives


def _causes(ledger: Ledger, plan: Plan, now_s: float, runs: Sequence[Run]) -> Iterator[Trigger]:
    """What happened. ``fires``: it starts a run unless something stands in its way."""
    name, settings = plan.name, plan.triggers
    began_s = runs[-1].at_s if runs else 0.0
    condition = _condition(ledger, name)
    for alarm in ledger.alarms(name):
        nearest = alarm.evidence.get("nearest", condition if alarm.kind == HARM else "")
        evidence = {"alarm": alarm.id, "sentence": alarm.sentence, "nearest": nearest}
        cause = Trigger(now_s, name, alarm.kind, f"alarm {alarm.id}", True, "", alarm.sentence, evidence)
        if alarm.kind != HARM:
            yield _refusal(cause, NOT_HARM, f"{alarm.kind} alone starts nothing: no harm to the words is shown")
        elif not settings.harm:
            yield _refusal(cause, "off", "triggers.harm is off")
        elif alarm.at_s <= began_s:
            yield _refusal(cause, "covered", f"run {runs[-1].id} began after it")
        else:
            yield cause
    run = runs[-1].id if runs else 0
    new = sum(label.at_s > began_s for label in ledger.labels(name))
    if settings.labels and new >= settings.labels:
        why = f"{new} labels are new, {settings.labels} are wanted"
        yield Trigger(now_s, name, NEW_LABELS, f"labels since run {run}", True, "", why, {"nearest": condition})
    if settings.every_days and now_s - began_s >= settings.every_days * DAY_S:
        why = f"the last run began {settings.every_days:g} days ago or more" if runs else "no run yet"
        yield Trigger(now_s, name, SCHEDULE, f"schedule after run {run}", True, "", why, {"nearest": condition})


def _condition(ledger: Ledger, name: str) -> str:
    """What live speech is most like by the last alarm of the present reference that says so; "" without one.

    Labels and the date prove no shift; but where one stands, a training is for the speech that comes now.
    """
    try:
        reference = frozen(ledger, name)
    except LedgerError:  # a broken file must not stop what labels start
        reference = None
    alarms = alarms_since(ledger, name, reference) if reference else []
    return next((str(alarm.evidence["nearest"]) for alarm in reversed(alarms) if "nearest" in alarm.evidence), "")


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
