"""What crosses the pipe between a run and its workers, and nothing else. All values are frozen.

worker -> run   Hello once, or the error that loading raised
run -> worker   ReadPart     -> RecordingPart
run -> worker   Recognise    -> a Hypothesis for each window, in their order
                or an error instead
"""

from dataclasses import dataclass
from pathlib import Path

from asr.config import SessionSettings
from asr.events import Final
from asr.models.base import Window
from asr.transcripts.recording import Part
from server.workers.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class Task:
    """How a run recognises each of its recordings."""

    model: str
    language: str | None = None
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    precision: str = "auto"
    settings: SessionSettings = SessionSettings()  # noqa: RUF009 - frozen
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Hello:
    """The model is loaded. The fields are the properties of `asr.engine.Engine` of the same names."""

    name: str
    weights_sha256: str
    precision: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadPart:
    """Read the next `seconds` of the recording ``key``; a new key opens the file."""

    key: int
    path: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class FileVersion:
    """Changes when the content of a file may have changed."""

    size_bytes: int
    mtime_ns: int
    """Of an object in a store: a hash of what the store says of its version."""


@dataclass(frozen=True, slots=True)
class RecordingEnd:
    """Length, hash and version of a recording: they come with its last part."""

    duration_s: float
    sha256: str
    version: FileVersion
    notices: tuple[str, ...] = ()
    """What the user should know about the file, such as which audio track was read."""


@dataclass(frozen=True, slots=True)
class RecordingPart:
    """The speech of a part: windows in order, and the finals that their words go into."""

    windows: tuple[Window, ...]
    finals: tuple[Final, ...]
    end: RecordingEnd | None = None
    """How the recording ended; only the last part has it."""


@dataclass(frozen=True, slots=True)
class Recognise:
    """Recognise windows of similar length, of any recordings."""

    windows: tuple[Window, ...]


Request = ReadPart | Recognise
Answer = RecordingPart | tuple[tuple[Part, ...], ...]
Pool = WorkerPool[Hello, Request, Answer]
