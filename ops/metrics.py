"""What the monitor saw, as a file for Prometheus: node_exporter's textfile collector reads it.

A file and no port: the monitor listens nowhere, and its last figures stay readable when it is dead.
"""

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from asr.errors import ConfigError
from asr.ledger import Ledger
from ops.drift.reference import frozen
from ops.drift.watcher import alarms_since, shown
from ops.monitor import Decision, Finding
from ops.rollout import Stage


def write(path: Path, findings: Sequence[Finding], now_s: float, ledger: Ledger) -> None:
    """Replaces the file by the figures of a round, in one step. Raises `ConfigError` where it cannot be written."""
    registry = CollectorRegistry()
    last = Gauge("asr_monitor_last_look_timestamp_seconds", "When the monitor last read the ledger", registry=registry)
    last.set(now_s)
    labels = ("model", "release", "test")
    evidence = Gauge(
        "asr_rollout_evidence", "Wealth of a bettor against the test's hypothesis", labels, registry=registry
    )
    streams = Gauge("asr_rollout_pairs", "Streams that both releases heard", labels[:2], registry=registry)
    missing = Gauge(
        "asr_rollout_missing_streams", "Streams that the proof needs at least", labels[:2], registry=registry
    )
    drift = Gauge("asr_drift_evidence", "Share of the evidence for an alarm", ("model", "signal"), registry=registry)
    alarms = Gauge("asr_drift_alarms", "Alarms since the reference", ("model",), registry=registry)
    for name in ledger.names():
        reference = frozen(ledger, name)
        if reference is not None:
            alarms.labels(name).set(len(alarms_since(ledger, name, reference)))
            for one in shown(ledger, name).get("signals", ()):
                drift.labels(name, one["signal"]).set(one["share"])
    for decision in findings:
        if not isinstance(decision, Decision) or decision.at.stage in (Stage.IDLE, Stage.LEFTOVER):
            continue
        names = (decision.name, str(decision.at.new))
        numbers = decision.evidence.numbers()
        for test in ("harm", "benefit", "ratio", "failures", "delays", "arms"):
            evidence.labels(*names, test).set(numbers[test])
        streams.labels(*names).set(numbers["pairs"])
        missing.labels(*names).set(decision.evidence.pairs.missing)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error.strerror}); wanted a file in a folder that can") from None
