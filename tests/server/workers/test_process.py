"""One worker process: hello, answers, errors as values, death, restart, close; and what its module imports."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from asr.errors import ConfigError, InternalError
from server.workers import process, progress
from server.workers.process import WorkerDied, WorkerError, WorkerProcess
from tests.server.workers.handlers import (
    Loaded,
    Obedient,
    die_while_loading,
    fail_to_load,
    load_slowly,
    refuse_to_load,
    wait_for_each_other,
)

Worker = WorkerProcess[Any, Any, Any]


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    worker = WorkerProcess(Obedient, "worker of tests")
    assert worker.await_hello() == "ready"
    yield worker
    worker.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    """One that the test may kill."""
    worker = WorkerProcess(Obedient, "worker of tests")
    worker.await_hello()
    yield worker
    worker.close()


def test_requests_are_answered_in_another_process(shared: Worker) -> None:
    """With values that were pickled there and back."""
    assert shared.ask({"one": (1, 2.5)}) == {"one": (1, 2.5)}
    assert shared.ask("pid") == shared.pid != os.getpid()


def test_an_error_of_ours_crosses_as_it_is_and_the_worker_goes_on(shared: Worker) -> None:
    """The parent raises it; `receive` returns it as a value."""
    with pytest.raises(ConfigError, match="found this, wanted that"):
        shared.ask("refuse")
    shared.send("refuse")
    assert isinstance(shared.receive(), ConfigError)
    assert shared.ask("still here") == "still here"


def test_an_unexpected_error_crosses_with_the_workers_traceback(shared: Worker) -> None:
    """As a note, so that the log says where it happened."""
    with pytest.raises(WorkerError, match="RuntimeError: broken inside") as caught:
        shared.ask("fail")
    assert "handlers.py" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("make_handler", "kind", "message"),
    [
        (refuse_to_load, ConfigError, "found no model"),
        (fail_to_load, WorkerError, "RuntimeError: no memory"),
        (die_while_loading, WorkerDied, "worker of tests ended before it was ready"),
    ],
)
def test_what_keeps_a_worker_from_starting_is_raised(make_handler: Any, kind: type[Exception], message: str) -> None:
    """In place of the hello."""
    worker: Worker = WorkerProcess(make_handler, "worker of tests")
    with pytest.raises(kind, match=message):
        worker.await_hello()
    worker.close()


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="progress is read from /proc")


@LINUX
@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_worker_that_hangs_while_it_loads_is_killed(is_stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped by a signal, or in a deadlock. Without it a server would wait for `start_timeout_s`, or forever."""
    monkeypatch.setattr(progress, "STILL_S", 1.0)
    worker: Worker = WorkerProcess(load_slowly if is_stopped else wait_for_each_other, "worker of tests")
    if is_stopped:
        os.kill(worker.pid or 0, signal.SIGSTOP)
    with pytest.raises(WorkerDied, match="worker of tests made no progress for 1 s while it loaded"):
        worker.await_hello()
    assert not worker.is_alive
    worker.close()


@LINUX
def test_a_worker_that_loads_slowly_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has not made its handler after twice the time, but it gets on. So does one that was restarted."""
    monkeypatch.setattr(progress, "STILL_S", 1.0)
    worker: Worker = WorkerProcess(load_slowly, "worker of tests")
    assert worker.await_hello() == "ready"
    os.kill(worker.pid or 0, signal.SIGKILL)
    assert worker.restart() == "ready"
    worker.close()


def test_death_is_noticed_and_a_restart_mends_it(worker: Worker) -> None:
    """By the request that it kills, and by those after it, until it is restarted; then it is another process."""
    pid = worker.pid
    for request in ("die", "hello?"):
        with pytest.raises(WorkerDied, match="the worker of tests has ended"):
            worker.ask(request)
        assert not worker.is_alive
    assert worker.restart() == "ready"
    assert worker.is_alive
    assert worker.ask("pid") == worker.pid != pid


@LINUX
def test_a_model_that_is_loaded_beside_streams_gives_way_to_them() -> None:
    """It is made at a low priority and answers at the usual one. A restart, for which somebody waits, is not."""
    own = os.getpriority(os.PRIO_PROCESS, 0)
    worker: Worker = WorkerProcess(Loaded, "worker of tests", is_beside=True)
    assert worker.await_hello() == str(min(19, own + process.BESIDE_NICE))
    assert worker.ask("nice") == own
    assert worker.restart() == str(own)
    worker.close()


def test_ctrl_c_is_left_to_the_parent(worker: Worker) -> None:
    """A terminal sends SIGINT to all processes of a command; the worker still answers."""
    os.kill(worker.pid or 0, signal.SIGINT)
    assert worker.ask("still here") == "still here"


def test_a_closed_pipe_ends_the_process(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself: nobody kills it."""
    monkeypatch.setattr(worker._process, "kill", lambda: pytest.fail("it was killed"))
    worker.close(patience_s=60.0)
    assert not worker.is_alive


def test_a_worker_that_does_not_end_in_time_is_killed(worker: Worker) -> None:
    """A long answer, or one that never comes, does not hold up the parent."""
    worker.send("work")  # a minute's
    worker.close(patience_s=0.1)
    assert not worker.is_alive


def test_two_threads_do_not_read_one_pipe() -> None:
    """They would take each other's answers and wait forever. The second one is refused."""
    entered = threading.Event()

    class Watched(WorkerProcess[Any, Any, Any]):
        def receive(self) -> Any:
            entered.set()
            return super().receive()

    worker, errors = Watched(Obedient, "worker of tests"), list[Exception]()
    worker.await_hello()
    entered.clear()

    def ask() -> None:
        try:
            worker.ask("work")
        except Exception as error:  # noqa: BLE001 - looked at below
            errors.append(error)

    first = threading.Thread(target=ask)
    first.start()
    entered.wait()
    with pytest.raises(InternalError, match="found two threads that use the worker of tests"):
        worker.ask("hello")
    os.kill(worker.pid or 0, signal.SIGKILL)
    first.join()
    worker.close()
    assert [type(error) for error in errors] == [WorkerDied]


def test_the_module_imports_nothing_heavy() -> None:
    """`asr transcribe` imports it before it knows whether there is anything to do."""
    code = "import sys, server.workers.pool; print([m for m in ('torch', 'numpy', 'starlette') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
