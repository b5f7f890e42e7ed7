"""Worker processes forked by a template: what they share, and what happens when the template dies or hangs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from server.workers import progress, template
from server.workers.process import WorkerProcess
from server.workers.template import TEMPLATE, WORKER
from tests.server.running import eventually
from tests.server.workers.handlers import Obedient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each process starts from nothing")

Worker = WorkerProcess[Any, Any, Any]


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    """Those that the test starts."""
    started: list[Worker] = []
    yield started
    for worker in started:
        worker.close(patience_s=0.0)


def start(workers: list[Worker]) -> Worker:
    worker: Worker = WorkerProcess(Obedient, "worker of tests")
    workers.append(worker)
    assert worker.await_hello() == "ready"
    return worker


def parent(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def name(pid: int | None) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_workers_are_forks_of_one_process_that_has_the_models_code(workers: list[Worker]) -> None:
    """So the second one takes no 2 s for torch, nor memory for it. `ps` shows which is which."""
    first, second = start(workers), start(workers)
    assert parent(first.pid) == parent(second.pid) != os.getpid()
    assert (name(first.pid), name(parent(first.pid))) == (WORKER, TEMPLATE)
    assert second.ask("torch") == "imported"
    assert len(os.listdir(f"/proc/{second.pid}/task")) == 1, "a fork of a process with threads may hang"


def test_a_worker_has_the_environment_of_now(workers: list[Worker], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one of the moment when the template started."""
    start(workers)
    monkeypatch.setenv("STEADYWORD_TEST", "now")
    assert start(workers).ask("environment") == "now"


@pytest.mark.parametrize("harm", [signal.SIGKILL, signal.SIGSTOP])
def test_a_template_that_is_lost_is_replaced(
    harm: signal.Signals, workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead or hanging. Its forks go on and can be watched and killed; the next worker has another template."""
    monkeypatch.setattr(progress, "STILL_S", 1.0)
    first = start(workers)
    lost = parent(first.pid)
    os.kill(lost, harm)
    second = start(workers)
    assert parent(second.pid) != lost
    assert first.is_alive
    assert first.ask("still here") == "still here"
    first.kill()
    first.close(patience_s=0.0)
    assert not first.is_alive
    assert second.is_alive


def test_any_thread_may_ask_whether_a_worker_lives_while_another_waits_for_its_end(workers: list[Worker]) -> None:
    """The event loop asks while a thread closes it."""
    worker = start(workers)
    with ThreadPoolExecutor(4) as pool:
        ends = [pool.submit(worker._process.join, 60.0) for _ in range(3)]
        assert all(pool.submit(lambda: worker.is_alive).result() for _ in range(200))
        worker.kill()
        for end in ends:
            end.result()
    assert not worker.is_alive


@pytest.mark.slow
def test_a_process_ends_although_its_template_hangs() -> None:
    """And its worker ends with it."""
    code = (
        "import os, signal, pathlib\n"
        "from server.workers.process import WorkerProcess\n"
        "from tests.server.workers.handlers import Obedient\n"
        "worker = WorkerProcess(Obedient, 'worker of tests'); worker.await_hello()\n"
        "stat = pathlib.Path(f'/proc/{worker.pid}/stat').read_text()\n"
        "os.kill(int(stat.rpartition(')')[2].split()[1]), signal.SIGSTOP)\n"
        "os.kill(worker.pid, signal.SIGSTOP)\n"
        "print(worker.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=200)
    eventually(lambda: not Path(f"/proc/{done.stdout.strip()}").exists())


def test_without_a_template_a_process_starts_from_nothing(
    workers: list[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system cannot watch a process that is no child, or no template starts."""
    monkeypatch.setattr(template._Template, "fork", lambda *_: None)
    worker = start(workers)
    assert parent(worker.pid) == os.getpid()
    assert name(worker.pid) == WORKER
    os.kill(worker.pid or 0, signal.SIGKILL)
    assert worker.restart() == "ready"
