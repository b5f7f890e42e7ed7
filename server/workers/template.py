"""New worker processes within milliseconds: a template process has imported torch and the models, and forks itself.

    process, pipe = start_process(serve, (make_handler,), "worker of tiny")   # there: serve(its pipe, make_handler)

A new Python process takes 2 s until it has imported torch and holds 280 MB then
(docs/log/releases.md#a-cold-release-in-two-seconds). The template does that once for a server: its forks share that
memory. It has one thread and no model, so a fork copies no lock that is held, and it outlives each worker. One that
ended is replaced; one that hangs is killed, and where there is none (outside Linux) each process starts from nothing.

Not `multiprocessing`'s own fork server (3.11): all workers seem dead when it ends, a start waits for ever for one that
hangs, and its forks have the environment of another moment.
"""

import atexit
import contextlib
import gc
import importlib
import multiprocessing
import os
import select
import signal
import sys
import threading
import traceback
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import Any, Protocol

from server.workers.progress import is_still

_SPAWN = multiprocessing.get_context("spawn")  # a fork of this process would copy locks that its threads hold
WORKER, TEMPLATE = "asr-worker", "asr-template"
"""What the kernel calls the processes (`ps -o comm`)."""
PRELOADED = ("asr.models.registry", "asr.self_test", "server.workers.worker")
"""What every worker of a model needs. Only names: this module does not need them, and a worker's needs this one."""
_READ_AT_IMPORT = ("OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "TORCH", "PYTORCH", "CUDA", "LD_")


class Process(Protocol):
    """A child process, as `multiprocessing.Process` has it."""

    @property
    def pid(self) -> int | None: ...
    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> None: ...
    def kill(self) -> None: ...


def start_process(target: Callable[..., None], args: tuple[Any, ...], name: str) -> tuple[Process, Connection]:
    """Runs ``target(pipe, *args)``, which must be picklable, in a new process; returns it and this end of its pipe.

    The first call waits until the template is ready.
    """
    pipe, child_pipe = _SPAWN.Pipe()
    try:
        process: Process | None = _template.fork(child_pipe)
        if process is None:
            process = _SPAWN.Process(target=_run, args=(child_pipe, target, args), name=name, daemon=True)
            process.start()
        else:
            with contextlib.suppress(OSError):  # it has died already; whoever reads the pipe finds that out
                pipe.send((_surroundings(), target, args))
    finally:
        child_pipe.close()  # while this process holds this end too, the pipe does not end with the child
    return process, pipe


def name_process(name: str) -> None:
    """For `ps`; Linux only."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(name)


def _run(pipe: Connection, target: Callable[..., None], args: tuple[Any, ...]) -> None:
    name_process(WORKER)
    target(pipe, *args)


class _Forked:
    """A process that the template forked. It is not this process's child, so it is watched by a file descriptor."""

    def __init__(self, pid: int) -> None:
        """Raises OSError if there is no such process."""
        self.pid: int = pid
        self._descriptor = os.pidfd_open(pid)
        weakref.finalize(self, _end, self._descriptor)

    def is_alive(self) -> bool:
        return not self._has_ended(0.0)

    def join(self, timeout: float | None = None) -> None:
        self._has_ended(timeout)

    def _has_ended(self, timeout_s: float | None) -> bool:
        """Any thread may ask, so each question has its own `poll` object: two threads cannot use one."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))

    def kill(self) -> None:
        _kill(self._descriptor)


def _kill(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # it has ended
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)


def _end(descriptor: int) -> None:
    """Nobody holds the process any more, or this one exits."""
    _kill(descriptor)
    os.close(descriptor)


class _Template:
    """The template of this process, started by the first `fork`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: Any = None
        self._control: Connection | None = None
        self._fixed: object = None

    def fork(self, pipe: Connection) -> _Forked | None:
        """A process that reads what it shall do from `pipe`; None if there is no template."""
        if not hasattr(os, "pidfd_open"):
            return None
        with self._lock:
            for _ in range(2):  # one that has died is replaced once
                if self._is_usable() or self._start():
                    with contextlib.suppress(OSError, EOFError):
                        return self._forked(pipe)
                self.close()
        return None

    def _is_usable(self) -> bool:
        return self._process is not None and self._process.is_alive() and self._fixed == _fixed()

    def _start(self) -> bool:
        """Whether a new one is ready, in place of the old one."""
        self.close()
        self._fixed = _fixed()
        self._control, control = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve_forks, args=(control,), name=TEMPLATE, daemon=True)
        self._process.start()
        control.close()
        with contextlib.suppress(OSError, EOFError):
            self._answer()
            return True
        return False

    def _forked(self, pipe: Connection) -> _Forked:
        """Raises OSError or EOFError if the template has ended or hangs."""
        assert self._control is not None
        send_handle(self._control, pipe.fileno(), self._process.pid)
        return _Forked(self._answer())

    def _answer(self) -> Any:
        assert self._control is not None
        if is_still(self._control, self._process.pid):
            raise OSError("the template hangs")
        return self._control.recv()

    def close(self) -> None:
        """Ends the template; the processes that it forked go on."""
        if self._process is not None and self._control is not None:
            self._control.close()
            self._process.kill()
            self._process.join()
            self._process = self._control = None


_template = _Template()
atexit.register(_template.close)  # before multiprocessing asks it to end, and waits for ever for one that was stopped


def _surroundings() -> tuple[dict[str, str], str, list[str]]:
    """What a process takes over from the one that starts it, at that moment."""
    return dict(os.environ), os.getcwd(), list(sys.path)


def _fixed() -> dict[str, str]:
    """The variables that libraries read when they are imported: a template has those of its start."""
    return {name: value for name, value in os.environ.items() if name.startswith(_READ_AT_IMPORT)}


# -- in the template ---------------------------------------------------------------------------------------------------


def _serve_forks(control: Connection) -> None:
    """Forks for each pipe that comes, and answers with the process id, until the server ends."""
    name_process(TEMPLATE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; only the server ends the work
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets the forks that ended
    _import_models()
    with contextlib.suppress(EOFError, OSError):  # the server has ended
        control.send("ready")
        while True:
            descriptor = recv_handle(control)
            if (pid := os.fork()) == 0:
                control.close()
                _be_worker(descriptor)
            os.close(descriptor)
            control.send(pid)


def _import_models() -> None:
    """What every worker of a model needs. A package that is broken is the worker's to report."""
    with contextlib.suppress(Exception):
        for name in PRELOADED:
            importlib.import_module(name)
    gc.collect()
    gc.freeze()  # a collection in a fork would write to the memory of all these objects, and so copy it


def _be_worker(descriptor: int) -> None:
    """The forked process, from start to end."""
    code = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        pipe = Connection(descriptor)
        (environment, folder, sys.path[:]), target, args = pipe.recv()
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        _run(pipe, target, args)
        code = 0
    except EOFError:
        pass  # the server has ended, or gave it up
    except BaseException:  # noqa: BLE001 - it must not go on as a second template
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)
