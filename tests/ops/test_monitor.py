"""The monitor on a real ledger: from the shadow to the champion and back, killed at any moment, and twice at once."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr import cli
from asr.aliases import CANARY, CHAMPION, LOADING, SHADOW
from asr.errors import LedgerError
from asr.ledger import Ledger, MoveConflict, open_ledger
from asr.ledger.values import Move, Outcome
from ops.clock import steady
from ops.drift.reference import freeze
from ops.drift.watcher import DriftWatcher
from ops.evidence import Errors, Weight, guard_evidence
from ops.monitor import Decision, Finding, Verdicts, look
from ops.policy import Policy, load_policy
from ops.rollout import LOAD_PATIENCE_S
from tests.ops.trials import HOUR_S, NAME, NEW, OLD, labels, ledger_with_two, outcomes, pairs, vitals_rows

POLICY = load_policy()
KILLS = int(os.environ.get("MONITOR_KILLS", "6"))
"""100 in docs/log/releases.md."""


def verdicts(ledger: Ledger, now_s: float, policy: Policy = POLICY) -> list[str]:
    return [decision.action.verdict for decision in decisions(ledger, now_s, Verdicts(policy))]


def decisions(ledger: Ledger, now_s: float, watcher: Verdicts) -> list[Decision]:
    return list(watcher.look(ledger, NAME, now_s))


def numbers(ledger: Ledger) -> dict[str, int]:
    return {alias: release.number for alias, release in ledger.aliases(NAME).items()}


def to_shadow(ledger: Ledger) -> None:
    ledger.move(NAME, SHADOW, expected=None, to=NEW, by="test", why="test", options={"share": 0.2})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledger_with_two(tmp_path)


def test_equal_texts_lead_to_a_promotion_without_a_label(ledger: Ledger) -> None:
    """Shadow, three steps of the canary, champion; then the old champion listens for a week, and leaves."""
    now_s = time.time() + 2 * HOUR_S
    to_shadow(ledger)
    assert verdicts(ledger, now_s) == ["waiting"]
    ledger.add_pairs(pairs([0] * 150))
    assert verdicts(ledger, now_s) == ["canary", "waiting"]
    for streams, every, verdict in ((440, 20, "step"), (100, 4, "step"), (60, 2, "promoted")):
        time.sleep(0.02)  # streams begin after the last move and before the next
        ledger.add_outcomes(outcomes(streams, time.time() + 0.99, every, of=verdict + str(every)))
        assert verdicts(ledger, now_s)[0] == verdict
    assert numbers(ledger) == {CHAMPION: NEW, SHADOW: OLD}
    assert verdicts(ledger, now_s) == ["waiting"]
    assert verdicts(ledger, now_s + 8 * 24 * HOUR_S) == ["kept", "waiting"]
    assert numbers(ledger) == {CHAMPION: NEW}
    promotion = next(move for move in ledger.moves(NAME) if move.evidence.get("verdict") == "promoted")
    assert promotion.evidence["benefit"] >= 20
    assert promotion.evidence["pairs"] == 150


YEARS_S = 29 * 365 * 24 * HOUR_S


@pytest.mark.parametrize("jump_s", [YEARS_S, -YEARS_S])
def test_a_clock_that_jumps_and_comes_back_holds_up_no_trial(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """While it was wrong the release became the shadow, and later the canary, and streams were heard by both."""
    now_s = time.time() + 2 * HOUR_S
    true = time.time
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: true() + jump_s)
        to_shadow(ledger)
    assert verdicts(ledger, now_s) == ["waiting"]
    heard = pairs([0] * 150, true())
    ledger.add_pairs([replace(one, at_s=one.at_s + jump_s) if 20 <= i < 60 else one for i, one in enumerate(heard)])
    with monkeypatch.context() as wrong:
        wrong.setattr(time, "time", lambda: true() + jump_s)
        assert verdicts(ledger, now_s) == ["canary", "waiting"]
    assert verdicts(ledger, now_s) == ["waiting"]
    time.sleep(0.02)
    ledger.add_outcomes(outcomes(440, true() + 0.99, 20, of="a"))
    assert verdicts(ledger, now_s)[0] == "step"


def test_times_of_rows_never_fall_and_none_lies_in_the_future() -> None:
    """Behind, ahead in the middle, ahead at the end; clocks that differ by seconds are left alone."""
    now_s = 1000.0
    for found, wanted in (
        ([100, 200, 300], [100, 200, 300]),
        ([100, 0, 300], [100, 100, 300]),
        ([100, 9999, 300], [100, 300, 300]),
        ([9999, 200, 300], [200, 200, 300]),
        ([100, 200, 9999], [100, 200, 1000]),
        ([9999], [1000]),
        ([990, 1010], [990, 1010]),
    ):
        np.testing.assert_array_equal(steady(np.array(found, float), now_s), wanted)


def test_a_worse_release_leaves_the_shadow(ledger: Ledger) -> None:
    """Three errors more in each text of 60 words; the champion stays."""
    to_shadow(ledger)
    worse = pairs([3] * 60)
    ledger.add_pairs(worse)
    ledger.add_labels(labels(worse, new_errors=3))
    assert verdicts(ledger, time.time() + 2 * HOUR_S) == ["rejected", "waiting"]
    assert numbers(ledger) == {CHAMPION: OLD}


@pytest.mark.parametrize(("failed", "heard", "found"), [(3, 0, ["rejected", "waiting"]), (3, 4, ["waiting"])])
def test_a_shadow_that_fails_on_its_streams_is_stopped(
    ledger: Ledger, failed: int, heard: int, found: list[str]
) -> None:
    """Where it failed for half of the clients that it heard; the champion's own streams do not count as its."""
    to_shadow(ledger)
    ledger.add_pairs(pairs([0] * heard))
    now_s = time.time()
    failures = [replace(row, release=NEW, arm=SHADOW, cause="internal") for row in outcomes(failed, now_s)]
    ledger.add_outcomes([*outcomes(5, now_s, canary_every=6, of="other")[1:], *failures])
    assert verdicts(ledger, now_s) == found
    assert numbers(ledger).get(SHADOW) == (None if "rejected" in found else NEW)
    if "rejected" in found:
        assert "failed on streams of 3 of the 3 clients" in ledger.moves(NAME)[-1].why


