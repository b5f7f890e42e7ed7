"""A worker process: both ends of its pipe. `asr serve` and `asr transcribe` start their workers here.

    worker = WorkerProcess(make_handler, "worker of whisper-tiny.en")   # starts the process
    hello = worker.await_hello()                                        # when the handler is made: the model is loaded
    answer = worker.ask(request)                                        # one request, one answer
    worker.kill()                                                       # from any thread; a request then fails
    worker.restart()                                                    # after `WorkerDied`
    worker.close()

`make_handler` runs in the child process; the `Handler` that it returns answers the requests there. Requests and answers
are picklable values. An error is a value on the pipe too: the child survives it, and `ask` raises it in the parent.

One thread at a time uses a worker. Every call but `kill` and `is_alive` blocks, so the event loop must make no other:
it reads copies of what the hello said. Two threads that read one pipe would take each other's answers; the second one
gets an `InternalError`.

Nothing heavy is imported here: the command line imports this module before it knows whether a model is needed.
"""

import contextlib
import math
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, Generic, Protocol, TypeVar

from asr.errors import AsrError, InternalError
from server.freed_memory import give_back
from server.workers import progress
from server.workers.template import Process, start_process

T = TypeVar("T")
HelloT = TypeVar("HelloT")
RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")
HelloT_co = TypeVar("HelloT_co", covariant=True)
RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
AnswerT_co = TypeVar("AnswerT_co", covariant=True)

STOP_S = 5.0
"""A process whose pipe is closed ends after its current answer. One that has not ended after this time is killed."""
KILL_S = 2.0
"""A killed process ends in milliseconds, unless the kernel cannot interrupt it (a disk that does not answer). Nobody
waits longer for it."""
IDLE_S = 2.0
"""A worker that had nothing to do for so long gives free memory back: nobody waits for it."""
BESIDE_NICE = 10
"""Added to the nice value while a model is loaded beside live streams. Linux gives a thread with it a ninth of the
time that one without it gets on the same core, so a step takes at most 11 % longer; an idle core is used in full. With
15 (a 28th) a load did not get on beside twenty other busy programs."""


class WorkerError(Exception):
    """An unexpected error in a worker. Its notes hold the traceback of the worker."""


class WorkerDied(WorkerError):
    """The process ended without an answer. All that it held in memory is lost; `WorkerProcess.restart` replaces it."""


class Handler(Protocol[HelloT_co, RequestT_contra, AnswerT_co]):
    """The work of a worker: made once in the child process, then asked again and again."""

    @property
    def hello(self) -> HelloT_co:
        """Sent once, when the handler is ready."""
        ...

    def answer(self, request: RequestT_contra) -> AnswerT_co:
        """The answer to one request. May raise anything: the parent gets the error."""
        ...


def answer_of(handler: Handler[HelloT, RequestT, AnswerT], request: RequestT) -> AnswerT | Exception:
    """The handler's answer, or its error as a value."""
    try:
        return handler.answer(request)
    except Exception as error:  # noqa: BLE001 - the caller decides what fails with it
        return as_value(error)


def as_value(error: Exception) -> Exception:
    """An error that can cross a pipe: an `AsrError` as it is, any other as a `WorkerError` with the traceback noted."""
    if isinstance(error, AsrError):
        return error
    value = WorkerError(f"{type(error).__name__}: {error}")
    value.add_note(traceback.format_exc())
    return value


