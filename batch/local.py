"""The workers of a run on this machine: this process for one, processes of one thread each for more."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from asr.errors import InternalError
from batch.worker import Pool, Task, load_worker
from server.workers.pool import InlinePool, ProcessPool
from server.workers.process import WorkerDied


@contextmanager
def worker_pool(task: Task, workers: int) -> Iterator[Pool]:
    """The pool while the context lasts. Raises what loading the model raised; `InternalError` if a process ends in it.

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
