"""One run over folders: what is left to do, done, written and noted; and what there is to say at the end."""

import errno
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from asr.errors import AudioError, CallerError
from asr.model_files.cache import sha256_of
from asr.transcripts.formats import FORMATS, Transcript, with_word_times
from asr.transcripts.recording import transcript_of
from batch.inputs import Failure, Found, Recording, address, name_of
from batch.journal import FAILURES, Entry, Journal, Speed, journal_in, journal_of
from batch.loop import Done, Failed, Outcome
from batch.outputs import FULL, Outputs
from batch.recordings import Mark, mark_of
from batch.worker import Hello, Task

if TYPE_CHECKING:
    from batch.store import StoredJournal, StoredOutputs

    AnyOutputs = Outputs | StoredOutputs
    AnyJournal = Journal | StoredJournal

VERSION = 2
"""Raised when texts change for reasons that neither weights nor settings tell."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the command asks for."""

    folder: Path
    task: Task
    formats: tuple[str, ...] = ("txt",)
    word_times: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to. ``kept`` were done before; ``audio_s`` of those done now."""

    done: int
    kept: int
    failures: tuple[Failure, ...]
    audio_s: float
    wall_s: float

    @property
    def speed(self) -> float | None:
        """Times real time; None where nothing was done."""
        return self.audio_s / self.wall_s if self.audio_s and self.wall_s else None

    def __add__(self, other: "Summary") -> "Summary":
        mine = {failure.path: failure for failure in (*self.failures, *other.failures)}
        return Summary(
            self.done + other.done,
            max(self.kept, other.kept),
            tuple(mine.values()),
            self.audio_s + other.audio_s,
            self.wall_s + other.wall_s,
        )


class Watcher(Protocol):
    """Who shows how far it is."""

    def begin(self, recordings: Sequence[Recording], kept: int) -> None: ...
    def heard(self, seconds: float) -> None: ...
    def done(self, recording: Recording) -> None: ...
    def failed(self, failure: Failure) -> None: ...


Work = Callable[[Sequence[Recording], Callable[[float], None]], Iterator[Outcome]]
"""Recordings, and whom to tell of seconds recognised -> their outcomes, in any order."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """Who works: what recognises there, and the work itself."""

    hello: Hello
    workers: int
    work: Work


Hire = Callable[[], AbstractContextManager[Workplace]]
"""Starts the workers, which takes seconds; not called where nothing is left to do."""


def task_key(order: Order, weights_sha256: str, precision: str) -> str:
    """The hash of all that a text depends on but the recording itself."""
    table = [VERSION, weights_sha256, precision, order.word_times, _settings(order, precision)]
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def outputs_of(folder: Path) -> "AnyOutputs":
    """Where texts go: a folder, or an address."""
    if address(folder) is None:
        return Outputs(folder)
    from batch.store import StoredOutputs

    return StoredOutputs(folder)


def opened_notes(folder: Path) -> AbstractContextManager["AnyJournal"]:
    """The journal there, for one run. Raises `ConfigError` while another has it."""
    return journal_in(folder) if address(folder) is None else nullcontext(_stored(folder))


def read_notes(folder: Path) -> "AnyJournal":
    """What the journal there says; nothing is made."""
    return journal_of(folder) if address(folder) is None else _stored(folder)


def _stored(folder: Path) -> "StoredJournal":
    from batch.store import StoredJournal

    journal = StoredJournal(folder)
    journal.replay()
    return journal


def left_to_do(
    found: Found, journal: "AnyJournal", outputs: "AnyOutputs", key: str, formats: Sequence[str]
) -> tuple[Recording, ...]:
    """The recordings that are missing, changed or failed, the largest first: what takes longest must begin early."""
    left = [r for r in found.recordings if not _is_done(r, journal.entries.get(r.stem), outputs, key, formats)]
    return tuple(sorted(left, key=lambda recording: (-_size(recording.path), str(recording.path))))


def _is_done(
    recording: Recording, entry: Entry | None, outputs: "AnyOutputs", key: str, formats: Sequence[str]
) -> bool:
    if entry is None or entry.task != key or entry.input != name_of(recording.path):
        return False
    try:
        mark = mark_of(recording.path)
        same = mark == Mark(entry.size_bytes, entry.mtime_ns) or (
            mark.size_bytes == entry.size_bytes and sha256_of([recording.path]) == entry.sha256
        )
    except (AudioError, OSError):
        return False
    return same and outputs.hold(recording.stem, entry.outputs, formats)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def run(order: Order, found: Found, key: str, hire: Hire, watcher: Watcher, earlier: Sequence[Failure] = ()) -> Summary:
    """Do what is left. Raises `CallerError` when the disk is full; all that was done till then is noted.

    `earlier` failures, of rounds before, stay on the list.
    """
    with opened_notes(order.folder) as journal:
        outputs = outputs_of(order.folder)
        outputs.clear()
        left = left_to_do(found, journal, outputs, key, order.formats)
        kept = len(found.recordings) - len(left)
        watcher.begin(left, kept)
        for failure in found.failures:
            watcher.failed(failure)
        desk = _Desk(order, key, journal, outputs, watcher)
        desk.failures += found.failures
        try:
            if left:
                desk.work(left, hire)
        finally:
            _write_failures(outputs, (*earlier, *desk.failures))
            outputs.clear()
        return Summary(desk.count, kept, tuple(desk.failures), desk.audio_s, desk.wall_s)


class _Desk:
    """Where outcomes become files and notes."""

    def __init__(self, order: Order, key: str, journal: "AnyJournal", outputs: "AnyOutputs", watcher: Watcher) -> None:
        self._order, self._key, self._journal = order, key, journal
        self._outputs, self._watcher = outputs, watcher
        self.failures: list[Failure] = []
        self.count, self.audio_s, self.wall_s = 0, 0.0, 0.0

    def work(self, left: Sequence[Recording], hire: Hire) -> None:
        with hire() as place:
            began = time.monotonic()
            for outcome in place.work(left, self._watcher.heard):
                self._settle(outcome, place.hello)
            self.wall_s = time.monotonic() - began
        if self.audio_s:
            self._journal.ran(Speed(self._key, place.workers, round(self.audio_s, 3), round(self.wall_s, 3)))

    def _settle(self, outcome: Outcome, hello: Hello) -> None:
        if isinstance(outcome, Failed):
            self._fail(outcome.recording, str(outcome.error))
            return
        try:
            self._write(outcome, hello)
        except OSError as error:
            if error.errno in FULL:
                told = f"{self._order.folder} is full after {self.count} recordings, which are safe"
                raise CallerError(f"{told}; make room and run the same command again") from None
            why = error.strerror or type(error).__name__
            where = self._outputs.path(outcome.recording.stem, self._order.formats[0])
            self._fail(outcome.recording, f"{where} cannot be written ({why}); wanted a folder to write to")
            return
        self.count += 1
        self.audio_s += outcome.heard.duration_s
        self._watcher.done(outcome.recording)

    def _write(self, done: Done, hello: Hello) -> None:
        recording, heard, order = done.recording, done.heard, self._order
        transcript = replace(
            transcript_of(done.events, hello, heard.duration_s),
            audio_sha256=heard.sha256,
            settings=_settings(order, hello.precision),
        )
        hashes = self._outputs.write(recording.stem, texts_of(transcript, order.formats, order.word_times))
        self._journal.done(
            Entry(
                input=name_of(recording.path),
                stem=recording.stem,
                size_bytes=heard.mark.size_bytes,
                mtime_ns=heard.mark.mtime_ns,
                sha256=heard.sha256,
                task=self._key,
                outputs=hashes,
                audio_s=round(heard.duration_s, 3),
            )
        )

    def _fail(self, recording: Recording, sentence: str) -> None:
        failure = Failure(recording.path, sentence)
        self.failures.append(failure)
        self._watcher.failed(failure)


def texts_of(transcript: Transcript, formats: Sequence[str], word_times: bool) -> dict[str, str]:
    """The transcript in each format."""
    return {name: (with_word_times(name) if word_times else FORMATS[name])(transcript) for name in formats}


def _settings(order: Order, precision: str) -> dict[str, object]:
    """What the transcript was made with, as JSON has it."""
    task = order.task
    asked = {
        "language": task.language or "auto",
        "prompt": task.prompt,
        "hotwords": list(task.hotwords),
        "precision": precision,
    }
    return asked | asdict(task.settings)


def _write_failures(outputs: "AnyOutputs", failures: Sequence[Failure]) -> None:
    """One sentence each, by name; no file where there are none."""
    rows = sorted({str(failure.path): failure.sentence for failure in failures}.items())
    lines = [json.dumps({"input": name, "error": sentence}) + "\n" for name, sentence in rows]
    try:
        outputs.write_list(FAILURES, "".join(lines))
    except OSError as error:
        if error.errno not in (*FULL, errno.EROFS):
            raise