def failed_load(at_s: float) -> Outcome:
    return Outcome(at_s, NAME, NEW, LOADING, "", "", 0.0, 0, None, "internal")


def to_canary(ledger: Ledger) -> None:
    ledger.move(NAME, CANARY, expected=None, to=NEW, by="test", why="test", options={"weight": 0.05})


def to_watched(ledger: Ledger) -> None:
    ledger.move(NAME, CHAMPION, expected=OLD, to=NEW, by="test", why="test")
    ledger.move(NAME, SHADOW, expected=None, to=OLD, by="test", why="test", options={"share": 0.2})


@pytest.mark.parametrize(
    ("begin", "verdict"), [(to_shadow, "rejected"), (to_canary, "rolled back"), (to_watched, "rolled back")]
)
def test_a_release_that_no_server_could_load_is_stopped_within_minutes(
    ledger: Ledger, begin: Callable[[Ledger], None], verdict: str
) -> None:
    """Said at once. It would wait for its days else, as nobody ever hears it."""
    begin(ledger)
    now_s = time.time()
    ledger.add_outcomes([failed_load(now_s - 1000), *outcomes(5, now_s, canary_every=6, of="champions")])
    assert "could not load it" not in decisions(ledger, now_s, Verdicts(POLICY))[-1].action.why, "before its trial"
    ledger.add_outcomes([failed_load(now_s)])
    [waiting] = decisions(ledger, now_s + 60, Verdicts(POLICY))
    assert (waiting.action.verdict, "a server could not load it" in waiting.action.why) == ("waiting", True)
    assert verdicts(ledger, now_s + LOAD_PATIENCE_S + 1)[0] == verdict
    assert NEW not in numbers(ledger).values()


def test_a_release_that_another_server_serves_is_not_stopped_by_one_that_cannot_load_it(ledger: Ledger) -> None:
    """Streams that reach it after the failure say so."""
    to_shadow(ledger)
    now_s = time.time()
    ledger.add_outcomes([failed_load(now_s)])
    ledger.add_pairs([replace(pair, at_s=now_s + 30) for pair in pairs([0] * 2)])
    assert verdicts(ledger, now_s + LOAD_PATIENCE_S + 1) == ["waiting"]


