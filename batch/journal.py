"""What is done, one JSON line a recording, appended and synced when its texts are whole: the memory of a long run.

A line is written after the files that it speaks of. A crash therefore costs the recordings in hand and nothing else; a
line that was cut by one is cut off when the journal is opened again.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from asr.errors import ConfigError

NOTES = ".steadyword"
"""The folder beside the texts that holds the journal and files in the making."""
FAILURES = "failures.jsonl"
RESERVED = (FAILURES, NOTES)


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording's texts. ``task`` is the hash of model and settings, ``outputs`` that of each format's file."""

    input: str
    stem: str
    size_bytes: int
    mtime_ns: int
    sha256: str
    task: str
    outputs: Mapping[str, str]
    audio_s: float


@dataclass(frozen=True, slots=True)
class Speed:
    """A run that ended: so much audio in so much time by so many workers."""

    task: str
    workers: int
    audio_s: float
    wall_s: float


@dataclass(slots=True)
class Journal:
    """Open for one run: nobody else can open it meanwhile."""

    file: BinaryIO
    entries: dict[str, Entry] = field(default_factory=dict)
    """The last one of each stem; formats written by earlier runs of the same task stay in it."""
    speeds: list[Speed] = field(default_factory=list)

    def done(self, entry: Entry) -> None:
        """Write it down for good. Raises OSError, then nothing was noted."""
        self.entries[entry.stem] = joined(self.entries.get(entry.stem), entry)
        self._append({"done": asdict(entry)})

    def ran(self, speed: Speed) -> None:
        """Remember how fast it went, for the next estimate."""
        self.speeds.append(speed)
        self._append({"ran": asdict(speed)})

    def _append(self, table: Mapping[str, object]) -> None:
        self.file.write(json.dumps(table).encode("ascii") + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def replay(self) -> None:
        """Read what earlier runs noted, and cut a torn end off."""
        self.file.seek(0)
        whole = 0
        for line in self.file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            self._take(line)
        self.file.truncate(whole)
        self.file.seek(whole)

    def _take(self, line: bytes) -> None:
        try:
            table = json.loads(line)
            if "done" in table:
                entry = Entry(**table["done"])
                self.entries[entry.stem] = joined(self.entries.get(entry.stem), entry)
            elif "ran" in table:
                self.speeds.append(Speed(**table["ran"]))
        except (ValueError, TypeError, KeyError):
            return  # damaged: its recording is done again


@contextlib.contextmanager
def journal_in(folder: Path) -> Iterator[Journal]:
    """The folder's journal, made where there is none. Raises `ConfigError` while another run has it."""
    notes = folder / NOTES
    notes.mkdir(parents=True, exist_ok=True)
    path = notes / "journal.jsonl"
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "rb+", buffering=1 << 16) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another run is writing to {folder}; wanted one at a time") from None
        journal = Journal(file)
        journal.replay()
        yield journal


def journal_of(folder: Path) -> Journal:
    """What the folder's journal says, to look at: nothing is made or locked."""
    try:
        with (folder / NOTES / "journal.jsonl").open("rb") as file:
            journal = Journal(file)
            for line in file:
                journal._take(line)
            return journal
    except OSError:
        return Journal(open(os.devnull, "rb"))


def joined(old: Entry | None, new: Entry) -> Entry:
    """The new entry with the formats that the old one had of the same sound and task."""
    if old is None or (old.sha256, old.task) != (new.sha256, new.task):
        return new
    table = asdict(new) | {"outputs": {**old.outputs, **new.outputs}}
    return Entry(**table)
