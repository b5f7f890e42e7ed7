"""One recording -> windows to recognise (see `asr.transcripts.recording`), a stretch at a time."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from asr.engine import Engine
from asr.errors import AudioError
from asr.events import Final
from asr.model_files.cache import sha256_of
from asr.models.base import Window
from asr.streaming.session import Session
from asr.transcripts.recording import windows_of
from batch.inputs import address
from batch.store import fetched, told


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells a file from itself before it was changed."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A stretch of a recording: windows in order, and the finals that their words go into.

    ``ended`` comes with the last stretch, and with it the length and the hash of the file.
    """

    windows: tuple[Window, ...]
    finals: tuple[Final, ...]
    ended: bool = False
    duration_s: float = 0.0
    sha256: str = ""
    mark: Mark = Mark(0, 0)


@dataclass(slots=True)
class Listener:
    """Reads one recording as it is asked to. Raises `AudioError` for what is none, or was changed meanwhile."""

    path: Path
    session: Session
    engine: Engine
    _mark: Mark | None = None
    _here: Path = Path()
    """The recording as a file of this machine: itself, or fetched from a store."""
    _fetching: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _blocks: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))

    def listen(self, seconds: float) -> Heard:
        """The next stretch, at least so long unless the recording ends."""
        try:
            return self._listen(seconds)
        except BaseException as error:
            self._fetching.close()
            if isinstance(error, AudioError) and self._here != self.path:
                raise AudioError(str(error).replace(str(self._here), str(address(self.path)))) from None
            raise

    def _listen(self, seconds: float) -> Heard:
        if self._mark is None:
            self._mark = mark_of(self.path)
            self._here = self._fetching.enter_context(fetched(self.path)) if address(self.path) else self.path
            self._blocks = read_blocks(self._here)
        windows: list[Window] = []
        until_s = self.session.received_s + seconds
        while self.session.received_s < until_s:
            block = next(self._blocks, None)
            if block is None:
                return self._last(windows)
            self.session.receive_audio(block)
            windows += windows_of(self.session, self.engine)
        return Heard(tuple(windows), self._finals())

    def _last(self, windows: list[Window]) -> Heard:
        self.session.receive_end()
        windows += windows_of(self.session, self.engine)
        digest = _sha256(self._here)
        self._fetching.close()
        if self._mark is None or mark_of(self.path) != self._mark:
            raise AudioError(f"found {self.path} changed while it was read; wanted a file that is whole: run again")
        return Heard(tuple(windows), self._finals(), True, self.session.received_s, digest, self._mark)

    def _finals(self) -> tuple[Final, ...]:
        return tuple(event for event in self.session.take_events() if isinstance(event, Final))


def mark_of(path: Path) -> Mark:
    """Raises `AudioError`."""
    if address(path):
        return Mark(*told(path))
    try:
        stat = os.stat(path)
    except OSError as error:
        raise AudioError(f"found {path} unreadable ({error.strerror}); wanted a recording") from None
    return Mark(stat.st_size, stat.st_mtime_ns)


def _sha256(path: Path) -> str:
    try:
        return sha256_of([path])
    except OSError as error:
        raise AudioError(f"found {path} unreadable ({error.strerror}); wanted a recording") from None
