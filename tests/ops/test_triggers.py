"""What starts a pipeline, what does not, and that both say why."""

import time
from pathlib import Path

import pytest

from asr.aliases import SHADOW
from asr.ledger import Alarm, Label, Ledger, Pipelines
from asr.ledger.pipelines import DONE, REJECTED, Run, StepRow, Trigger
from ops import triggers
from ops.pipeline.plan import Plan, load_plan
from ops.triggers import decide, watch
from tests.ops.pipelines import written
from tests.ops.trials import NAME, NEW, OLD, ledger_with_two

HOUR_S = 3600.0


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_two(tmp_path)


def plan_of(folder: Path, more: str = "") -> Plan:
    return load_plan(written(folder, more))


def alarm(ledger: Ledger, kind: str, at_s: float) -> Alarm:
    evidence = {"nearest": "telephone+mulaw"}
    return ledger.add_alarm(Alarm(at_s, NAME, kind, "bandwidth", "the band is narrower", evidence))


def decided(ledger: Ledger, plan: Plan, now_s: float) -> list[tuple[str, bool, str]]:
    """What is decided now, as stored."""
    rows = [Pipelines(ledger).add_trigger(each) for each in decide(ledger, plan, now_s)]
    return [(row.cause, row.fires, row.reason) for row in rows if row]


def ran(ledger: Ledger, at_s: float, state: str = REJECTED) -> Run:
    """A run that has ended."""
    run = Pipelines(ledger).add_run(Run(at_s, NAME, "plan", None, "test", {"steps": ["gate"], "condition": ""}))
    Pipelines(ledger).add_step(StepRow(at_s, NAME, run.id, "gate", "", state, ""))
    return run


def test_only_harm_fires_and_once(ledger: Ledger, tmp_path: Path) -> None:
    """Every other alarm is a non-trigger with its reason, also once."""
    plan, now_s = plan_of(tmp_path), time.time()
    for kind in ("shift", "concept suspected", "concept confirmed", "harm", "harm"):
        alarm(ledger, kind, now_s)
    refused = [(f"alarm {number}", False, "not harm") for number in (1, 2, 3)]
    assert decided(ledger, plan, now_s) == [*refused, ("alarm 4", True, "")]
    ran(ledger, now_s + 1)
    assert decided(ledger, plan, now_s + 2) == [("alarm 5", False, "covered")]
    assert decided(ledger, plan, now_s + 99 * HOUR_S) == []


def test_shifts_start_nothing_however_many(ledger: Ledger, tmp_path: Path) -> None:
    plan, now_s = plan_of(tmp_path), time.time()
    for _ in range(50):
        alarm(ledger, "shift", now_s)
    assert not any(each.fires for each in decide(ledger, plan, now_s))


def test_what_stands_in_the_way_is_said_and_goes_away(ledger: Ledger, tmp_path: Path) -> None:
    """A cooldown, then a release on trial: the same harm fires when both are over."""
    plan, now_s = plan_of(tmp_path), time.time()
    ran(ledger, now_s)
    alarm(ledger, "harm", now_s + 1)
    assert decided(ledger, plan, now_s + HOUR_S) == [("alarm 1", False, "cooldown")]
    assert decided(ledger, plan, now_s + 2 * HOUR_S) == []
    ledger.move(NAME, SHADOW, expected=None, to=NEW, by="test", why="test")
    assert decided(ledger, plan, now_s + 25 * HOUR_S) == [("alarm 1", False, "on trial")]
    ledger.move(NAME, SHADOW, expected=NEW, to=None, by="test", why="test")
    assert decided(ledger, plan, now_s + 26 * HOUR_S) == [("alarm 1", True, "")]


def test_labels_and_the_schedule_fire_once_a_run(ledger: Ledger, tmp_path: Path) -> None:
    plan, now_s = plan_of(tmp_path, "triggers.labels = 2\ntriggers.every_days = 7"), time.time()
    began_s = ran(ledger, now_s - 8 * 24 * HOUR_S, DONE).at_s
    add = [Label(str(i), began_s + i, NAME, OLD, 5, 1, "test") for i in range(3)]
    ledger.add_labels(add)
    assert decided(ledger, plan, now_s) == [("labels since run 1", True, "")]
    ran(ledger, now_s)
    assert decided(ledger, plan, now_s + 6 * 24 * HOUR_S) == []
    assert decided(ledger, plan, now_s + 7 * 24 * HOUR_S) == [("schedule after run 2", True, "")]


def test_two_monitors_and_a_killed_one_start_one_run(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger without a run is started again, with the condition of its alarm, until the run has a row."""
    plan, now_s, started = plan_of(tmp_path), time.time(), list[tuple[str, int | None]]()
    monkeypatch.setattr(triggers, "start", lambda _file, _ledger, condition, of: started.append((condition, of)))
    alarm(ledger, "harm", now_s)
    first: list[Trigger] = watch(ledger, plan, tmp_path / "pipeline.toml", now_s)
    assert [row.fires for row in first] == [True]
    assert watch(ledger, plan, tmp_path / "pipeline.toml", now_s) == []
    assert started == [("telephone+mulaw", 1)] * 2
    run = Pipelines(ledger).add_run(Run(now_s, NAME, "plan", 1, "test", {"steps": ["gate"], "condition": ""}))
    Pipelines(ledger).add_step(StepRow(now_s, NAME, run.id, "gate", "", REJECTED, "worse"))
    assert watch(ledger, plan, tmp_path / "pipeline.toml", now_s) == []
    assert len(started) == 2
