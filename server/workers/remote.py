"""An engine in a process of its own, for the server's side of it: `asr.engine.Engine` and its sessions, at a distance.

Python runs one thread at a time, and a model's step is a thousand small calls: two engines in one process, or an engine
beside the event loop, wait for each other (docs/LOG.md). Each worker has its own Python. What a session is told waits
here until its next step, which takes it along; so a stream costs one message there and one back a step.
"""

import itertools
import multiprocessing
import weakref
from collections import deque
from collections.abc import Sequence
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np

from asr.config import SAMPLE_RATE_HZ, SessionSettings
from asr.events import Event
from asr.streaming.session import LISTEN_FRAMES, check_audio, check_finalize
from asr.streaming.vad import FRAME_SAMPLES
from server.workers.worker import Call, Hello, Open, State, Step, WorkerError, work

STOP_S = 5.0
"""A worker ends when its pipe does; one that has not by then is killed."""


class RemoteEngine:
    """One worker. `open` and `step` block and belong to one thread; a worker that died is started anew by `open`."""

    def __init__(self, model: str, threads: int = 1) -> None:
        self._model, self._threads = model, threads
        self._keys = itertools.count()
        self._gone: deque[int] = deque()
        self._hello: Hello | None = None
        self._lost = False
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks
        self._pipe, theirs = context.Pipe()
        self._process: SpawnProcess = context.Process(
            target=work, args=(theirs, self._model, self._threads), name=f"worker {self._model}", daemon=True
        )
        self._process.start()
        self._lost = False
        theirs.close()  # or the end of the process would not end the pipe

    def await_ready(self) -> None:
        """Returns when the model is loaded; raises what loading raised."""
        self._hello = self._received()

    @property
    def _known(self) -> Hello:
        if self._hello is None:
            self.await_ready()
        assert self._hello is not None
        return self._hello

    @property
    def name(self) -> str:
        return self._known.name

    @property
    def architecture(self) -> str:
        return self._known.architecture

    @property
    def weights_sha256(self) -> str:
        return self._known.weights_sha256

    @property
    def precision(self) -> str:
        return self._known.precision

    @property
    def languages(self) -> tuple[str, ...]:
        return self._known.languages

    @property
    def pid(self) -> int | None:
        """The worker's process."""
        return self._process.pid

    def open(
        self, settings: SessionSettings | None = None, *, partials: bool = True, **options: Any
    ) -> "RemoteSession":
        """As `asr.engine.Engine.open`."""
        if self._lost or not self._process.is_alive():
            self.close()
            self._hello = None
            self._start()
        if self._hello is None:
            self.await_ready()
        key = next(self._keys)
        self._ask(Open(key, settings, {"partials": partials, **options}))
        session = RemoteSession(key)
        weakref.finalize(session, self._gone.append, key)
        return session

    def step(self, sessions: "Sequence[RemoteSession]") -> None:
        """As `asr.engine.Engine.step`; `WorkerError` when the process has ended or failed."""
        gone = tuple(self._gone.popleft() for _ in range(len(self._gone)))
        states = self._ask(Step(gone, tuple((session.key, session.take_calls()) for session in sessions)))
        for session, state in zip(sessions, states, strict=True):
            session.receive_state(state)

    def close(self) -> None:
        """Ends the process."""
        self._pipe.close()
        self._process.join(STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _ask(self, request: Open | Step) -> Any:
        try:
            self._pipe.send(request)
        except OSError as error:
            raise self._loss() from error
        return self._received()

    def _received(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._loss() from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _loss(self) -> WorkerError:
        self._lost = True
        return WorkerError(f"the worker of {self._model} has ended")


class RemoteSession:
    """The owner's side of `asr.streaming.session.Session`. What it is told goes to the worker with the next step."""

    def __init__(self, key: int) -> None:
        self.key = key
        self._calls: list[Call] = []
        self._audio: list[np.ndarray] = []
        self._events: list[Event] = []
        self._received = self._sent = 0
        self._decoded_s = 0.0
        self._thinned = 0
        self._more = self._ending = self._ended = False

    @property
    def received_s(self) -> float:
        return self._received / SAMPLE_RATE_HZ

    @property
    def decoded_s(self) -> float:
        return self._decoded_s

    @property
    def lag_s(self) -> float:
        return self.received_s - self._decoded_s

    @property
    def ready(self) -> bool:
        """Whether the worker has more to do, or here is what it should know at once: some frames, or the end."""
        frames = self._received // FRAME_SAMPLES - self._sent // FRAME_SAMPLES
        return not self._ended and (self._more or bool(self._calls) or frames >= LISTEN_FRAMES)

    @property
    def ended(self) -> bool:
        return self._ended

    def receive_audio(self, samples: np.ndarray) -> None:
        check_audio(samples, self._ending)
        self._audio.append(samples)
        self._received += len(samples)

    def receive_finalize(self) -> None:
        check_finalize(self._ending)
        self._call("receive_finalize")

    def receive_end(self) -> None:
        if not self._ending:
            self._ending = True
            self._call("receive_end")

    def thin_partials(self) -> int:
        """Returns how many the call *before* this one forgot: the worker tells with its answer."""
        self._call("thin_partials")
        thinned, self._thinned = self._thinned, 0
        return thinned

    def take_events(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _call(self, name: str) -> None:
        self._flush_audio()
        self._calls.append((name, None))

    def _flush_audio(self) -> None:
        if self._audio:
            self._calls.append(("receive_audio", np.concatenate(self._audio)))
            self._audio.clear()

    # -- the engine's side -----------------------------------------------------------------------------------------

    def take_calls(self) -> tuple[Call, ...]:
        """All that the worker does not know yet."""
        self._flush_audio()
        calls, self._calls = tuple(self._calls), []
        self._sent, self._more = self._received, True  # should the step fail, there is still something to do
        return calls

    def receive_state(self, state: State) -> None:
        """What the worker tells after a step."""
        self._events += state.events
        self._decoded_s, self._more, self._ended = state.decoded_s, state.ready, state.ended
        self._thinned += state.thinned
