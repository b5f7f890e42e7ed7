"""What a round of the monitor runs, in this order. Verdicts come first: nothing may keep a bad release live."""

from pathlib import Path

from ops.drift.watcher import DriftWatcher
from ops.monitor import Verdicts, Watcher
from ops.policy import Policy
from ops.quality_watch import QualityWatcher


def watchers(policy: Policy, clips: Path | None = None) -> tuple[Watcher, ...]:
    """New watchers, which have read nothing yet. ``clips``: utterances that are kept there are drawn for labels."""
    return (Verdicts(policy), DriftWatcher(), QualityWatcher(clips))
