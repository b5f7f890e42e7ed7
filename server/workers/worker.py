"""A process that recognises: one engine and its sessions, behind a pipe. `server.workers.remote` is the other end.

<- Hello, or the error that loading raised
-> Open                <- None, or an error
-> Step                <- a State for each session, or an error: then no session has lost or said anything
end of the pipe: the process ends
"""

import os
import signal
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from asr.config import SessionSettings
from asr.engine import Engine
from asr.errors import AsrError
from asr.events import Event
from asr.streaming.session import Session

Call = tuple[str, Any]
"""A method of `asr.streaming.session.Session` that takes input, and its argument or None."""


class WorkerError(Exception):
    """What went wrong in the worker and is nobody's fault outside; its notes say where."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The engine is ready."""

    name: str
    architecture: str
    weights_sha256: str
    precision: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """Open a session and call it ``key`` from now on."""

    key: int
    settings: SessionSettings | None
    options: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """Forget the sessions ``gone``, apply the calls of the others, and advance these."""

    gone: tuple[int, ...]
    calls: tuple[tuple[int, tuple[Call, ...]], ...]


@dataclass(frozen=True, slots=True)
class State:
    """A session after a step. ``thinned`` counts what its `thin_partials` has forgotten since the step before."""

    events: list[Event]
    decoded_s: float
    ready: bool
    ended: bool
    thinned: int


def work(pipe: Connection, model: str, threads: int) -> None:
    """The life of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the server says when it is over
    try:
        engine = Engine.load(model, threads=None if "OMP_NUM_THREADS" in os.environ else threads)
    except Exception as error:  # noqa: BLE001 - told to the server, which raises it
        pipe.send(_told(error))
        return
    pipe.send(Hello(engine.name, engine.architecture, engine.weights_sha256, engine.precision, tuple(engine.languages)))
    worker = Worker(engine)
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return  # the server has gone
        try:
            pipe.send(worker.answer(request))
        except BrokenPipeError:
            return


class Worker:
    """The sessions of one engine, by key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions: dict[int, Session] = {}
        self._broken: dict[int, Exception] = {}

    def answer(self, request: Open | Step) -> list[State] | Exception | None:
        """What the other end wants to know; errors are values here."""
        try:
            if isinstance(request, Step):
                return self._step(request)
            self._sessions[request.key] = self._engine.open(request.settings, **request.options)
            return None
        except Exception as error:  # noqa: BLE001 - the other end raises it
            return _told(error)

    def _step(self, request: Step) -> list[State]:
        for key in request.gone:
            self._sessions.pop(key, None)
            self._broken.pop(key, None)
        thinned = [self._apply(key, calls) for key, calls in request.calls]
        for key, _ in request.calls:
            if key in self._broken:
                raise self._broken[key]
        sessions = [self._sessions[key] for key, _ in request.calls]
        self._engine.step(sessions)
        return [_state(session, count) for session, count in zip(sessions, thinned, strict=True)]

    def _apply(self, key: int, calls: Sequence[Call]) -> int:
        """Returns how many updates were thinned. A session that does not take its input fails in every step."""
        thinned = 0
        try:
            session = self._sessions[key]
            for name, argument in calls:
                method = getattr(session, name)
                thinned += (method() if argument is None else method(argument)) or 0
        except (AsrError, KeyError) as error:  # KeyError: opened in a worker that died
            self._broken[key] = error
        return thinned


def _state(session: Session, thinned: int) -> State:
    return State(session.take_events(), session.decoded_s, session.ready, session.ended, thinned)


def _told(error: Exception) -> Exception:
    """Our own errors as they are; of others what can be sent, with the place where they came from."""
    if isinstance(error, AsrError):
        return error
    told = WorkerError(f"{type(error).__name__}: {error}")
    told.add_note(traceback.format_exc())
    return told
