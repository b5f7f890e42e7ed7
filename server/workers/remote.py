"""An engine in a worker process, and its sessions: the server's end (see `server.workers.worker` for the other).

Python runs one thread at a time, and a model's step is a thousand small calls: two engines in one process, or an engine
beside the event loop, wait for each other (docs/log/serving.md#threads-or-processes-on-two-cores). Calls on a session
are kept here until its next step takes them along, so a stream costs one message each way per step.
"""

import functools
import itertools
import weakref
from collections import deque
from collections.abc import Sequence

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.errors import InternalError
from asr.events import Event
from asr.streaming.session import check_audio, check_finalize
from server.config import ServerSettings
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
    StreamOptions,
)
from server.workers.pool import cores, default_workers
from server.workers.process import WorkerProcess
from server.workers.worker import load_worker


class RemoteEngine:
    """A `server.workers.contract.StreamEngine` in a process.

    `await_ready`, `open` and `step` block, and one thread at a time may call them. The properties never block: they are
    copies from the hello, so any thread may read them, also while a dead worker is being replaced.
    """

    def __init__(self, process: WorkerProcess[Hello, Request, Answer]) -> None:
        self._process = process
        self._keys = itertools.count()
        self._closed: deque[int] = deque()
        self._hello: Hello | None = None

    @classmethod
    def start(cls, model: str, threads: int = 1) -> "RemoteEngine":
        """Starts the process, which loads the model by name; does not wait. `threads` is torch's number there."""
        return cls(WorkerProcess(functools.partial(load_worker, model, threads), f"worker of {model}"))

    def await_ready(self) -> None:
        """Returns when the model is loaded; call it once, first. Raises what loading raised, or `WorkerDied`."""
        self._hello = self._process.await_hello()

    @property
    def hello(self) -> Hello:
        """Raises `InternalError` before `await_ready`."""
        if self._hello is None:
            raise InternalError("found an engine whose worker is still loading, wanted `await_ready` first")
        return self._hello

    @property
    def name(self) -> str:
        return self.hello.name

    @property
    def architecture(self) -> str:
        return self.hello.architecture

    @property
    def weights_sha256(self) -> str:
        return self.hello.weights_sha256

    @property
    def precision(self) -> str:
        return self.hello.precision

    @property
    def languages(self) -> tuple[str, ...]:
        return self.hello.languages

    @property
    def pid(self) -> int | None:
        """The process id of the worker."""
        return self._process.pid

    def open(self, settings: SessionSettings, options: StreamOptions) -> "RemoteSession":
        """A new session, after a new process where the last one has died.

        Raises `ConfigError` as `asr.engine.Engine.open`; `WorkerError` for a worker that fails or does not start.
        """
        if not self._process.is_alive:
            self.restart()
        key = next(self._keys)
        [state] = self._process.ask(Open(key, settings, options))
        session = RemoteSession(key, state)
        weakref.finalize(session, self._closed.append, key)
        return session

    def restart(self) -> None:
        """Replaces the process; every session of the old one is lost. Raises as `await_ready`."""
        self._hello = self._process.restart()

    def step(self, sessions: "Sequence[RemoteSession]") -> bool:
        """As `asr.engine.Engine.step`; `WorkerError` when the worker has failed, `WorkerDied` when it has ended."""
        closed = tuple(self._closed.popleft() for _ in range(len(self._closed)))
        states = self._process.ask(Step(closed, tuple(session.take_input() for session in sessions)))
        for session, state in zip(sessions, states, strict=True):
            session.receive_state(state)
        return any(state.early for state in states)

    def close(self) -> None:
        """Ends the worker process; it is killed if it does not end in time."""
        self._process.close()


class RemoteSession:
    """A `server.workers.contract.StreamSession` whose `asr.streaming.session.Session` is in a worker."""

    def __init__(self, key: int, state: State) -> None:
        self._key = key
        self._calls: list[Call] = []
        self._audio: list[np.ndarray] = []
        self._received_samples = 0
        self._ending = False
        self._events: list[Event] = []
        self._show_s = 0.0
        self._urgent = False
        self._state = state
        self._retry = False

    # -- the stream's side: as `Session` -----------------------------------------------------------------------------

    @property
    def received_s(self) -> float:
        return self._received_samples / SAMPLE_RATE_HZ

    @property
    def decoded_s(self) -> float:
        return self._state.decoded_s

    @property
    def voiced_until_s(self) -> float:
        return self._state.voiced_until_s

    @property
    def lag_s(self) -> float:
        return self.received_s - self.decoded_s

    @property
    def ready(self) -> bool:
        """True if the worker has work left, or if there is something here that it should process now."""
        if self.ended:
            return False
        has_news = bool(self._calls) or self._received_samples >= self._state.ready_at_samples
        return self._state.ready or self._retry or has_news

    @property
    def ended(self) -> bool:
        return self._state.ended

    @property
    def is_urgent(self) -> bool:
        return self._urgent

    def receive_audio(self, samples: np.ndarray) -> None:
        check_audio(samples, self._ending)
        self._audio.append(samples)
        self._received_samples += len(samples)

    def receive_finalize(self) -> None:
        check_finalize(self._ending)
        self._urgent = True
        self._call(Finalize())

    def receive_end(self) -> None:
        if not self._ending:
            self._ending = self._urgent = True
            self._call(End())

    def show_every(self, seconds: float) -> None:
        self._show_s = seconds

    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _call(self, call: Call) -> None:
        self._flush_audio()
        self._calls.append(call)

    def _flush_audio(self) -> None:
        """One array for all chunks: the samples cross the pipe in one piece."""
        if self._audio:
            self._calls.append(Audio(np.concatenate(self._audio)))
            self._audio.clear()

    # -- the engine's side: `take_input`, then `receive_state` unless the step fails ----------------------------------

    def take_input(self) -> Input:
        """All calls that the worker has not received yet."""
        self._flush_audio()
        calls, self._calls = tuple(self._calls), []
        self._retry = True  # if the step fails, the worker has the input and still has to process it
        return Input(self._key, calls, self._show_s)

    def receive_state(self, state: State) -> None:
        """The session after the step."""
        self._state, self._retry = state, False
        self._events += state.events
        self._urgent = self._urgent and state.ready


def load_engines(settings: ServerSettings) -> list[RemoteEngine]:
    """The workers of all models of the settings, loaded side by side. Raises `ModelError`, `WorkerDied`."""
    count = settings.workers or default_workers()
    threads = max(1, cores() // count)
    engines = [RemoteEngine.start(model, threads) for model in settings.models for _ in range(count)]
    try:
        for engine in engines:
            engine.await_ready()
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines
