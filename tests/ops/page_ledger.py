"""A ledger with something in each part of the page. What is unreal: nobody spoke, all numbers are drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.aliases import SHADOW
from asr.errors import AsrError
from asr.ledger import Label, Ledger, Pipelines
from asr.ledger.pipelines import DONE, Run, StepRow, Trigger
from asr.vitals import INDEX, NAMES
from ops.drift.reference import freeze
from ops.health import write_health
from ops.monitor import look
from ops.policy import load_policy
from ops.watchers import watchers
from tests.asr.ledger.releases import VITALS
from tests.ops.trials import NAME, NEW, OLD, ledger_with_two, pairs

DAY_S = 86_400.0


def watched_ledger(folder: Path, now_s: float) -> Ledger:
    """A champion with labels of two months, a shadow, a shift with its alarm, a run and a non-trigger."""
    ledger = ledger_with_two(folder)
    ledger.move(NAME, SHADOW, expected=None, to=NEW, by="ann", why="passed the gate", options={"share": 0.2})
    add_vitals(ledger, 300, now_s - 3 * DAY_S)
    freeze(ledger, NAME, now_s - 2 * DAY_S, 300)
    add_vitals(ledger, 60, now_s - DAY_S, snr_db=-4.0)
    ledger.add_pairs(pairs([0] * 40 + [2] * 8, now_s - DAY_S))
    add_labels(ledger, 60, now_s - 40 * DAY_S, errors=3)
    add_labels(ledger, 60, now_s - 5 * DAY_S, errors=6)
    rows = Pipelines(ledger)
    run = rows.add_run(Run(now_s - 9 * DAY_S, NAME, "plan", None, "ann", {"condition": "telephone+mulaw"}))
    rows.add_step(StepRow(now_s, NAME, run.id, "gate", "", DONE, "not worse than m/1"))
    why = "shift alone starts nothing: no harm to the words is shown"
    rows.add_trigger(Trigger(now_s - 600, NAME, "shift", "alarm 1", False, "not harm", why))
    findings = look(ledger, watchers(load_policy()), now_s, lambda _: None, _fail)
    write_health(ledger, findings, [], now_s, 0.2, 10.0)
    return ledger


def add_vitals(ledger: Ledger, count: int, at_s: float, **move: float) -> None:
    """Utterances of unknown clients; `move` shifts numbers, in standard deviations."""
    first = ledger.vitals(NAME)[-1].id if ledger.vitals(NAME) else 0
    numbers = np.random.default_rng(first + 1).standard_normal((count, len(NAMES)))
    for name, by in move.items():
        numbers[:, INDEX[name]] += by
    numbers[:, INDEX["speech_share"]] = 0.7
    numbers[:, [INDEX["terms_asked"], INDEX["terms_given"]]] = np.nan
    ledger.add_vitals(
        [
            replace(VITALS, name=NAME, at_s=at_s + i, client="", stream_id=f"v{first + i}", numbers=each)
            for i, each in enumerate(numbers)
        ]
    )


def add_labels(ledger: Ledger, count: int, at_s: float, errors: int) -> None:
    """Labels of streams that no one drew for a pair: one error more or less than `errors` in 30 words."""
    ledger.add_labels(
        [Label(f"l{at_s:.0f}-{i}", at_s + i, NAME, OLD, 30, errors + i % 3 - 1, "ann") for i in range(count)]
    )


def _fail(error: AsrError) -> None:
    raise error
