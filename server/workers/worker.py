"""The recognition worker: one engine and its sessions, inside the worker process.

`server.workers.messages` are its requests and answers, `server.workers.remote` is the server's end.
"""

import os
import pickle
from dataclasses import dataclass
from typing import assert_never

from asr.engine import Engine
from asr.errors import AsrError
from asr.streaming.session import Session
from server.workers.messages import Answer, Hello, Input, Open, Request, State, Step, apply
from server.workers.process import WorkerError


def load_worker(model: str, threads: int, device: str = "cpu") -> "RecognitionWorker":
    """The worker of a model; `threads` is torch's number, unless OMP_NUM_THREADS sets it. Raises as `Engine.load`."""
    own_threads = None if "OMP_NUM_THREADS" in os.environ else threads
    return RecognitionWorker(Engine.load(model, threads=own_threads, device=device))


CHECKPOINT_S, CHECKPOINT_CALLS = 2.0, 64
"""After so much more audio, or so many calls, a session is saved as soon as it holds no memory of the model: in a
pause, or when its window was cut, which happens at least every 30 s with Whisper. It is then some 0.1 MB and takes
0.5 ms."""
LATEST_CHECKPOINT_S, LATEST_CHECKPOINT_CALLS = 40.0, 4096
"""After so much, it is saved with the memory, a hundred times as large. This bounds what the server keeps, and how much
is recognised again, for models whose memory lasts as long as the speech (CTC)."""


@dataclass(slots=True)
class _Stream:
    """An open session and what its next state reports."""

    session: Session
    error: AsrError | None = None
    """A session that refused a call has a hole in its input: it fails in every later step."""
    saved_s: float = 0.0
    """The audio received at the last checkpoint."""
    calls: int = 0
    """The calls since the last checkpoint."""

    def receive(self, stream_input: Input) -> None:
        self.session.show_every(stream_input.show_s)
        self.calls += len(stream_input.calls)
        try:
            for call in stream_input.calls:
                apply(call, self.session)
        except AsrError as error:
            self.error = error

    def state(self, early: bool = False) -> State:
        session = self.session
        events = tuple(session.take_events())  # before the checkpoint: it must not repeat them
        return State(
            events=events,
            decoded_s=session.decoded_s,
            voiced_until_s=session.voiced_until_s,
            ready=session.ready,
            ready_at_samples=session.ready_at_samples,
            ended=session.ended,
            early=early,
            checkpoint=self._checkpoint(),
        )

    def _checkpoint(self) -> bytes:
        """The session, if it is time to save it."""
        session = self.session
        new_s, has_memory = session.received_s - self.saved_s, session.has_memory
        least_s, calls = (
            (LATEST_CHECKPOINT_S, LATEST_CHECKPOINT_CALLS) if has_memory else (CHECKPOINT_S, CHECKPOINT_CALLS)
        )
        if session.ended or (new_s < least_s and self.calls < calls):
            return b""
        self.saved_s, self.calls = session.received_s, 0
        return pickle.dumps(session, pickle.HIGHEST_PROTOCOL)


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
        session = pickle.loads(request.checkpoint) if request.checkpoint else self._new_session(request)
        self._streams[request.key] = stream = _Stream(session, saved_s=session.received_s)
        return stream.state()

    def _new_session(self, request: Open) -> Session:
        options = request.options
        return self._engine.open(
            request.settings,
            language=options.language,
            prompt=options.prompt,
            hotwords=options.hotwords,
            partials=options.partials,
            vitals=options.vitals,
        )

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
