"""Labels from a file into the ledger: what a person found wrong in one release's text of a stream."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.errors import ConfigError, LedgerError
from asr.ledger import Label, Ledger

FIELDS = {"stream_id": str, "name": str, "release": int, "words": int, "errors": int, "by": str}
"""Keys of a line; ``at_s`` (seconds since 1970) may be there too."""
MAX_CHARACTERS = 200


def import_labels(path: Path, ledger: Ledger, now_s: float) -> tuple[int, int, list[str]]:
    """Adds the labels of a file of JSON lines; returns how many are new, how many were there, and what was wrong.

    Lines that are there already are not added again, so the same file may be imported after a failure. Bad lines are
    left out, each with its sentence. Raises `ConfigError` for a file that cannot be read, and `LedgerError`.
    """
    labels, problems = [], []
    for number, line in _lines(path):
        try:
            labels.append(_label(line, ledger, now_s))
        except (ValueError, LedgerError) as error:
            problems.append(f"{path}:{number}: {error}")
    known = {_key(label) for name in {label.name for label in labels} for label in ledger.labels(name)}
    new = list({_key(label): label for label in labels if _key(label) not in known}.values())
    ledger.add_labels(new)
    return len(new), len(labels) - len(new), problems


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"{path} cannot be read ({reason}); wanted a file of JSON lines") from None
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def _label(line: str, ledger: Ledger, now_s: float) -> Label:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, or a number of thousands of digits
        raise ValueError("found no JSON, wanted an object with " + ", ".join(FIELDS)) from None
    if not isinstance(row, dict):
        raise ValueError(f"found {type(row).__name__}, wanted an object with {', '.join(FIELDS)}")
    values = {key: _value(row, key, kind) for key, kind in FIELDS.items()}
    if unknown := sorted(set(row) - {*FIELDS, "at_s"}):
        raise ValueError(f"found the unknown key {unknown[0]!r}, wanted {', '.join(FIELDS)}")
    at_s = _seconds(row.get("at_s", now_s))
    ledger.release(values["name"], values["release"])
    return Label(at_s=at_s, **values)


def _value(row: dict[str, Any], key: str, kind: type) -> Any:
    if key not in row:
        raise ValueError(f"{key} is missing, wanted {', '.join(FIELDS)}")
    value = row[key]
    if not isinstance(value, kind) or isinstance(value, bool) or value == "":
        raise ValueError(f"{key}: found {value!r:.100}, wanted {'text' if kind is str else 'a whole number'}")
    if isinstance(value, str) and not (len(value) <= MAX_CHARACTERS and value.isprintable()):
        raise ValueError(f"{key}: found {value!r:.100}, wanted at most {MAX_CHARACTERS} printable characters")
    if isinstance(value, int) and not 0 <= value < 1_000_000:
        raise ValueError(f"{key}: found {value!s:.100}, wanted 0 to 999999")
    return value


def _seconds(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 1e11:  # compared before it is a float: a long number is none
        raise ValueError(f"at_s: found {value!r:.100}, wanted seconds since 1970")
    return float(value)


def _key(label: Label) -> tuple[str, str, int, int, int]:
    return label.stream_id, label.name, label.release, label.words, label.errors