def test_late_labels_decide_when_they_come(ledger: Ledger) -> None:
    """Drawn streams without labels are neither proof nor harm, and the sentence counts them."""
    to_shadow(ledger)
    better = pairs([2] * 100)
    ledger.add_pairs(better)
    (decision,) = decisions(ledger, time.time() + 2 * HOUR_S, Verdicts(POLICY))
    assert "100 drawn streams without labels" in str(decision)
    ledger.add_labels(labels(better, new_errors=0, old_errors=2))
    assert verdicts(ledger, time.time() + 2 * HOUR_S)[0] == "canary"


def test_a_canary_that_fails_is_taken_back_and_its_shadow_too(ledger: Ledger) -> None:
    """Without a shadow before, and with one."""
    for has_shadow in (False, True):
        if has_shadow:
            to_shadow(ledger)
        ledger.move(NAME, CANARY, expected=None, to=NEW, by="test", why="test", options={"weight": 0.5})
        ledger.add_outcomes(outcomes(8, time.time() + 100, cause="internal"))
        found = verdicts(ledger, time.time() + HOUR_S)
        assert found == ["rolled back", *["finished"] * has_shadow, "waiting"]
        assert numbers(ledger) == {CHAMPION: OLD}


def test_a_champion_that_turns_out_worse_is_rolled_back(ledger: Ledger) -> None:
    """The old champion listens, hears better, and is live again."""
    ledger.move(NAME, CHAMPION, expected=OLD, to=NEW, by="test", why="by hand")
    assert verdicts(ledger, time.time()) == ["watch", "waiting"]
    worse = pairs([3] * 60, live=NEW)
    ledger.add_pairs(worse)
    ledger.add_labels(labels(worse, new_errors=3))
    assert verdicts(ledger, time.time() + 2 * HOUR_S) == ["rolled back", "finished", "waiting"]
    assert numbers(ledger) == {CHAMPION: OLD}


def test_a_release_without_a_verdict_leaves_after_its_days(ledger: Ledger) -> None:
    """The champion stays; a clock that jumps back changes nothing."""
    to_shadow(ledger)
    assert verdicts(ledger, 0.0) == ["waiting"]
    assert verdicts(ledger, time.time() + 15 * 24 * HOUR_S) == ["undecided", "waiting"]
    assert numbers(ledger) == {CHAMPION: OLD}


