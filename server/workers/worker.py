"""The recognition worker: one engine and its sessions, inside the worker process.

`server.workers.messages` are its requests and answers, `server.workers.remote` is the server's end.
"""

import os
from dataclasses import dataclass
from typing import assert_never

from asr.engine import Engine
from asr.errors import AsrError
from asr.streaming.session import Session
from server.workers.messages import (
    Answer,
    Audio,
    Call,
    End,
    Finalize,
    Hello,
    Input,
    Open,
    Request,
    State,
    Step,
)
from server.workers.process import WorkerError


def load_worker(model: str, threads: int) -> "RecognitionWorker":
    """The worker of a model; `threads` is torch's number, unless OMP_NUM_THREADS sets it. Raises `ModelError`."""
    return RecognitionWorker(Engine.load(model, threads=None if "OMP_NUM_THREADS" in os.environ else threads))


@dataclass(slots=True)
class _Stream:
    """An open session and what its next state reports."""

    session: Session
    error: AsrError | None = None
    """A session that refused a call has a hole in its input: it fails in every later step."""

    def receive(self, stream_input: Input) -> None:
        self.session.show_every(stream_input.show_s)
        try:
            for call in stream_input.calls:
                apply(call, self.session)
        except AsrError as error:
            self.error = error

    def state(self, early: bool = False) -> State:
        session = self.session
        return State(
            events=tuple(session.take_events()),
            decoded_s=session.decoded_s,
            voiced_until_s=session.voiced_until_s,
            ready=session.ready,
            ready_at_samples=session.ready_at_samples,
            ended=session.ended,
            early=early,
        )


class RecognitionWorker:
    """A `server.workers.process.Handler`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._streams: dict[int, _Stream] = {}

    @property
    def hello(self) -> Hello:
        engine = self._engine
        return Hello(engine.name, engine.architecture, engine.weights_sha256, engine.precision, tuple(engine.languages))

    @property
    def open_sessions(self) -> int:
        """Number of sessions held in memory."""
        return len(self._streams)

    def answer(self, request: Request) -> Answer:
        """Raises `ConfigError` for options that the model refuses, and whatever the step raised."""
        match request:
            case Open():
                return (self._open(request),)
            case Step():
                return self._step(request)
            case _:
                assert_never(request)

    def _open(self, request: Open) -> State:
        options = request.options
        session = self._engine.open(
            request.settings,
            language=options.language,
            prompt=options.prompt,
            hotwords=options.hotwords,
            partials=options.partials,
        )
        self._streams[request.key] = _Stream(session)
        return self._streams[request.key].state()

    def _step(self, request: Step) -> Answer:
        for key in request.closed:
            self._streams.pop(key, None)
        self._receive(request.inputs)
        streams = [self._stream(stream_input.key) for stream_input in request.inputs]
        early = self._engine.step([stream.session for stream in streams])
        return tuple(stream.state(early) for stream in streams)

    def _receive(self, inputs: tuple[Input, ...]) -> None:
        """All of them, before any failure is raised: the server does not send an input twice."""
        for stream_input in inputs:
            if stream := self._streams.get(stream_input.key):
                stream.receive(stream_input)

    def _stream(self, key: int) -> _Stream:
        """Raises the error of a stream that cannot be stepped."""
        stream = self._streams.get(key)
        if stream is None:
            raise WorkerError(f"stream {key} was opened in a worker process that has ended")
        if stream.error is not None:
            raise stream.error
        return stream


def apply(call: Call, session: Session) -> None:
    """Makes the call. Raises what the session raises."""
    match call:
        case Audio():
            session.receive_audio(call.samples)
        case Finalize():
            session.receive_finalize()
        case End():
            session.receive_end()
        case _:
            assert_never(call)
