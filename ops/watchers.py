"""What a round of the monitor runs, in this order. Verdicts come first: nothing may keep a bad release live."""

from ops.drift import DriftWatcher
from ops.monitor import Verdicts, Watcher
from ops.policy import Policy


def watchers(policy: Policy) -> tuple[Watcher, ...]:
    """New watchers, which have read nothing yet."""
    return (Verdicts(policy), DriftWatcher())
