"""What one worker does, in any process: find the speech of recordings, recognise windows."""

import os
from dataclasses import dataclass
from pathlib import Path

from asr.config import SessionSettings
from asr.engine import Engine
from asr.models.base import Hypothesis, Window
from asr.streaming.session import Session
from asr.transcripts.recording import recognised
from batch.recordings import Heard, Listener
from server.workers.pool import WorkerPool


@dataclass(frozen=True, slots=True)
class Task:
    """How everything is to be recognised."""

    model: str
    language: str | None = None
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    precision: str = "auto"
    settings: SessionSettings = SessionSettings()  # noqa: RUF009 - frozen


@dataclass(frozen=True, slots=True)
class Hello:
    """The worker is ready; what recognises there."""

    name: str
    weights_sha256: str
    precision: str
    process: int


@dataclass(frozen=True, slots=True)
class Listen:
    """Listen on to the recording ``key``, which is begun where it is new."""

    key: int
    path: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Recognise:
    """Windows of like length."""

    windows: tuple[Window, ...]


Request = Listen | Recognise
Answer = Heard | tuple[Hypothesis, ...]
Pool = WorkerPool[Hello, Request, Answer]


def load_worker(task: Task) -> "BatchWorker":
    """A worker with one thread: the cores are shared by processes. Raises `ModelError`, `ConfigError`."""
    import torch

    torch.set_num_threads(1)
    return BatchWorker(task)


class BatchWorker:
    """A `server.workers.process.Handler`: an engine, and the recordings that it is reading."""

    def __init__(self, task: Task, engine: Engine | None = None) -> None:
        self._task = task
        self._engine = engine or Engine.load(task.model, precision=task.precision)
        self._listeners: dict[int, Listener] = {}
        self._open().receive_end()  # a language or prompt that the model does not take is found out now

    @property
    def hello(self) -> Hello:
        engine = self._engine
        return Hello(engine.name, engine.weights_sha256, engine.precision, os.getpid())

    @property
    def engine(self) -> Engine:
        return self._engine

    def answer(self, request: Request) -> Answer:
        """Raises `AudioError` for a recording that is none, and what the model raises."""
        if isinstance(request, Listen):
            return self._listen(request)
        return tuple(recognised(request.windows, self._engine))

    def _listen(self, request: Listen) -> Heard:
        listener = self._listeners.pop(request.key, None) or Listener(request.path, self._open(), self._engine)
        heard = listener.listen(request.seconds)
        if not heard.ended:
            self._listeners[request.key] = listener
        return heard

    def _open(self) -> Session:
        task = self._task
        return self._engine.open(
            task.settings, language=task.language, prompt=task.prompt, hotwords=task.hotwords, partials=False
        )
