"""The work of one worker, in any process: read recordings and find their speech, recognise windows."""

from typing import assert_never

import torch

from asr.engine import Engine
from asr.streaming.session import Session
from asr.transcripts.recording import recognised
from batch.messages import Answer, Hello, ReadPart, Recognise, RecordingPart, Request, Task
from batch.reader import RecordingReader


def load_worker(task: Task) -> "BatchWorker":
    """A worker that computes in the task's threads: processes share the cores. Raises `ModelError`, `ConfigError`."""
    torch.set_num_threads(task.threads)
    return BatchWorker(task)


class BatchWorker:
    """A `server.workers.process.Handler`: an engine, and a reader for each recording that is not read to its end."""

    def __init__(self, task: Task) -> None:
        """Loads the model. Raises `ModelError`; `ConfigError` for a language or prompt that the model refuses."""
        self._task = task
        self._engine = Engine.load(task.model, precision=task.precision)
        self._readers: dict[int, RecordingReader] = {}
        self._open().receive_end()  # so that options which the model refuses fail here and not with each recording

    @property
    def hello(self) -> Hello:
        engine = self._engine
        return Hello(engine.name, engine.weights_sha256, engine.precision, engine.languages)

    @property
    def engine(self) -> Engine:
        return self._engine

    def answer(self, request: Request) -> Answer:
        """Raises `AudioError` for a file that is not a recording, and what the model raises."""
        match request:
            case ReadPart():
                return self._read(request)
            case Recognise():
                return tuple(recognised(request.windows, self._engine, self._task.settings.stream.gap_s))
            case _:
                assert_never(request)

    def _read(self, request: ReadPart) -> RecordingPart:
        """A reader that fails is dropped: the next request for its key opens the file again."""
        reader = self._readers.pop(request.key, None) or RecordingReader(request.path, self._open(), self._engine)
        part = reader.read(request.seconds)
        if part.end is None:
            self._readers[request.key] = reader
        return part

    def _open(self) -> Session:
        task = self._task
        return self._engine.open(
            task.settings, language=task.language, prompt=task.prompt, hotwords=task.hotwords, partials=False
        )
