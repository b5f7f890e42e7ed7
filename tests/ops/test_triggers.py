"""What starts a pipeline, what does not, and that both say why."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from asr.aliases import SHADOW
from asr.errors import ConfigError
from asr.ledger import Alarm, Label, Ledger, Pipelines
from asr.ledger.pipelines import DONE, REJECTED, Run, StepRow, Trigger
from ops import triggers
from ops.drift.reference import drift_folder
from ops.pipeline.plan import Plan, load_plan
from ops.pipeline.run import is_busy
from ops.triggers import FIRST_PAUSE_S, Pauses, Triggers, decide, watch
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
    row = Alarm(at_s, NAME, kind, "bandwidth", "the band is narrower", evidence)
    added = ledger.add_alarm(row, f"test {len(ledger.alarms(NAME))}")
    assert added is not None
    return added


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
    monkeypatch.setattr(triggers, "start", lambda _plan, _file, _ledger, condition, of: started.append((condition, of)))
    alarm(ledger, "harm", now_s)
    first: list[Trigger] = watch(ledger, plan, tmp_path / "pipeline.toml", now_s, Pauses())
    assert [row.fires for row in first] == [True]
    assert watch(ledger, plan, tmp_path / "pipeline.toml", now_s, Pauses()) == []
    assert started == [("telephone+mulaw", 1)] * 2
    run = Pipelines(ledger).add_run(Run(now_s, NAME, "plan", 1, "test", {"steps": ["gate"], "condition": ""}))
    Pipelines(ledger).add_step(StepRow(now_s, NAME, run.id, "gate", "", REJECTED, "worse"))
    assert watch(ledger, plan, tmp_path / "pipeline.toml", now_s, Pauses()) == []
    assert len(started) == 2


def test_a_process_that_changes_nothing_is_started_ever_more_rarely() -> None:
    """A round each 20 s for a day; at once when the ledger says something new, or the clock was set back."""
    pauses = Pauses()
    started_s = [at_s for at_s in range(0, 86_400, 20) if pauses.may_start((1,), at_s)]
    assert started_s[:9] == [0, 20, 40, 80, 160, 320, 640, 1280, 2560]
    assert np.diff(started_s).max() == HOUR_S
    assert not pauses.may_start((1,), started_s[-1] + 1)
    assert pauses.may_start((2,), started_s[-1] + 1)
    assert pauses.may_start((2,), 0.0)


def test_a_round_starts_no_process_that_has_just_changed_nothing(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, now_s, started, pauses = plan_of(tmp_path), time.time(), list[int](), Pauses()
    monkeypatch.setattr(triggers, "start", lambda *_: started.append(1))
    alarm(ledger, "harm", now_s)
    for later_s, count in ((0, 1), (1, 1), (FIRST_PAUSE_S, 2), (FIRST_PAUSE_S + 1, 2)):
        watch(ledger, plan, tmp_path / "pipeline.toml", now_s + later_s, pauses)
        assert len(started) == count
    Pipelines(ledger).add_run(Run(now_s, NAME, "plan", 1, "test", {"steps": ["gate"], "condition": ""}))
    watch(ledger, plan, tmp_path / "pipeline.toml", now_s + FIRST_PAUSE_S + 2, pauses)
    assert len(started) == 3


@pytest.mark.parametrize("broken", ["no TOML [", 'name = "m"\nsteps = ["fly"]', None])
def test_a_pipelines_file_that_breaks_starts_nothing_until_it_is_mended(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str | None
) -> None:
    """Each round says what is wrong with it. None: it was removed."""
    started = list[Path]()
    monkeypatch.setattr(triggers, "start", lambda _plan, file, *_: started.append(file))
    file, now_s = written(tmp_path), time.time()
    watcher, good = Triggers(file), file.read_text()
    alarm(ledger, "harm", now_s)
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    for later_s in range(3):
        with pytest.raises(ConfigError, match=re.escape(str(file))):
            list(watcher.look(ledger, NAME, now_s + later_s))
    assert not started
    file.write_text(good + "\n")
    assert [each.trigger.fires for each in watcher.look(ledger, NAME, now_s + 3)] == [True]
    assert started == [file]


def test_a_started_pipeline_is_started_once_and_its_output_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    """The real process: it counts before it has imported what it needs; its log has why it could not run, once."""
    plan = plan_of(tmp_path)
    for _ in range(3):
        triggers.start(plan, tmp_path / "missing.toml", ledger.where, "", 7)
        assert is_busy(Path(plan.work))
    log, end_s = Path(plan.work) / "logs" / "trigger-7.log", time.monotonic() + 120
    while is_busy(Path(plan.work)):
        assert time.monotonic() < end_s, log.read_text()
        time.sleep(0.05)
    assert log.read_text().count("missing.toml") == 1


def test_a_run_for_labels_trains_for_the_speech_that_comes_now(ledger: Ledger, tmp_path: Path) -> None:
    """Under the condition of the last alarm of the present reference; harm that names none takes it too."""
    plan, now_s = plan_of(tmp_path, "triggers.labels = 1"), time.time()

    def conditions() -> list[str]:
        return [str(each.evidence["nearest"]) for each in decide(ledger, plan, now_s + 1) if each.fires]

    drift_folder(ledger).mkdir()
    (drift_folder(ledger) / f"{NAME}.json").write_text('{"after_id": 0, "until_id": 5, "at_s": 0.0}')
    ledger.add_labels([Label("s", now_s, NAME, OLD, 5, 1, "test")])
    ledger.add_alarm(Alarm(now_s, NAME, "shift", "snr_db", "old", {"nearest": "noise:10", "until_id": 4}), "1")
    assert conditions() == [""]
    ledger.add_alarm(Alarm(now_s, NAME, "shift", "snr_db", "new", {"nearest": "reverb", "until_id": 5}), "2")
    ledger.add_alarm(Alarm(now_s, NAME, "shift", "zeros", "like none", {"until_id": 5}), "3")
    assert conditions() == ["reverb"]
    ledger.add_alarm(Alarm(now_s, NAME, "harm", "wer", "worse", {"release": OLD}), "4")
    assert conditions() == ["reverb"]
    (drift_folder(ledger) / f"{NAME}.json").write_text("broken")
    assert conditions() == [""]
