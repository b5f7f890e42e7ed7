"""The pipeline's steps on a real ledger: each is made once for its inputs, and a run that was killed goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr import cli
from asr.aliases import CHAMPION, SHADOW
from asr.errors import ConfigError
from asr.ledger import Ledger, Pipelines
from asr.ledger.pipelines import DONE, FAILED, REJECTED, STARTED, STEPS, WAITING, StepRow
from ops.pipeline import steps
from ops.pipeline.plan import Plan, load_plan
from ops.pipeline.run import has_ended, is_busy, run
from ops.pipeline.steps import Context, Result, add, promote, shadow
from tests.ops.pipelines import doing, written
from tests.ops.trials import NAME, NEW, OLD, ledger_with_two


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_two(tmp_path)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return load_plan(written(tmp_path))


def once(ledger: Ledger, plan: Plan, made: list[str], **results: Result) -> StepRow:
    return run(ledger, plan, time.time(), lambda _: None, actions=doing(made, **results))


def test_a_second_call_makes_no_step_again(ledger: Ledger, plan: Plan) -> None:
    """Also as a new run: the same inputs have the same result."""
    made: list[str] = []
    assert (once(ledger, plan, made).step, made) == ("promote", list(STEPS))
    assert once(ledger, plan, made).state == DONE
    assert made == list(STEPS)
    assert len(Pipelines(ledger).runs(NAME)) == 2


def test_other_inputs_make_the_steps_that_depend_on_them(ledger: Ledger, plan: Plan, tmp_path: Path) -> None:
    """Another limit of the gate: not the training. Other data: all of them."""
    made: list[str] = []
    once(ledger, plan, made)
    made.clear()
    once(ledger, load_plan(written(tmp_path, "gate.max_wer_rise = 0.5")), made)
    assert made == ["gate", "add", "shadow", "canary", "promote"]
    made.clear()
    manifest = tmp_path / "data" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("hello world", "hello word"))
    once(ledger, plan, made)
    assert made == list(STEPS)


def test_a_commit_within_a_run_does_not_move_its_folders(
    ledger: Ledger, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the training wrote is found by the steps after it; the next run sees the other version."""
    at = Context(ledger, plan, "", time.time(), ledger.release(NAME, OLD))
    before = at.folder("train")
    monkeypatch.setattr(steps, "commit", lambda: "another")
    assert at.folder("train") == before
    assert Context(ledger, plan, "", time.time(), ledger.release(NAME, OLD)).folder("train") != before


def test_a_run_that_began_long_ago_judges_by_the_time_of_now(ledger: Ledger, plan: Plan) -> None:
    """A shadow that began within the run is no move from the future, and each step has its own time."""
    began_s = time.time() - 3600
    at = Context(ledger, plan, "", began_s, ledger.release(NAME, OLD))
    at.folder("train").parent.mkdir(parents=True, exist_ok=True)
    at.folder("train").symlink_to(ledger.release(NAME, NEW).folder)
    assert shadow(at).state == DONE
    before = ledger.version()
    assert promote(at).state == WAITING
    assert ledger.version() == before
    run(ledger, plan, began_s, lambda _: None, actions=doing([]))
    assert all(row.at_s > began_s + 3000 for row in Pipelines(ledger).steps(NAME))


