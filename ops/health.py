"""A monitor's sign of life: what its last round found, in a file beside the ledger. A page reads that instead."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.ledger import Ledger
from ops.monitor import Decision, Finding

FILE = "monitor.json"


@dataclass(frozen=True, slots=True)
class Health:
    """``at_s``: end of the last round, ``took_s`` its length, ``every_s`` the time between two; 0: a single look.

    ``decisions``: model -> the last `Decision.as_dict` about it. ``failures``: what failed in the round.
    """

    at_s: float
    took_s: float
    every_s: float
    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: tuple[str, ...] = ()


def write_health(
    ledger: Ledger, findings: Sequence[Finding], failures: Sequence[str], at_s: float, took_s: float, every_s: float
) -> None:
    """Replaces the file in one step. A disk that is full must not end a round."""
    decisions = {each.name: each.as_dict() for each in findings if isinstance(each, Decision)}
    table = {"at_s": at_s, "took_s": took_s, "every_s": every_s, "decisions": decisions, "failures": list(failures)}
    file = _file(ledger)
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        temporary.unlink(missing_ok=True)


def read_health(ledger: Ledger) -> Health | None:
    """None where no monitor has looked yet, or its file is broken."""
    try:
        table = json.loads(_file(ledger).read_text(encoding="utf-8"))
        at_s, took_s, every_s = (float(table[key]) for key in ("at_s", "took_s", "every_s"))
        return Health(at_s, took_s, every_s, dict(table["decisions"]), tuple(map(str, table["failures"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(ledger: Ledger) -> Path:
    return ledger.releases_folder.parent / FILE
