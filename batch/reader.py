"""One recording -> windows of speech to recognise (see `asr.transcripts.recording`), part by part."""

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
from batch.messages import FileVersion, RecordingEnd, RecordingPart
from batch.store import downloaded, object_version
from batch.urls import url_of


@dataclass(slots=True)
class RecordingReader:
    """Reads one recording; the engine only finds speech here. Not used again after an error."""

    path: Path
    session: Session
    engine: Engine
    _version: FileVersion | None = None
    """When the first part was read."""
    _local: Path = Path()
    """The file that is read: `path`, or a download of it."""
    _download: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _notices: list[str] = field(default_factory=list)
    _blocks: Iterator[np.ndarray] = field(default_factory=lambda: iter(()))

    def read(self, seconds: float) -> RecordingPart:
        """The next part: at least `seconds` of audio unless the recording ends.

        Raises `AudioError` for a file that is not a recording, or that changed since the first part.
        """
        try:
            return self._read(seconds)
        except BaseException as error:
            self._download.close()
            if isinstance(error, AudioError) and url_of(self.path) and self._local.name:
                raise AudioError(str(error).replace(str(self._local), str(url_of(self.path)))) from None
            raise

    def _read(self, seconds: float) -> RecordingPart:
        if self._version is None:
            self._version = file_version(self.path)
            self._local = self._download.enter_context(downloaded(self.path)) if url_of(self.path) else self.path
            self._blocks = read_blocks(self._local, on_notice=self._notices.append)
        windows: list[Window] = []
        until_s = self.session.received_s + seconds
        while self.session.received_s < until_s:
            block = next(self._blocks, None)
            if block is None:
                return self._last_part(windows)
            self.session.receive_audio(block)
            windows += windows_of(self.session, self.engine)
        return RecordingPart(tuple(windows), self._finals())

    def _last_part(self, windows: list[Window]) -> RecordingPart:
        self.session.receive_end()
        windows += windows_of(self.session, self.engine)
        digest = _sha256(self._local)
        self._download.close()
        if self._version is None or file_version(self.path) != self._version:
            raise AudioError(f"found {self.path} changed while it was read; wanted a complete file: run again")
        end = RecordingEnd(self.session.received_s, digest, self._version, tuple(self._notices))
        return RecordingPart(tuple(windows), self._finals(), end)

    def _finals(self) -> tuple[Final, ...]:
        return tuple(event for event in self.session.take_events() if isinstance(event, Final))


def file_version(path: Path) -> FileVersion:
    """The present version of a file or object. Raises `AudioError` where it cannot be read."""
    if url_of(path):
        return object_version(path)
    try:
        stat = os.stat(path)
    except OSError as error:
        raise AudioError(f"found {path} unreadable ({error.strerror}); wanted a recording") from None
    return FileVersion(stat.st_size, stat.st_mtime_ns)


def _sha256(path: Path) -> str:
    try:
        return sha256_of([path])
    except OSError as error:
        raise AudioError(f"found {path} unreadable ({error.strerror}); wanted a recording") from None
