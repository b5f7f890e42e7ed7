"""The journal of an output folder: one JSON line for each recording that is done, so that the next run skips it.

A line is appended and synced after the files that it lists are complete. A crash therefore costs only the recordings in
progress. A line that a crash cut short is removed when the journal is opened again.
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

STATE_FOLDER = ".steadyword"
"""Beside the texts: the journal, and files that are being written."""
FAILURES = "failures.jsonl"
RESERVED = (FAILURES, STATE_FOLDER)
"""Names in the output folder that no recording may take."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The texts of one recording.

    ``sha256`` is the hash of the recording, ``task`` that of the model and all settings (`batch.job.job_key`), and
    ``outputs`` holds the hash of each format's file.
    """

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
    """What a finished run measured."""

    task: str
    workers: int
    audio_s: float
    wall_s: float


@dataclass(slots=True)
class Journal:
    """Open for one run, which holds its lock."""

    file: BinaryIO
    entries: dict[str, Entry] = field(default_factory=dict)
    """By stem: the latest, with the formats that earlier runs of the same task wrote."""
    speeds: list[Speed] = field(default_factory=list)

    def record(self, entry: Entry) -> None:
        """Writes a line to the disk. Raises OSError; then there is no line."""
        self.entries[entry.stem] = merged(self.entries.get(entry.stem), entry)
        self._append({"done": asdict(entry)})

    def record_speed(self, speed: Speed) -> None:
        """For the next estimate. Raises OSError."""
        self.speeds.append(speed)
        self._append({"ran": asdict(speed)})

    def _append(self, table: Mapping[str, object]) -> None:
        self.file.write(json.dumps(table).encode("ascii") + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())

    def replay(self) -> None:
        """Reads the lines of earlier runs, and removes an incomplete last one."""
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
                self.entries[entry.stem] = merged(self.entries.get(entry.stem), entry)
            elif "ran" in table:
                self.speeds.append(Speed(**table["ran"]))
        except (ValueError, TypeError, KeyError):
            return  # a damaged line: its recording is done again


@contextlib.contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """The journal of a folder, locked; a new one if there is none.

    Raises `ConfigError` while another run has it, and for a folder that cannot be written to.
    """
    path = folder / STATE_FOLDER / "journal.jsonl"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError(f"{folder} cannot be written to ({why}); wanted a folder for the texts") from None
    with open(descriptor, "rb+", buffering=1 << 16) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another run is writing to {folder}; wanted one at a time") from None
        journal = Journal(file)
        journal.replay()
        yield journal


def read_journal(folder: Path) -> Journal:
    """The journal of a folder, to read only: no file is made or locked. Empty if there is none."""
    try:
        with (folder / STATE_FOLDER / "journal.jsonl").open("rb") as file:
            journal = Journal(file)
            for line in file:
                journal._take(line)
            return journal
    except OSError:
        return Journal(open(os.devnull, "rb"))


def merged(old: Entry | None, new: Entry) -> Entry:
    """The new entry, with the old one's formats as well if recording and task are the same."""
    if old is None or (old.sha256, old.task) != (new.sha256, new.task):
        return new
    table = asdict(new) | {"outputs": {**old.outputs, **new.outputs}}
    return Entry(**table)
