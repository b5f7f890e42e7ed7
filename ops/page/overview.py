"""The ledger -> one JSON object for the page. Reads sums and last rows, never all of a million utterances."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from asr.aliases import CANARY, CHAMPION, SHADOW, SHARE, WEIGHT
from asr.errors import AsrError
from asr.ledger import Ledger, Move, Pipelines
from asr.ledger.labelled import Wer, label_queue, labelled_wer
from ops.drift.detector import ALPHA
from ops.drift.reference import frozen
from ops.drift.watcher import alarms_since, shown
from ops.health import Health, read_health
from ops.quality import report

DAY_S = 86_400.0
ESTIMATED_UTTERANCES = 1000
"""The last ones are estimated without texts."""
WINDOW_DAYS = 28
"""The WER of these days is compared with that of as many days before."""
SIGNALS_SHOWN, ALARMS_SHOWN, TRIGGERS_SHOWN, MOVES_SHOWN = 6, 4, 4, 5
STANDARD_ERRORS = 1.96
ESTIMATED = 200
"""Utterances that the estimate is of."""


def overview(ledger: Ledger, now_s: float) -> dict[str, Any]:
    """All that the page shows. A part that cannot be read is its sentence under "fault". Raises `LedgerError`."""
    health = read_health(ledger)
    models = [_model(ledger, name, health, now_s) for name in ledger.names()]
    return {"at_s": now_s, "monitor": asdict(health) if health else None, "models": models}


def _model(ledger: Ledger, name: str, health: Health | None, now_s: float) -> dict[str, Any]:
    moves = ledger.moves(name)
    aliases = ledger.aliases(name)
    champion = aliases.get(CHAMPION)
    decision = health.decisions.get(name) if health else None
    return {
        "name": name,
        "live": _live(moves) if champion else None,
        "releases": [release.number for release in ledger.releases(name)],
        "on_trial": {
            alias: {"release": aliases[alias].number, **_options(moves, alias)}
            for alias in (CANARY, SHADOW)
            if alias in aliases
        },
        "decision": decision,
        "quality": _quality(ledger, name, champion.number, now_s) if champion else None,
        "drift": _drift(ledger, name, now_s),
        "labels": dict(zip(("waiting", "done"), label_queue(ledger, name), strict=True)),
        "pipeline": _pipeline(ledger, name),
        "moves": [asdict(move) | {"evidence": {}} for move in moves[-MOVES_SHOWN:][::-1]],
    }


def _live(moves: Sequence[Move]) -> dict[str, Any]:
    last = next(move for move in reversed(moves) if move.alias == CHAMPION)
    return {"release": last.to_number, "since_s": last.at_s, "by": last.by, "why": last.why, "before": last.from_number}


def _options(moves: Sequence[Move], alias: str) -> Mapping[str, Any]:
    last = next(move for move in reversed(moves) if move.alias == alias)
    return {key: last.options[key] for key in (WEIGHT, SHARE) if key in last.options}


def _quality(ledger: Ledger, name: str, release: int, now_s: float) -> dict[str, Any]:
    edge_s = now_s - WINDOW_DAYS * DAY_S
    now = labelled_wer(ledger, name, release, edge_s)
    before = labelled_wer(ledger, name, release, edge_s - WINDOW_DAYS * DAY_S, edge_s)
    labelled = {"days": WINDOW_DAYS, "now": asdict(now), "before": asdict(before), "trend": trend(now, before)}
    return {"labelled": labelled, "estimated": estimated(ledger, name, now_s)}


def trend(now: Wer, before: Wer) -> str:
    """Whether the difference is beyond chance: "worse", "better", "same"; "unknown" without enough labels."""
    if now.wer is None or before.wer is None or now.deviation is None or before.deviation is None:
        return "unknown"
    change, deviation = now.wer - before.wer, math.hypot(now.deviation, before.deviation)
    if abs(change) <= STANDARD_ERRORS * deviation:
        return "same"
    return "worse" if change > 0 else "better"


def estimated(ledger: Ledger, name: str, now_s: float) -> dict[str, Any] | None:
    """The WER of the last utterances without texts, and what drawn labels prove of it; all in per cent. None: no model
    of errors was fitted, or nothing was said. What fails is a sentence under "fault"."""
    try:
        found = report(ledger, name, now_s, ESTIMATED)
    except AsrError as error:
        return {"fault": str(error)}
    if found is None:
        return None
    whole = found.slices[0]
    table: dict[str, Any] = {key: 100 * getattr(whole, key) for key in ("wer", "low", "high", "outside")}
    table |= {"utterances": whole.utterances, "accepted": 100 * found.accepted_wer, "proven": None}
    if (proof := whole.labelled) is not None:
        high = None if proof.high is None else 100 * proof.high
        table["proven"] = {"labels": proof.labels, "waiting": proof.waiting, "low": 100 * proof.low, "high": high}
    return table


def _drift(ledger: Ledger, name: str, now_s: float) -> dict[str, Any]:
    try:
        reference = frozen(ledger, name)
    except AsrError as error:
        return {"fault": str(error)}
    alarms = ledger.alarms(name)
    recent = [alarm for alarm in alarms if alarm.at_s > now_s - 30 * DAY_S]
    newest = [asdict(alarm) for alarm in alarms[-ALARMS_SHOWN:][::-1]]
    table = {"alarms": newest, "month": len(recent), "budget": ALPHA}
    if reference is None:
        return {**table, "reference": None}
    said = shown(ledger, name)
    if said.get("until_id") != reference.until_id:  # no monitor has looked since the reference was made
        said = {"units": 0, "signals": []}
    alarming = {alarm.signal for alarm in alarms_since(ledger, name, reference)}
    signals = [one | {"alarm": one["signal"] in alarming} for one in said["signals"][:SIGNALS_SHOWN]]
    return {**table, "reference": asdict(reference), "units": said["units"], "signals": signals}


def _pipeline(ledger: Ledger, name: str) -> dict[str, Any]:
    rows = Pipelines(ledger)
    runs, triggers = rows.runs(name), rows.triggers(name)
    steps = [row for row in rows.steps(name) if runs and row.run == runs[-1].id]
    last = {row.step: {"step": row.step, "state": row.state, "why": row.why, "at_s": row.at_s} for row in steps}
    return {
        "run": runs[-1].id if runs else None,
        "condition": runs[-1].settings.get("condition", "") if runs else "",
        "steps": list(last.values()),
        "triggers": [asdict(each) | {"evidence": {}} for each in triggers[-TRIGGERS_SHOWN:][::-1]],
    }
