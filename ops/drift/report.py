"""What `asr drift` prints."""

from collections.abc import Iterator

from asr.ledger import Ledger
from ops.drift.watcher import DriftWatcher, alarms_since


def reports(ledger: Ledger, explain: bool) -> Iterator[str]:
    """Lines for people: each model's state, its alarms since the reference, and on demand each number's evidence."""
    for name in ledger.names():
        state = DriftWatcher().read_on(ledger, name)
        if state is None:
            yield f"{name}: no reference; make one from normal speech: asr drift reference {name}"
            continue
        detector, alarms = state.detector, alarms_since(ledger, name, state.reference)
        yield f"{name}: {detector.units} streams since the reference, {len(alarms)} alarms"
        for alarm in alarms:
            yield f"  {alarm.kind}: {alarm.sentence}"
            if command := alarm.evidence.get("command"):
                yield f"    {command}"
        if explain:
            for value, event in detector.strongest():
                share = max(0.0, value) / detector.threshold
                yield f"  {share:6.1%} of an alarm's evidence: {detector.sentence(event)}"