def test_a_run_puts_its_release_on_trial_to_the_end(
    ledger: Ledger, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it waits for live streams its own release becomes the champion, data is labelled and code is committed:
    nothing is trained again, and no other release goes on trial."""
    made: list[str] = []
    added = Result(DONE, f"it is {NAME}/{NEW}", {"release": NEW})
    assert once(ledger, plan, made, add=added, canary=Result(WAITING, "streams")).state == WAITING
    ledger.move(NAME, CHAMPION, expected=OLD, to=NEW, by="test", why="promoted")
    manifest = tmp_path / "data" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("hello world", "hello word"))
    monkeypatch.setattr(steps, "commit", lambda: "another")
    made.clear()
    assert once(ledger, plan, made).state == DONE
    assert made == ["canary", "promote"]
    assert len(Pipelines(ledger).runs(NAME)) == 1


@pytest.mark.parametrize("start", [NAME, f"{NAME}@{CHAMPION}"])
def test_a_training_starts_from_the_champion_of_the_runs_begin(
    ledger: Ledger, plan: Plan, tmp_path: Path, start: str
) -> None:
    """A run that is continued after a promotion finds its folders; a new run starts from the new champion."""
    config = tmp_path / "train.toml"
    config.write_text(config.read_text().replace("whisper-tiny.en", start))
    first = Context(ledger, plan, "", time.time(), ledger.release(NAME, OLD))
    before = first.folder("train")
    ledger.move(NAME, CHAMPION, expected=OLD, to=NEW, by="test", why="promoted")
    again = Context(ledger, plan, "", time.time(), ledger.release(NAME, OLD))
    assert (again.train_table["model"]["start"], again.folder("train")) == (f"{NAME}/{OLD}", before)
    assert Context(ledger, plan, "", time.time(), ledger.release(NAME, NEW)).folder("train") != before


def test_a_rejection_ends_the_run_and_says_why(ledger: Ledger, plan: Plan) -> None:
    """It is a result, which holds as long as nothing changes."""
    made: list[str] = []
    last = once(ledger, plan, made, gate=Result(REJECTED, "2 points worse"))
    assert (last.step, last.state, last.why) == ("gate", REJECTED, "2 points worse")
    (first,) = Pipelines(ledger).runs(NAME)
    assert has_ended(first, Pipelines(ledger).steps(NAME))
    again = once(ledger, plan, made)
    assert again.state == REJECTED
    assert "as in run 1" in again.why
    assert made == ["audit", "train", "eval", "gate"]


def test_a_step_that_failed_is_tried_again_and_one_that_waits_too(ledger: Ledger, plan: Plan) -> None:
    made: list[str] = []
    assert once(ledger, plan, made, train=Result(FAILED, "no disk")).state == FAILED
    assert once(ledger, plan, made, canary=Result(WAITING, "streams")).state == WAITING
    assert once(ledger, plan, made).state == DONE
    assert made == ["audit", "train", "train", "eval", "gate", "add", "shadow", "canary", "canary", "promote"]
    assert len(Pipelines(ledger).runs(NAME)) == 1


KILLED = """
import sys, time
from pathlib import Path
from asr.ledger import open_ledger
from ops.pipeline.plan import load_plan
from ops.pipeline.run import run
from tests.ops.pipelines import doing

actions = doing([])
def train(at):
    Path(sys.argv[3]).touch()
    time.sleep(600)
run(open_ledger(sys.argv[1]), load_plan(Path(sys.argv[2])), time.time(), print, actions=actions | {"train": train})
"""


def test_a_killed_run_goes_on_where_it_was(ledger: Ledger, plan: Plan, tmp_path: Path) -> None:
    """`kill -9` within the training: the audit is not made again, the training is."""
    mark = tmp_path / "in training"
    command = [sys.executable, "-c", KILLED, ledger.where, str(tmp_path / "pipeline.toml"), str(mark)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2]) as process:
        while not mark.exists() and process.poll() is None:
            time.sleep(0.05)
        assert is_busy(Path(plan.work))
        os.kill(process.pid, signal.SIGKILL)
    assert not is_busy(Path(plan.work))
    made: list[str] = []
    assert once(ledger, plan, made).state == DONE
    assert made == list(STEPS)[1:]
    rows = Pipelines(ledger).steps(NAME)
    assert {row.run for row in rows} == {1}
    assert [row.state for row in rows if row.step == "train"] == [STARTED, DONE]


@pytest.mark.parametrize("rose", [[], ["m/2 offline: WER 15.1 -> 23.7 %"]])
def test_a_rise_that_chance_may_explain_is_no_passed_gate(
    ledger: Ledger, plan: Plan, rose: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trial goes on, but no promotion by hand rests on it; once, however often the step is made."""
    at = Context(ledger, plan, "", time.time(), ledger.release(NAME, OLD))
    at.folder("train").parent.mkdir(parents=True, exist_ok=True)
    at.folder("train").symlink_to(ledger.release(NAME, NEW).folder)
    monkeypatch.setattr(steps, "_command", lambda *_: None)
    row = StepRow(time.time(), NAME, 1, "gate", at.inputs("gate"), DONE, "not worse", {"checks": rose, "rose": rose})
    Pipelines(ledger).add_step(row)
    assert [add(at).state, add(at).state] == [DONE, DONE]
    assert [gate.has_passed for gate in ledger.gates(NAME)] == [not rose]


def test_the_trial_of_a_release_is_that_of_the_monitor(ledger: Ledger, plan: Plan) -> None:
    """Shadow, then waiting with the monitor's sentence; a release that leaves is rejected with the move's reason."""
    release = ledger.release(NAME, NEW)
    at = Context(ledger, plan, "", time.time(), ledger.release(NAME, OLD))
    at.folder("train").parent.mkdir(parents=True, exist_ok=True)
    at.folder("train").symlink_to(release.folder)
    assert shadow(at).state == DONE
    assert shadow(at).state == DONE
    assert ledger.aliases(NAME)[SHADOW].number == NEW
    waits = promote(at)
    assert (waits.state, waits.result["version"]) == (WAITING, ledger.version())
    assert "missing" in waits.why
    ledger.move(NAME, SHADOW, expected=NEW, to=None, by="test", why="it is worse")
    assert (promote(at).state, promote(at).why) == (REJECTED, "it is worse")
    ledger.move(NAME, CHAMPION, expected=OLD, to=NEW, by="test", why="test")
    assert promote(at).state == DONE


def test_commands_say_what_happened(ledger: Ledger, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    once(ledger, plan, [], gate=Result(REJECTED, "2 points worse"))
    assert cli.run(["pipeline", "status", "--ledger", ledger.where]) == 0
    out = capsys.readouterr().out
    assert "gate     rejected  2 points worse" in out
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")].count("train") == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('steps = ["gate", "train"]', "in this order"),
        ('steps = ["audit", "train", "gate"]', "steps lacks eval"),
        ("shadow.share = 2", "wanted 0 to 1"),
        ("gate.max_wer_rise = -1", "wanted 0 or more"),
        ("gates = 1", "unknown key 'gates'"),
    ],
)
def test_bad_settings_are_one_sentence(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_plan(written(tmp_path, more))


@pytest.mark.parametrize("name", ["prefect_flow.py", "airflow_dag.py"])
def test_examples_call_the_command_as_it_is(name: str) -> None:
    """They are not run here (Prefect and Airflow are not installed): their syntax, and the command that they call."""
    text = (Path(__file__).parents[2] / "examples" / name).read_text(encoding="utf-8")
    compile(text, name, "exec")
    assert '"asr", "pipeline", "run"' in text or "asr pipeline run configs/pipeline.toml" in text


def test_the_shipped_settings_are_valid() -> None:
    assert load_plan(Path(__file__).parents[2] / "configs" / "pipeline.toml").steps == STEPS
