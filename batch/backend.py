"""Where a run's recordings are transcribed (`batch.local`, `batch.ray_cluster`), and what comes of each recording."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from asr.errors import AsrError
from asr.events import Event
from batch.inputs import Recording
from batch.messages import Hello, RecordingEnd


@dataclass(frozen=True, slots=True)
class Done:
    """A recording that was transcribed from beginning to end."""

    recording: Recording
    end: RecordingEnd
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A recording that gives no transcript, and why."""

    recording: Recording
    error: AsrError


Outcome = Done | Failed

OnAudio = Callable[[float], None]
"""Called with the seconds of speech that were just recognised."""

Transcribe = Callable[[Sequence[Recording], OnAudio], Iterator[Outcome]]
"""Yields the outcome of each recording, in any order, as it comes."""


@dataclass(frozen=True, slots=True)
class Backend:
    """Workers that are ready: their model, their number, and their work."""

    hello: Hello
    workers: int
    transcribe: Transcribe


StartBackend = Callable[[], AbstractContextManager[Backend]]
"""Starts the workers, which takes seconds: called only when there is something to do."""
