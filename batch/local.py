"""A run's workers on this machine: this process for one, processes of one thread each for more."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from asr.errors import InternalError
from batch.backend import Backend
from batch.dispatch import Dispatcher
from batch.messages import Pool, Task
from batch.worker import load_worker
from server.workers.pool import InlinePool, ProcessPool
from server.workers.process import WorkerDied


@contextmanager
def local_backend(task: Task, workers: int) -> Iterator[Backend]:
    """A backend of worker processes on this machine, closed at the end. Raises what `worker_pool` raises."""
    with worker_pool(task, workers) as pool:
        yield Backend(pool.hello, pool.size, lambda recordings, on_audio: Dispatcher(pool, recordings, on_audio).run())


@contextmanager
def worker_pool(task: Task, workers: int) -> Iterator[Pool]:
    """Loads the model in each worker. Raises what loading raised; `InternalError` if a process ends while it loads.

    One worker is this process: a second copy of Python and of the model would cost memory and save no time.
    """
    make_handler = functools.partial(load_worker, task)
    if workers == 1:
        yield InlinePool(make_handler())
        return
    try:
        pool = ProcessPool(make_handler, workers, "batch worker")
        try:
            yield pool
        finally:
            pool.close()
    except WorkerDied as error:
        raise InternalError(str(error)) from None
