"""An engine in a worker process, and its sessions: the server's end (see `server.workers.worker` for the other).

Python runs one thread at a time, and a model's step is a thousand small calls: two engines in one process, or an engine
beside the event loop, wait for each other (docs/log/serving.md#threads-or-processes-on-two-cores). Calls on a session
are kept here until its next step takes them along, so a stream costs one message each way per step.

A worker may die at any moment, with all its sessions. So a worker sends a checkpoint of a session now and then, and
`server.workers.lost_sessions` keeps the calls since then. `RemoteEngine.adopt` opens the checkpoint in another process
and makes the calls again. A session's events follow from its samples alone, so they come again as they were; those that
the owner has are dropped, and the stream goes on as if nothing had happened.
"""

import functools
import itertools
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.errors import AsrError, InternalError, ModelError
from asr.events import Event
from asr.streaming.session import check_audio, check_finalize
from server.config import ServerSettings
from server.workers.lost_sessions import Past
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


@dataclass(frozen=True, slots=True)
class ServedRelease:
    """The release that an engine serves: the model's name for clients, and `NAME/7`."""

    name: str
    ref: str
    check: Callable[[], object]
    """Compares all files of the folder with the release's hash. Raises an `AsrError`."""
    folder: Path


class RemoteEngine:
    """A `server.workers.contract.StreamEngine` in a process.

    `await_ready`, `open`, `adopt`, `step` and `restart` block, and one thread at a time may call them. `kill` and the
    properties never block: those are copies from the hello, so any thread may read them, also while a dead worker is
    being replaced.
    """

    def __init__(self, process: WorkerProcess[Hello, Request, Answer], served: "ServedRelease | None" = None) -> None:
        self._process, self._served = process, served
        self._keys = itertools.count()
        self._closed: deque[int] = deque()
        self._hello: Hello | None = None

    @classmethod
    def start(
        cls,
        model: str,
        threads: int = 1,
        served: "ServedRelease | None" = None,
        *,
        device: str = "cpu",
        is_beside: bool = False,
    ) -> "RemoteEngine":
        """Starts the process, which loads the model by name; does not wait for that. `threads` is torch's number there.

        `device`: as `Engine.load`. `served`: the model is the folder of this release. `is_beside`: it must not slow
        down the streams of others.
        """
        name = f"worker of {served.ref if served else model}"
        make = functools.partial(load_worker, model, threads, device)
        return cls(WorkerProcess(make, name, is_beside=is_beside), served)

    def await_ready(self) -> None:
        """Returns when the model is loaded; call it once, first.

        Raises what loading raised, `WorkerDied`, or `ModelError` for files that are not the release's.
        """
        self._hello = self._checked(self._process.await_hello())

    def _checked(self, hello: Hello) -> Hello:
        """The hello of a process that has loaded what it should have.

        The files are compared after they were loaded: if they changed before, they are not the same now.
        """
        try:
            if self._served:
                self._served.check()
            if self._hello is not None and hello != self._hello:
                raise ModelError(f"found other files of {self.name} than at the start; start the server again")
        except AsrError:
            self._process.kill()
            raise
        return hello

    @property
    def hello(self) -> Hello:
        """Raises `InternalError` before `await_ready`."""
        if self._hello is None:
            raise InternalError("found an engine whose worker is still loading, wanted `await_ready` first")
        return self._hello

    @property
    def name(self) -> str:
        return self._served.name if self._served else self.hello.name

    @property
    def release(self) -> str:
        return self._served.ref if self._served else ""

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
    def folder(self) -> Path | None:
        """Of a release."""
        return self._served.folder if self._served else None

    @property
    def pid(self) -> int | None:
        """The process id of the worker."""
        return self._process.pid

    def open(self, settings: SessionSettings, options: StreamOptions) -> "RemoteSession":
        """A new session. Raises `ConfigError` as `asr.engine.Engine.open`, and `WorkerError` as `step`."""
        request = Open(next(self._keys), settings, options)
        [state] = self._process.ask(request)
        session = RemoteSession(request, state)
        weakref.finalize(session, self._closed.append, request.key)
        return session

    def adopt(self, session: "RemoteSession") -> None:
        """Continues a session of a worker that has died, its own or another's. Raises as `step`.

        The next steps repeat what the dead worker did since the last checkpoint.
        """
        request = replace(session.reopening(), key=next(self._keys))
        [state] = self._process.ask(request)
        session.reopened(request.key, state)
        weakref.finalize(session, self._closed.append, request.key)

    def restart(self) -> None:
        """Replaces the process; `adopt` continues the sessions of the old one.

        Raises as `await_ready`, and `ModelError` if the model's files have changed: its words would not fit those of
        the streams that are open.
        """
        self._hello = self._checked(self._process.restart())

    @property
    def is_alive(self) -> bool:
        """Whether the process runs. Any thread may ask."""
        return self._process.is_alive

    def kill(self) -> None:
        """Kills the process, also one that hangs; the blocking call raises `WorkerDied`. Any thread may do it."""
        self._process.kill()

    def step(self, sessions: "Sequence[RemoteSession]") -> bool:
        """As `asr.engine.Engine.step`; `WorkerError` when the worker has failed, `WorkerDied` when it has ended."""
        closed = tuple(self._closed.popleft() for _ in range(len(self._closed)))
        states = self._process.ask(Step(closed, tuple(session.take_input() for session in sessions)))
        for session, state in zip(sessions, states, strict=True):
            session.receive_state(state)
        return any(state.early for state in states)

    def close(self) -> None:
        """Ends the worker process, whatever it does: nothing is kept of a session."""
        self._process.close(patience_s=0.0)


