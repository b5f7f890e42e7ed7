"""Real servers on real ports, in a thread or in a process, and what tests send to them."""

import asyncio
import dataclasses
import io
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from starlette.routing import BaseRoute
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from asr.config import SAMPLE_RATE_HZ
from eval.runs.local_server import free_port
from server.address import address, bind
from server.config import load_settings
from server.http.app import create_app
from server.http.service import Service
from server.run import Server
from server.streams.replica import Patience

RAW = "encoding=linear16&sample_rate=16000"
FOX = "the quick brown fox jumps over the lazy dog"
"""What is said in the fixture `clip`."""
PATIENCE = Patience(step_timeout_s=60.0, start_timeout_s=60.0)
CLOSE = json.dumps({"type": "CloseStream"})


@dataclasses.dataclass
class Running:
    """A server in a thread, ready to answer."""

    url: str
    service: Service
    server: Server
    thread: threading.Thread
    wyoming_port: int = 0

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws") + "/v1/listen"

    def listen(self, query: str = RAW, **options: Any) -> ClientConnection:
        """Patient, since other tests may keep both cores busy."""
        patient = {"open_timeout": 60.0} | options
        return connect(f"{self.ws_url}?{query}", compression=None, max_size=None, **patient)

    def metric(self, name: str, **labels: str) -> float:
        return self.service.metrics.registry.get_sample_value(name, labels) or 0.0

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)


@contextmanager
def running(
    *engines: Any,
    routes: Sequence[BaseRoute] = (),
    wyoming: socket.socket | None = None,
    follow: Any = None,
    observe: Any = None,
    **settings: Any,
) -> Iterator[Running]:
    """A server of these engines, with further routes and changed settings, a socket for Wyoming, and a follower.

    `observe`: the ledger that gets the outcomes and pairs of its streams.
    """
    open_doors = {"max_load": 99.0}  # the load measured on a machine busy with other tests would refuse streams
    made = dataclasses.replace(load_settings(), **{"port": free_port()} | open_doors | settings)
    listening = bind(made)
    app = create_app(made, engines, follow=follow)
    app.router.routes.extend(routes)
    if observe:
        app.state.service.observe(observe)
    server = Server(app, made, wyoming=wyoming)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    eventually(lambda: server.started)
    server_in_thread = Running(
        address(listening, made), app.state.service, server, thread, wyoming.getsockname()[1] if wyoming else 0
    )
    try:
        yield server_in_thread
    finally:
        server_in_thread.stop()


class ServerProcess:
    """`asr serve` in a process, as users run it. It keeps its port when it is killed and started again."""

    def __init__(self, folder: Path, settings: str = "", model: str = "whisper-tiny.en") -> None:
        self.port = free_port()
        self.folder, self.model = folder, model
        self.config = folder / f"server-{self.port}.toml"
        self.config.write_text(settings, encoding="utf-8")
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        asr = Path(sys.executable).with_name("asr")
        command = [str(asr), "serve", "--port", str(self.port), "--config", str(self.config), "--model", self.model]
        with (self.folder / f"server-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def wait_until_ready(self, patience_s: float = 120.0) -> "ServerProcess":
        deadline = time.monotonic() + patience_s
        while not self._ready():
            assert self.process.poll() is None, f"the server ended: {self.log()[-2000:]}"
            assert time.monotonic() < deadline, f"the server is not ready: {self.log()[-2000:]}"
            time.sleep(0.1)
        return self

    def log(self) -> str:
        """What it has written."""
        return (self.folder / f"server-{self.port}.log").read_text(encoding="utf-8", errors="replace")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def kill(self) -> None:
        """Without any shutdown, as when a machine fails."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()


def eventually(holds: Callable[[], bool], patience_s: float = 30.0) -> None:
    """Waits until the condition holds. `patience_s` only bounds the wait; it measures nothing."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.01)


def plain(text: str) -> str:
    """Lower-case words."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def pcm(seconds: float, value: float = 0.0) -> bytes:
    """A constant signal as linear16."""
    return np.full(round(seconds * SAMPLE_RATE_HZ), round(value * 32768), "<i2").tobytes()


def wav(seconds: float) -> bytes:
    """Silence as a WAV file."""
    return wav_of(0.0, after_s=seconds)


def wav_of(value: float, after_s: float) -> bytes:
    """Silence as a WAV file, and half a second of a constant signal after it, unless that is silence too."""
    samples = np.zeros(round(after_s * SAMPLE_RATE_HZ), np.float32)
    if value:
        samples = np.append(samples, np.full(SAMPLE_RATE_HZ // 2, value, np.float32))
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE_HZ, format="WAV")
    return file.getvalue()


def until_closed(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """All messages until the server closes the connection, and its close code."""
    messages = []
    try:
        while True:
            messages.append(json.loads(socket.recv(timeout=60)))
    except ConnectionClosed:
        return messages, socket.close_code


def transcript(messages: list[dict[str, Any]]) -> str:
    """The text of the finals."""
    finals = [m for m in messages if m["type"] == "Results" and m["is_final"]]
    return "".join(m["channel"]["alternatives"][0]["text"] for m in finals).strip()
