"""A real server on a real port in a thread, and what tests say to it."""

import asyncio
import dataclasses
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from starlette.routing import BaseRoute
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from asr.config import SAMPLE_RATE_HZ
from server.address import address, bind
from server.config import load_settings
from server.http.app import create_app
from server.http.service import Service
from server.run import Server

RAW = "encoding=linear16&sample_rate=16000"
CLOSE = json.dumps({"type": "CloseStream"})


@dataclasses.dataclass
class Running:
    """A server that answers."""

    url: str
    service: Service
    server: Server
    thread: threading.Thread

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws") + "/v1/listen"

    def listen(self, query: str = RAW, **options: Any) -> ClientConnection:
        return connect(f"{self.ws_url}?{query}", compression=None, max_size=None, **options)

    def metric(self, name: str, **labels: str) -> float:
        return self.service.metrics.registry.get_sample_value(name, labels) or 0.0

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return str(answer.read().decode())

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)


@contextmanager
def running(*engines: Any, routes: Sequence[BaseRoute] = (), **settings: Any) -> Iterator[Running]:
    """A server of these engines, with further routes and changed settings."""
    open_doors = {"max_load": 99.0}  # on a machine that is busy with other tests a measurement would refuse streams
    made = dataclasses.replace(load_settings(), port=0, **open_doors | settings)
    listening = bind(made)
    app = create_app(made, engines)
    app.router.routes.extend(routes)
    server = Server(app, made)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listening])))
    thread.start()
    eventually(lambda: server.started)
    found = Running(address(listening), app.state.service, server, thread)
    try:
        yield found
    finally:
        found.stop()


def eventually(holds: Callable[[], bool], patience_s: float = 30.0) -> None:
    """Waits until it holds; the patience is no measure, only an end."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)


def pcm(seconds: float, value: float = 0.0) -> bytes:
    """Seconds of one value as linear16."""
    return np.full(round(seconds * SAMPLE_RATE_HZ), round(value * 32768), "<i2").tobytes()


def until_closed(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """All messages until the server closes, and its close code."""
    messages = []
    try:
        while True:
            messages.append(json.loads(socket.recv(timeout=60)))
    except ConnectionClosed:
        return messages, socket.close_code


def transcript(messages: list[dict[str, Any]]) -> str:
    """The finals' text."""
    finals = [m for m in messages if m["type"] == "Results" and m["is_final"]]
    return "".join(m["channel"]["alternatives"][0]["text"] for m in finals).strip()
