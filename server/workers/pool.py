"""Several workers with the same task, by number: processes, or one handler in this process; and how many to start.

    pool.send(number, request)      # to a worker that has no request
    for number, answer in pool.results():   # waits for at least one; errors are values
        ...

`batch` uses the pools. A server needs none: each of its workers has a thread of the scheduler.
"""

import os
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from typing import Generic, Protocol

from asr.errors import InternalError
from server.workers.process import (
    AnswerT,
    AnswerT_co,
    Handler,
    HelloT,
    HelloT_co,
    RequestT,
    RequestT_contra,
    WorkerDied,
    WorkerProcess,
    answer_of,
)

MAX_DEFAULT_WORKERS = 4
"""Each worker holds a copy of the model."""


class WorkerPool(Protocol[HelloT_co, RequestT_contra, AnswerT_co]):
    """Workers numbered from 0. One thread uses the pool."""

    @property
    def hello(self) -> HelloT_co:
        """What one of the workers said of itself; they all run the same model."""
        ...

    @property
    def size(self) -> int: ...

    def send(self, worker: int, request: RequestT_contra) -> None:
        """Gives a request to a worker that has none."""
        ...

    def results(self) -> Sequence[tuple[int, AnswerT_co | Exception]]:
        """Waits for at least one answer; each with its worker's number.

        `WorkerDied` as an answer: the process has been replaced, and all that the old one held in memory is lost. It
        may come from a worker without a request.
        """
        ...


class InlinePool(Generic[HelloT, RequestT, AnswerT]):
    """One worker in this process: `send` keeps the request, `results` does the work."""

    size = 1

    def __init__(self, handler: Handler[HelloT, RequestT, AnswerT]) -> None:
        self._handler = handler
        self._request: RequestT | None = None

    @property
    def hello(self) -> HelloT:
        return self._handler.hello

    def send(self, worker: int, request: RequestT) -> None:
        self._request = request

    def results(self) -> Sequence[tuple[int, AnswerT | Exception]]:
        """Raises `InternalError` where no request was sent: it would wait forever."""
        request, self._request = self._request, None
        if request is None:
            raise InternalError("found no request to answer, wanted `send` before `results`")
        return [(0, answer_of(self._handler, request))]


class ProcessPool(Generic[HelloT, RequestT, AnswerT]):
    """Worker processes of this machine. A process that ends is replaced."""

    def __init__(self, make_handler: Callable[[], Handler[HelloT, RequestT, AnswerT]], size: int, name: str) -> None:
        """Waits until all are ready. Raises what kept one from starting."""
        self._workers = [WorkerProcess(make_handler, f"{name} {number + 1}") for number in range(size)]
        try:
            self._hello, *_ = [worker.await_hello() for worker in self._workers]
        except BaseException:
            self.close()
            raise

    @property
    def hello(self) -> HelloT:
        return self._hello

    @property
    def size(self) -> int:
        return len(self._workers)

    @property
    def pids(self) -> list[int | None]:
        """The process id of each worker."""
        return [worker.pid for worker in self._workers]

    def send(self, worker: int, request: RequestT) -> None:
        self._workers[worker].send(request)

    def results(self) -> Sequence[tuple[int, AnswerT | Exception]]:
        """Raises what kept the replacement of a dead worker from starting."""
        numbers = {worker.pipe: number for number, worker in enumerate(self._workers)}
        ready = wait(list(numbers))
        return [(numbers[pipe], self._received(numbers[pipe])) for pipe in ready if isinstance(pipe, Connection)]

    def _received(self, number: int) -> AnswerT | Exception:
        answer = self._workers[number].receive()
        if isinstance(answer, WorkerDied):
            self._workers[number].restart()
        return answer

    def close(self) -> None:
        """Kills the processes, whatever they are doing: nothing is kept of an unfinished request."""
        for worker in self._workers:
            worker.close(patience_s=0.0)


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers() -> int:
    """A server's workers for each model: one for each core, at most `MAX_DEFAULT_WORKERS`.

    Two threads in one process would wait for each other's Python
    (docs/log/serving.md#threads-or-processes-on-two-cores).
    """
    return min(cores(), MAX_DEFAULT_WORKERS)
