"""The workers: this process itself, or several of its own. One request at a time each, answers as they come."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Protocol

from asr.errors import AsrError, InternalError
from batch.worker import Answer, Bench, Hello, Request, Task


class Lost(Exception):
    """The worker ended while it had a request; it has been replaced, and remembers no recording."""


Result = tuple[int, Answer | Exception]
"""A worker's number, and its answer or what went wrong there."""


class Crew(Protocol):
    """Numbered workers."""

    hello: Hello

    @property
    def size(self) -> int: ...

    def send(self, worker: int, request: Request) -> None:
        """Ask an idle worker."""
        ...

    def results(self) -> Sequence[Result]:
        """What has come, at least one; waits for it."""
        ...


class OwnCrew:
    """One worker: this process."""

    size = 1

    def __init__(self, bench: Bench) -> None:
        self._bench, self.hello = bench, bench.hello
        self._request: Request | None = None

    def send(self, worker: int, request: Request) -> None:
        self._request = request

    def results(self) -> Sequence[Result]:
        request, self._request = self._request, None
        if request is None:
            raise InternalError("an answer is waited for that nobody asked for")
        return [(0, _answer(self._bench, request))]


def _answer(bench: Bench, request: Request) -> Answer | Exception:
    try:
        return bench.answer(request)
    except Exception as error:  # noqa: BLE001 - told to the loop, which fails the recording and goes on
        return error if isinstance(error, AsrError) else InternalError(f"failed with {type(error).__name__}: {error}")


class ProcessCrew:
    """Processes of this machine, one thread each; one that ends is replaced."""

    def __init__(self, task: Task, size: int) -> None:
        self._task = task
        self._workers = [self._start() for _ in range(size)]
        self.hello = [self._greeted(pipe) for _, pipe in self._workers].pop()

    @property
    def size(self) -> int:
        return len(self._workers)

    def send(self, worker: int, request: Request) -> None:
        with contextlib.suppress(OSError):  # it has ended: reading from its pipe will tell
            self._workers[worker][1].send(request)

    def results(self) -> Sequence[Result]:
        numbers = {pipe: number for number, (_, pipe) in enumerate(self._workers)}
        ready = wait(list(numbers))
        return [self._received(numbers[pipe], pipe) for pipe in ready if isinstance(pipe, Connection)]

    def close(self) -> None:
        """End them all, whatever they are at."""
        for process, pipe in self._workers:
            pipe.close()
            process.terminate()
        for process, _ in self._workers:
            process.join()

    def _received(self, number: int, pipe: Connection) -> Result:
        try:
            answer: Answer | Exception = pipe.recv()
            return number, answer
        except (EOFError, OSError):
            self._workers[number][0].join()
            self._workers[number] = self._start()
            self._greeted(self._workers[number][1])
            return number, Lost()

    def _start(self) -> tuple[SpawnProcess, Connection]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self._task), daemon=True)
        process.start()
        theirs.close()
        return process, ours

    @staticmethod
    def _greeted(pipe: Connection) -> Hello:
        try:
            hello = pipe.recv()
        except (EOFError, OSError):
            raise InternalError("a worker process ended before it was ready; look for what it said above") from None
        if isinstance(hello, Exception):
            raise hello
        assert isinstance(hello, Hello)
        return hello


def _work(pipe: Connection, task: Task) -> None:
    """The life of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first one says when it is over
    import torch

    torch.set_num_threads(1)  # the cores are shared out by processes
    try:
        bench = Bench(task)
        pipe.send(bench.hello)
    except Exception as error:  # noqa: BLE001 - told to the first process, which raises it
        pipe.send(error)
        return
    try:
        while True:
            pipe.send(_answer(bench, pipe.recv()))
    except (EOFError, OSError):
        return  # the first process has gone


@contextmanager
def crew_of(task: Task, workers: int) -> Iterator[Crew]:
    """So many workers: this process for one, else processes of their own."""
    if workers == 1:
        import torch

        torch.set_num_threads(1)
        yield OwnCrew(Bench(task))
        return
    crew = ProcessCrew(task, workers)
    try:
        yield crew
    finally:
        crew.close()


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))
