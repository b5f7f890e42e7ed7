"""Runs a pipeline: the steps in order, each once for the same inputs; all of its state is in the ledger.

One process at a time works in a pipeline's folder. The lock is inherited by the commands that it starts: after
`kill -9` of the pipeline the next one waits until the training that is left over has ended, and finds it finished.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asr.aliases import CHAMPION
from asr.errors import LedgerError
from asr.ledger import Ledger, Pipelines
from asr.ledger.pipelines import DONE, FAILED, REJECTED, STARTED, Run, StepRow
from ops.pipeline.plan import Plan, digest
from ops.pipeline.steps import ACTIONS, BY, Context, Result

LOCK, STARTING = "lock", "starting"
"""Files that are locked while a process works in the folder; and from the moment on in which one is started."""
Say = Callable[[str], None]
Actions = Mapping[str, Callable[[Context], Result]]


def run(
    ledger: Ledger,
    plan: Plan,
    now_s: float,
    say: Say,
    condition: str = "",
    trigger: int | None = None,
    actions: Actions = ACTIONS,
) -> StepRow:
    """Makes the steps that are left, until one does not end with `DONE`, and returns the last step's row.

    Continues the last run if that has not ended and has the same settings. A run whose release is there puts that one
    on trial to the end, whatever data, code and aliases have become meanwhile. Raises `LedgerError`.
    """
    with _alone(Path(plan.work), say):
        rows, this = Pipelines(ledger), _this_run(ledger, plan, now_s, condition, trigger)
        champion = ledger.release(plan.name, this.settings["champion"])
        at = Context(ledger, plan, condition, now_s, champion, _added(rows, this))
        last = None
        for step in plan.steps:
            last = _known(rows, at, step, this) or _make(rows, at, step, this, say, actions)
            say(f"{step}: {last.state}, {last.why}")
            if last.state != DONE:
                break
    assert last is not None
    return last


def has_ended(run: Run, steps: list[StepRow]) -> bool:
    """Whether nothing of the run is left to do."""
    mine = [row for row in steps if row.run == run.id]
    if not mine:
        return False
    return mine[-1].state == REJECTED or (mine[-1].state == DONE and mine[-1].step == run.settings["steps"][-1])


def _this_run(ledger: Ledger, plan: Plan, now_s: float, condition: str, trigger: int | None) -> Run:
    rows, hash_of_plan = Pipelines(ledger), digest(plan.as_dict(), condition)
    known = rows.runs(plan.name)
    for run in known:
        if trigger is not None and run.trigger == trigger:
            return run  # started twice for one trigger
    if known and known[-1].plan == hash_of_plan and not has_ended(known[-1], rows.steps(plan.name)):
        return known[-1]
    champion = ledger.aliases(plan.name).get(CHAMPION)
    if champion is None:
        raise LedgerError(f"{plan.name} has no champion to compare with; wanted one: asr models promote {plan.name}/1")
    settings: dict[str, Any] = plan.as_dict() | {"condition": condition, "champion": champion.number}
    return rows.add_run(Run(now_s, plan.name, hash_of_plan, trigger, BY, settings))


def _added(rows: Pipelines, this: Run) -> int | None:
    """The release that the run has added; None before."""
    done = [row for row in rows.steps(this.name) if (row.run, row.step, row.state) == (this.id, "add", DONE)]
    return done[-1].result.get("release") if done else None


def _known(rows: Pipelines, at: Context, step: str, this: Run) -> StepRow | None:
    """The row of this step with the same inputs, of this run or an earlier one, as a row of this run."""
    if at.added is not None:
        mine = [row for row in rows.steps(this.name) if (row.run, row.step, row.state) == (this.id, step, DONE)]
        if mine:
            return mine[-1]
    inputs = at.inputs(step)
    same = [row for row in rows.steps(at.plan.name) if row.step == step and row.inputs == inputs]
    ended = [row for row in same if row.state in (DONE, REJECTED)]
    if not ended or (step in ("train", "eval") and not at.folder(step).is_dir()):
        return None
    if ended[-1].run == this.id:
        return ended[-1]
    why = f"{ended[-1].why} (as in run {ended[-1].run})"
    return rows.add_step(StepRow(at.now_s, at.plan.name, this.id, step, inputs, ended[-1].state, why, ended[-1].result))


def _make(rows: Pipelines, at: Context, step: str, this: Run, say: Say, actions: Actions) -> StepRow:
    inputs = at.inputs(step)

    def record(result: Result) -> StepRow:
        return rows.add_step(
            StepRow(time.time(), at.plan.name, this.id, step, inputs, result.state, result.why, result.result)
        )

    waits = [row for row in rows.steps(at.plan.name) if row.run == this.id and row.step == step]
    if not waits:
        record(Result(STARTED, "it runs"))
    say(f"{step}: begins")
    try:
        result = actions[step](at)
    except LedgerError as error:
        result = Result(FAILED, str(error))
    if waits and (waits[-1].state, waits[-1].why) == (result.state, result.why):
        return waits[-1]  # nothing new to say
    return record(result)


@contextmanager
def _alone(work: Path, say: Say) -> Iterator[None]:
    work.mkdir(parents=True, exist_ok=True)
    with (work / LOCK).open("a") as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process works in {work}: waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_busy(work: Path) -> bool:
    """Whether a process works in the pipeline's folder at the moment, or was started to do so."""
    return any(_is_locked(work / name) for name in (LOCK, STARTING))


@contextmanager
def starting(work: Path) -> Iterator[int | None]:
    """The descriptor of a lock to be passed to the process that is started: it is held as long as that process lives.

    None where another one was started already. A process needs seconds until it holds `LOCK`; a monitor that looks
    meanwhile must not start one more at each look.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / STARTING).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock.fileno()


def _is_locked(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
