"""Real workers that are killed and stopped under real streams, by the operators' drill; servers that end anyway."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import connect

from eval.runs.process_usage import worker_pids
from scripts.drill import Tally
from tests.server.running import RAW, ServerProcess, eventually

ROOT = Path(__file__).parents[2]
DRAIN_S = 5.0


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="the drill needs Linux")
def test_the_drill_finds_nothing_lost() -> None:
    """Kills, a hang, hostile messages, a full disk and cut connections, under three streams."""
    few = {
        "streams": 3,
        "pace": 2,
        "kills": 2,
        "gap": 2,
        "hangs": 1,
        "step-timeout": 3,
        "messages": 150,
        "unpaced": 2,
        "cuts": 3,
    }
    options = [f"--{name}={value}" for name, value in few.items()]
    command = [sys.executable, "-m", "scripts.drill", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("nothing lost") == 5
    assert "lost: nothing" in done.stdout


def test_the_drill_counts_words_that_are_missing_twice_or_elsewhere() -> None:
    """It compares words with their times, not their number."""
    tally = Tally("test")
    tally.add([("a", 0.0), ("b", 1.0)], [("a", 0.0), ("b", 1.0)])
    assert tally.is_clean
    tally.add([("a", 0.0), ("b", 1.0)], [("a", 0.0), ("a", 0.0), ("b", 2.0)])
    assert (tally.missing, tally.extra, tally.is_clean) == (1, 2, False)
    assert "LOST" in tally.line()


def is_running(pid: int) -> bool:
    """Whether there is such a process that is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def end(server: ServerProcess) -> float:
    """Seconds until the server has ended after SIGTERM."""
    began_s = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=60)
    return time.monotonic() - began_s


@contextmanager
def starting(folder: Path, settings: str) -> Iterator[ServerProcess]:
    """A server that is killed if the test fails."""
    server = ServerProcess(folder, f"drain_timeout_s = {DRAIN_S}\nworkers = 2\n{settings}")
    try:
        yield server
    finally:
        server.kill()


@pytest.mark.slow
@pytest.mark.model
def test_a_server_ends_in_time_although_its_workers_hang(tmp_path: Path) -> None:
    """Ready, with an open stream; `drain_timeout_s` holds. No process is left."""
    with starting(tmp_path, "step_timeout_s = 600.0") as server, ExitStack() as clients:
        server.wait_until_ready()
        socket = clients.enter_context(connect(f"{server.url.replace('http', 'ws')}v1/listen?{RAW}", compression=None))
        pids = worker_pids(server.process.pid)
        assert len(pids) == 2
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        socket.send(bytes(64_000))
        assert end(server) < DRAIN_S + 2.0  # on a machine that is busy with other tests
    eventually(lambda: not any(map(is_running, pids)))


@pytest.mark.slow
@pytest.mark.model
def test_a_server_ends_in_time_while_it_starts(tmp_path: Path) -> None:
    """Its workers hang while they load the model, so it would wait for ever."""
    with starting(tmp_path, "") as server:
        eventually(lambda: len(worker_pids(server.process.pid)) == 2, 60.0)
        pids = worker_pids(server.process.pid)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        assert end(server) < DRAIN_S + 2.0
    eventually(lambda: not any(map(is_running, pids)))