class RemoteSession:
    """A `server.workers.contract.StreamSession` whose `asr.streaming.session.Session` is in a worker."""

    def __init__(self, request: Open, state: State) -> None:
        self._key = request.key
        self._past = Past(request)
        self._calls: list[Call] = []
        self._audio: list[np.ndarray] = []
        self._received_samples = 0
        self._ending = False
        self._events: list[Event] = []
        self._show_s = 0.0
        self._urgent = False
        self._state = state
        self._decoded_s = self._voiced_until_s = 0.0
        self._retry = False

    # -- the stream's side: as `Session` -----------------------------------------------------------------------------

    @property
    def received_s(self) -> float:
        return self._received_samples / SAMPLE_RATE_HZ

    @property
    def decoded_s(self) -> float:
        """It never goes back, not even while a lost worker's steps are repeated: their events were given."""
        return self._decoded_s

    @property
    def reached_s(self) -> float:
        """As of the last step."""
        return self._state.decoded_s

    @property
    def voiced_until_s(self) -> float:
        return self._voiced_until_s

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
        self._past.calls += calls
        self._retry = True  # if the step fails, the worker has the input and still has to process it
        return Input(self._key, calls, self._show_s)

    def receive_state(self, state: State) -> None:
        """The session after the step."""
        self._state, self._retry = state, False
        self._decoded_s = max(self._decoded_s, state.decoded_s)
        self._voiced_until_s = max(self._voiced_until_s, state.voiced_until_s)
        self._events += self._past.new_events(state)
        self._urgent = self._urgent and state.ready

    # -- after the death of the worker: `reopening`, then `reopened` --------------------------------------------------

    def reopening(self) -> Open:
        """What opens it as it was at its last checkpoint; the key is to be replaced."""
        return self._past.request

    def reopened(self, key: int, state: State) -> None:
        """Another process has opened it. All calls since the checkpoint are made again."""
        self._key, self._state, self._retry = key, state, True
        self._calls = self._past.repeat() + self._calls


def load_engines(settings: ServerSettings) -> list[RemoteEngine]:
    """The workers of all models of the settings, loaded side by side. Raises `ModelError`, `WorkerDied`."""
    return await_all([engine for model in settings.models for engine in start_engines(model, settings)])


def await_all(engines: list[RemoteEngine]) -> list[RemoteEngine]:
    """The same, when all are ready. Raises what the first one raises, and ends all."""
    try:
        for engine in engines:
            engine.await_ready()
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines


def start_engines(
    model: str, settings: ServerSettings, served: ServedRelease | None = None, *, is_beside: bool = False
) -> list[RemoteEngine]:
    """The workers of one model, or of the release in the folder `model`, started; call `await_ready` of each.

    `is_beside`: they must not slow down the streams of others while they load.
    """
    count = settings.workers or (default_workers() if settings.device == "cpu" else 1)  # a GPU batches all streams
    threads, device = max(1, cores() // count), settings.device
    return [RemoteEngine.start(model, threads, served, device=device, is_beside=is_beside) for _ in range(count)]
