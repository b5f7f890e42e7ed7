"""The looks that gates took at a data set, one a line in a file: with each, chance has one more try.

A look's part of the 5 % is 1 / looks where their number was planned, else 6 / (pi * look) ** 2: 3 % at the first look,
0.8 % at the second. Over any number of looks the parts add up to 5 % at most (Bonferroni).
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from asr.errors import ConfigError

LEDGER = "looks.jsonl"
"""Its name in the baseline's folder."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a data set.

    Attributes:
        number: 1 for the first.
        planned: How many there are to be; None: not planned.
    """

    number: int = 1
    planned: int | None = None

    @property
    def divisor(self) -> float:
        """By what alpha is divided at this look."""
        return self.planned or (math.pi * self.number) ** 2 / 6

    def __str__(self) -> str:
        of = "" if self.planned is None else f" of {self.planned}"
        return f"look {self.number}{of} at this data"


@dataclass(frozen=True, slots=True)
class Ledger:
    """The file. Looks at data sets of one name are looks at one set, also when it has grown."""

    path: Path

    def look(self, name: str, data: Mapping[str, str], planned: int | None) -> Look:
        """The number of the look of this name at this data; one that was taken already keeps its number.

        Raises `ConfigError` where all planned looks were taken, or the file cannot be read.
        """
        sets = _sets(data)
        taken = [look for look, theirs in self._entries() if sets & theirs]
        number = taken.index(name) + 1 if name in taken else len(taken) + 1
        if planned is not None and number > planned:
            how = "wanted new data, or a new baseline with a ledger of its own"
            raise ConfigError(f"{self.path}: {planned} planned looks at this data were taken, {how}")
        return Look(number, planned)

    def record(self, name: str, data: Mapping[str, str]) -> None:
        """Adds the look, once. Raises `ConfigError` where the file cannot be written."""
        sets = _sets(data)
        if any(look == name and sets & theirs for look, theirs in self._entries()):
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"look": name, "sets": sorted(sets)}, ensure_ascii=False) + "\n")
        except OSError as error:
            how = "name a file for --ledger that can"
            raise ConfigError(f"{self.path}: the look cannot be recorded ({error.strerror}); {how}") from None

    def _entries(self) -> list[tuple[str, set[str]]]:
        """The looks in order, with their data sets."""
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
            entries = [json.loads(line) for line in lines if line.strip()]
            return [(str(entry["look"]), set(entry["sets"])) for entry in entries]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.path} is no ledger of looks ({error}); wanted lines of the gate") from None


def look_name(run: Path, baseline: Path) -> str:
    """A name for the comparison of these two files of traces: the same traces are the same look."""
    sha256 = hashlib.sha256()
    for path in (run, baseline):
        sha256.update(path.read_bytes() if path.exists() else b"")
        sha256.update(b"\0")
    return sha256.hexdigest()


def _sets(data: Mapping[str, str]) -> set[str]:
    """The names of the data sets; a set under conditions is the set."""
    return {name.split("+")[0] for name in data}