def serve(pipe: Connection, make_handler: Callable[[], Handler[Any, Any, Any]], is_beside: bool = False) -> None:
    """The child process, from start to end: hello, then an answer for each request until the pipe ends.

    `is_beside`: others work meanwhile, so the handler is made at a low priority.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; only the parent ends the work
    try:
        handler = _made_beside(make_handler) if is_beside else make_handler()
    except Exception as error:  # noqa: BLE001 - the parent raises it
        pipe.send(as_value(error))
        return
    with contextlib.suppress(EOFError, OSError):  # the parent has ended or closed the pipe
        pipe.send(handler.hello)
        while True:
            if not pipe.poll(IDLE_S):
                give_back()
            pipe.send(answer_of(handler, pipe.recv()))


def _made_beside(make: Callable[[], T]) -> T:
    """Makes it in a thread with a low priority. The answers have the usual one: without privileges a thread cannot
    raise its priority again, but Linux has one for each thread."""

    def work() -> T:
        if sys.platform == "linux":
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, own + BESIDE_NICE))
        return make()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work).result()


class WorkerProcess(Generic[HelloT, RequestT, AnswerT]):
    """The parent's end of one worker."""

    def __init__(
        self,
        make_handler: Callable[[], Handler[HelloT, RequestT, AnswerT]],
        name: str,
        *,
        is_beside: bool = False,
    ) -> None:
        """Starts the process. `name` completes "the ... has ended" in messages.

        `is_beside`: it is made at a low priority. A restart is not: somebody waits for it.
        """
        self._make_handler, self._name, self._is_beside = make_handler, name, is_beside
        self._in_use = threading.RLock()
        self._start()

    def _start(self) -> None:
        self._process: Process  # set at once: another thread may kill it
        self._process, self._pipe = start_process(serve, (self._make_handler, self._is_beside), self._name)
        self._died, self._was_still, self._killed_at_s = False, False, math.inf

    @property
    def pid(self) -> int | None:
        """The process id of the current process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs and has not been found dead by a request."""
        return not self._died and self._process.is_alive()

    @property
    def pipe(self) -> Connection:
        """For `multiprocessing.connection.wait`."""
        return self._pipe

    def await_hello(self) -> HelloT:
        """Waits until the handler is made; call it once after each start.

        Raises what making it raised, or `WorkerDied`, also for a process that hangs meanwhile: it is killed.
        """
        with self._one_caller():
            self._kill_if_still()
            hello = self.receive()
        if self._was_still:
            still = f"made no progress for {progress.STILL_S:g} s while it loaded"
            raise WorkerDied(f"the {self._name} {still}, and was killed")
        if isinstance(hello, WorkerDied):
            raise WorkerDied(f"the {self._name} ended before it was ready; see its messages above")
        if isinstance(hello, Exception):
            raise hello
        return hello  # type: ignore[return-value]  # the first value on a pipe is the hello

    def _kill_if_still(self) -> None:
        """Returns when there is something to receive, or nothing will come."""
        if progress.is_still(self._pipe, self.pid, lambda: self._killed_at_s < math.inf):
            self._was_still = True
            self.kill()

    def ask(self, request: RequestT) -> AnswerT:
        """The answer to a request. Raises what the handler raised, or `WorkerDied`."""
        with self._one_caller():
            self.send(request)
            answer = self.receive()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def send(self, request: RequestT) -> None:
        """The first half of `ask`. `receive` reports a process that has died."""
        with contextlib.suppress(OSError):
            self._pipe.send(request)

    def receive(self) -> AnswerT | Exception:
        """The second half of `ask`, with errors as values."""
        try:
            while not self._pipe.poll(KILL_S):
                if time.monotonic() > self._killed_at_s + KILL_S:
                    raise EOFError
            answer: AnswerT | Exception = self._pipe.recv()
        except (EOFError, OSError):
            self._died = True
            return WorkerDied(f"the {self._name} has ended")
        return answer

    def restart(self) -> HelloT:
        """Replaces the process and waits for the new one. Raises as `await_hello`."""
        with self._one_caller():
            self.close(patience_s=0.0)  # whatever it still does, its state is lost
            self._is_beside = False
            self._start()
            return self.await_hello()

    def close(self, patience_s: float = STOP_S) -> None:
        """Ends the process; kills it after `patience_s` seconds. A second call changes nothing."""
        self._pipe.close()
        self._process.join(patience_s)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(KILL_S)

    def kill(self) -> None:
        """Kills the process, also one that is stopped or hangs. Any thread may call it; it does not wait."""
        self._killed_at_s = min(self._killed_at_s, time.monotonic())
        self._process.kill()

    @contextlib.contextmanager
    def _one_caller(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            raise InternalError(f"found two threads that use the {self._name}, wanted one")
        try:
            yield
        finally:
            self._in_use.release()