def test_a_move_that_somebody_else_made_is_taken_as_it_is(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two monitors at once: the second one's move fails, it reads again, and both come to the same end."""
    to_shadow(ledger)
    worse = pairs([3] * 60)
    ledger.add_pairs(worse)
    ledger.add_labels(labels(worse, new_errors=3))
    calls: list[Move | None] = []
    real = ledger.move

    def raced(*arguments: Any, **options: Any) -> Move:
        if not calls:
            calls.append(real(*arguments, **options))  # the other monitor was faster
        try:
            return real(*arguments, **options)
        except MoveConflict:
            calls.append(None)
            raise

    monkeypatch.setattr(ledger, "move", raced)
    assert verdicts(ledger, time.time() + 2 * HOUR_S) == ["waiting"]
    assert calls[1] is None
    assert numbers(ledger) == {CHAMPION: OLD}


def promoted(ledger: Ledger) -> list[Decision]:
    """From the shadow to the champion, by one watcher that reads on; beside it a new one decides the same each time."""
    now_s, watcher, made = time.time() + 2 * HOUR_S, Verdicts(POLICY), []
    to_shadow(ledger)
    differ = pairs([0, 0, 0, 1] * 40)
    steps: list[Callable[[], None]] = [
        lambda: ledger.add_pairs(differ[:60]),
        lambda: ledger.add_labels(labels(differ[:60], new_errors=0, old_errors=1)),
        lambda: ledger.add_pairs(differ[60:]),
        lambda: ledger.add_labels(labels(differ[60:100], new_errors=1)),
        lambda: ledger.add_labels(labels(differ[40:], new_errors=0, old_errors=1)),
        lambda: ledger.add_outcomes(outcomes(440, time.time() + 0.99, 20, of="a")),
        lambda: ledger.add_outcomes(outcomes(100, time.time() + 0.99, 4, of="b")),
        lambda: ledger.add_outcomes(outcomes(60, time.time() + 0.99, 2, of="c")),
    ]
    for step in steps:
        time.sleep(0.02)  # streams begin after the last move and before the next
        step()
        made += decisions(ledger, now_s, watcher)
        (again,) = decisions(ledger, now_s, Verdicts(POLICY))
        assert again.as_dict() == made[-1].as_dict()
    return made


def test_a_round_reads_only_new_rows(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a monitor that starts again decides the same, with all figures."""
    made = promoted(ledger)
    assert "promoted" in [decision.action.verdict for decision in made]
    watcher, asked = Verdicts(POLICY), []
    real = Ledger._newer
    monkeypatch.setattr(Ledger, "_newer", lambda *call: asked.append((call[1].name, call[4])) or real(*call))
    decisions(ledger, 0.0, watcher)
    first = dict(asked)
    asked.clear()
    decisions(ledger, 0.0, watcher)
    assert set(first.values()) == {0}
    read = dict(asked)
    assert read == {"labels": len(ledger.labels(NAME)), "outcomes": 600, "pairs": 0}


def test_a_copy_repeats_every_verdict(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the last digit, whatever came later; a row that was changed is found."""
    monkeypatch.setenv("ASR_LEDGER", "")
    made = promoted(ledger)
    worse = pairs([3] * 60, live=NEW)
    ledger.add_pairs(worse)
    ledger.add_labels(labels(worse, new_errors=3))
    made += decisions(ledger, time.time() + 2 * HOUR_S, Verdicts(POLICY))
    moves = sum(decision.move is not None for decision in made)
    ledger.close()
    copy = shutil.copytree(tmp_path, tmp_path / "copy") / "ledger.db"
    assert cli.run(["monitor", "--once", "--replay", "--ledger", str(copy)]) == 0
    assert capsys.readouterr().out == f"{moves} verdicts repeated, 0 of them different\n"
    with sqlite3.connect(copy) as database:
        database.execute("UPDATE pairs SET words = words + 1 WHERE id = 7")
    assert cli.run(["monitor", "--replay", "--ledger", str(copy)]) == 1
    assert "m@canary: the verdict of move 3 does not follow from its rows" in capsys.readouterr().out


def test_labels_of_streams_with_a_pair_do_not_compare_two_arms() -> None:
    """They are drawn by the distance of the two texts; those of other streams show that the canary is worse."""
    streams = outcomes(400, 100.0)
    errors: Errors = {o.stream_id: {o.release: 8 if o.arm == CANARY else 0} for o in streams}
    weights = [Weight(0.0, 0.5)]
    alone = guard_evidence(streams, errors, weights, POLICY)
    paired = guard_evidence(streams, errors, weights, POLICY, {o.stream_id for o in streams})
    assert alone.harm > 5
    assert paired == replace(alone, harm=0.0)


class Broken:
    """A watcher that cannot work."""

    def look(self, ledger: Ledger, name: str, now_s: float) -> Iterator[Finding]:
        raise LedgerError("no watch")
        yield


def test_a_watcher_that_fails_does_not_stop_the_others(ledger: Ledger) -> None:
    """Its sentence is reported, and the verdict after it is carried out."""
    to_shadow(ledger)
    worse = pairs([3] * 60)
    ledger.add_pairs(worse)
    ledger.add_labels(labels(worse, new_errors=3))
    reported: list[str] = []
    failures: list[str] = []
    found = look(
        ledger,
        (Broken(), Verdicts(POLICY)),
        time.time() + 2 * HOUR_S,
        lambda finding: reported.append(str(finding)),
        lambda error: failures.append(str(error)),
    )
    assert [str(finding) for finding in found] == reported
    assert failures == ["no watch"]
    assert numbers(ledger) == {CHAMPION: OLD}


@pytest.mark.slow
def test_a_monitor_killed_at_any_moment_comes_to_the_same_end(tmp_path: Path) -> None:
    """`kill -9` at seeded moments of a promotion, of a rejection and of alarms of drift, then one undisturbed run."""
    ends = {"equal": {CHAMPION: NEW, SHADOW: OLD}, "worse": {CHAMPION: OLD}, "moved": {CHAMPION: OLD}}
    (tmp_path / "moved").mkdir()
    with ledger_with_two(tmp_path / "moved") as ledger:
        ledger.add_vitals(vitals_rows(300, 1))
        freeze(ledger, NAME, 1.0, 300)
        ledger.add_vitals(vitals_rows(60, 2, {"snr_db": -4.0, "noise_db": 3.0, "high_db": 5.0}, first=300))
    shutil.copytree(tmp_path / "moved", tmp_path / "undisturbed")
    with open_ledger(tmp_path / "undisturbed" / "ledger.db") as ledger:
        alarms = [raised.alarm for raised in DriftWatcher().look(ledger, NAME, 1e10)]
    assert len(alarms) >= 3
    for kind in ("equal", "worse"):
        (tmp_path / kind).mkdir()
        ledger = ledger_with_two(tmp_path / kind)
        ledger.move(NAME, CANARY, expected=None, to=NEW, by="test", why="test", options={"weight": 0.5})
        to_shadow(ledger)
        rows = pairs([0] * 150) if kind == "equal" else pairs([3] * 60)
        ledger.add_pairs(rows)
        ledger.add_labels(labels(rows, new_errors=3))
        ledger.add_outcomes(outcomes(60, time.time() + 100))
        ledger.close()
    rng, moments = random.Random(0), {}
    for number in range(KILLS):
        kind = list(ends)[number % 3]
        shutil.copytree(tmp_path / kind, tmp_path / str(number))
        moments[str(tmp_path / str(number) / "ledger.db")] = (kind, rng.randrange(1, 4), rng.uniform(0, 0.004))
    command = [sys.executable, "-c", KILLED, json.dumps({place: each[1:] for place, each in moments.items()})]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=max(280, 5 * KILLS), check=True).stdout
    statuses = json.loads(printed)
    assert {status[1] for status in statuses} == {0}
    assert sum(status[0] == signal.SIGKILL for status in statuses) >= KILLS / 4
    for place, (kind, *moment) in moments.items():
        with open_ledger(place) as ledger:
            assert numbers(ledger) == ends[kind], (place, moment)
            found = [replace(alarm, at_s=1e10) for alarm in ledger.alarms(NAME)]
            assert found == (alarms if kind == "moved" else []), (place, moment)


KILLED = """
import json, os, signal, sys, threading, time
from asr.ledger import open_ledger
from asr.ledger.database import Database
from ops.policy import load_policy
from ops.watchers import watchers

def monitor(place, kill_at, after_s):
    real, begun = Database.writing, []
    def counted(self):
        begun.append(self)
        if len(begun) == kill_at:
            threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return real(self)
    Database.writing = counted
    ledger = open_ledger(place)
    for watcher in watchers(load_policy()):
        list(watcher.look(ledger, "m", time.time() + 7200))

def status(*arguments):
    child = os.fork()
    if not child:
        try:
            monitor(*arguments)
        finally:
            os._exit(1 if sys.exc_info()[0] else 0)
    return os.waitpid(child, 0)[1]

jobs = json.loads(sys.argv[1])
print(json.dumps([[status(place, *moment), status(place, 0, 0)] for place, moment in jobs.items()]))
"""
"""Each monitor in a process of its own, which kills itself some moments after it began its n-th transaction; then one
that is left alone. Prints both statuses."""


def test_the_command_prints_decisions_and_writes_metrics(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`asr monitor --once`: a line for each model; a file for Prometheus."""
    monkeypatch.setenv("ASR_LEDGER", "")  # the command sets it: it is undone after the test
    to_shadow(ledger)
    place = tmp_path / "ledger.db"
    assert cli.run(["monitor", "--once", "--ledger", str(place), "--metrics", str(tmp_path / "m.prom")]) == 0
    assert "m: no verdict yet: at least" in capsys.readouterr().out
    text = (tmp_path / "m.prom").read_text()
    assert 'asr_rollout_evidence{model="m",release="2",test="harm"} 1.0' in text
    assert "asr_monitor_last_look_timestamp_seconds" in text
    for place in (str(tmp_path / "other.db"), f"sqlite:///{tmp_path}/other.db"):
        assert cli.run(["monitor", "--once", "--ledger", place]) == 1
        assert f"there is no ledger at {tmp_path}/other.db" in capsys.readouterr().err
    assert not (tmp_path / "other.db").exists()
