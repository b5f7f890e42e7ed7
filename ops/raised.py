"""What a watcher of live speech reports to the monitor."""

from dataclasses import dataclass
from typing import Any

from asr.ledger import Alarm


@dataclass(frozen=True, slots=True)
class Raised:
    """A finding of a watcher: an alarm that is now in the ledger."""

    alarm: Alarm

    @property
    def name(self) -> str:
        return self.alarm.name

    def __str__(self) -> str:
        return f"{self.alarm.name}: {self.alarm.kind}: {self.alarm.sentence}"

    def as_dict(self) -> dict[str, Any]:
        """For a program: one JSON object."""
        alarm = self.alarm
        return {"name": alarm.name, "kind": alarm.kind, "signal": alarm.signal, "sentence": alarm.sentence}
