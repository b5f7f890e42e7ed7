"""What a person may do on the page with `--operate`: promote, roll back, run the pipeline; each with a reason."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.errors import CallerError
from asr.ledger import Ledger, Pipelines, by_hand
from asr.ledger.pipelines import HAND, Trigger
from ops.pipeline.plan import load_plan
from ops.triggers import start

PROMOTE, ROLL_BACK, RUN = "promote", "rollback", "pipeline"
MOST_REASON = 500


class ActionError(CallerError):
    """A request for an action that makes no sense."""


@dataclass(frozen=True)
class Operator:
    """Who may act: whoever has the token, in the name of the user ``by`` who started the page's process.

    ``pipelines``: the settings' files of the pipelines that may be run.
    """

    by: str
    pipelines: tuple[Path, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def names(self) -> list[str]:
        """The models whose pipelines may be run."""
        return [load_plan(file).name for file in self.pipelines]

    def act(self, ledger: Ledger, wanted: Any, now_s: float) -> str:
        """Does it, and returns one sentence. Raises `AsrError`."""
        action, name, why = _read(wanted)
        if name not in ledger.names():
            raise ActionError(f"found the model {name!r}, wanted one of {', '.join(ledger.names())}")
        by = f"{self.by} (page)"
        if action == ROLL_BACK:
            move = by_hand.roll_back(ledger, name, by, why)
            return f"{name}/{move.to_number} is live again"
        if action == RUN:
            return self._run(ledger, name, why, now_s)
        number = wanted.get("release")
        if not isinstance(number, int) or isinstance(number, bool):
            raise ActionError(f"found the release {number!r}, wanted its number")
        by_hand.promote(ledger, ledger.release(name, number), by, why)
        return f"{name}/{number} is live"

    def _run(self, ledger: Ledger, name: str, why: str, now_s: float) -> str:
        file = next((file for file in self.pipelines if load_plan(file).name == name), None)
        if file is None:
            raise ActionError(f"found no pipeline for {name}, wanted one: asr ops serve --operate --pipeline FILE")
        cause = f"by hand {now_s:.0f}"
        row = Pipelines(ledger).add_trigger(Trigger(now_s, name, HAND, cause, True, "", f"{self.by} (page): {why}"))
        if row is None:
            raise ActionError("found a second request in the same second, wanted one")
        start(load_plan(file), file, ledger.place, "", row.id)
        return f"the pipeline of {name} has started"


def _read(wanted: Any) -> tuple[str, str, str]:
    if not isinstance(wanted, Mapping):
        raise ActionError("found no JSON object, wanted action, name and why")
    action, name, why = (wanted.get(key) for key in ("action", "name", "why"))
    if action not in (PROMOTE, ROLL_BACK, RUN):
        raise ActionError(f"found the action {action!r}, wanted {PROMOTE}, {ROLL_BACK} or {RUN}")
    if not isinstance(name, str) or not isinstance(why, str) or not why.strip():
        raise ActionError("found no reason, wanted one: the history keeps it")
    if len(why) > MOST_REASON:
        raise ActionError(f"found a reason of {len(why)} characters, wanted {MOST_REASON} at most")
    return str(action), name, why.strip()
