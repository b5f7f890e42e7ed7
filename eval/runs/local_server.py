"""Starts `asr serve` on a free port for a measurement and stops it afterwards."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO
from urllib.error import URLError
from urllib.request import urlopen

from asr.errors import CallerError

READY_S = 300.0
"""Time for a server to become ready. Loading and warming up the default model takes seconds."""
PORTS = range(20_000, 32_768)
"""Of servers of a measurement. Linux gives clients ports from 32768 on (`net.ipv4.ip_local_port_range`)."""
STOP_S = 20.0
"""Time for a server to end after SIGTERM, before SIGKILL."""


class ServerError(CallerError):
    """The server did not start."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server's address and process; ``pid`` is None if unknown, for a server that we did not start."""

    url: str
    pid: int | None = None


@contextmanager
def serving(model: str, threads: int | None = None, options: Sequence[str] = ()) -> Iterator[RunningServer]:
    """A ready server of `model` while the context lasts. `threads` limits the threads of its libraries.

    Raises `ServerError`, with the server's last line of output, if it does not become ready.
    """
    port = free_port()
    command = [sys.executable, "-c", "from asr.cli import main; main()", "serve"]
    command += ["--model", model, "--host", "127.0.0.1", "--port", str(port), *options]
    url = f"http://127.0.0.1:{port}/readyz"
    with start_process(command, lambda: _answers(url), url, threads) as pid:
        yield RunningServer(f"ws://127.0.0.1:{port}", pid)


@contextmanager
def start_process(command: Sequence[str], ready: Callable[[], bool], what: str, threads: int | None) -> Iterator[int]:
    """Starts a process, waits until `ready()`, yields its id, and stops it at the end of the context.

    ``what`` names it in errors. Raises `ServerError`, with its last line of output, if it does not become ready.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=_environment(threads))
        try:
            _await_ready(process, ready, what, log)
            yield process.pid
        finally:
            _stop(process)


def _environment(threads: int | None) -> dict[str, str]:
    limits = {} if threads is None else dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return (
        os.environ | limits | {"STEADYWORD_KEYS": ""}
    )  # a server of this run only, on this machine: it asks for no key


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, of `PORTS`: no client takes it before the server does, or while the
    server is started again."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _await_ready(process: "subprocess.Popen[bytes]", ready: Callable[[], bool], what: str, log: IO[str]) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError(f"the server ended with code {process.returncode}; its last line: {_last_line(log)}")
        if ready():
            return
        time.sleep(0.2)
    raise ServerError(f"{what} was not ready after {READY_S:.0f} s; its last line: {_last_line(log)}")


def _answers(url: str) -> bool:
    """True if the address answers with 200; False if nothing listens there or the server is not ready."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().splitlines() if line.strip()]
    return lines[-1] if lines else "none"


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
