"""A client of Wyoming for the tests."""

import socket
from typing import Any

from server.wires.wyoming import event, lengths, parse_event
from tests.server.running import pcm

FORM = {"rate": 16_000, "width": 2, "channels": 1}


class Client:
    """A Wyoming client, event by event."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self.socket.makefile("rb")

    def send(self, kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> None:
        self.socket.sendall(event(kind, data or {}, payload))

    def receive(self) -> tuple[str, dict[str, Any]] | None:
        """The next event; None when the server has closed."""
        line = self._file.readline()
        if not line:
            return None
        kind, data, _ = parse_event(line + self._file.read(sum(lengths(line))))
        return kind, data

    def until(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        seen = []
        while not seen or seen[-1][0] != kind:
            received = self.receive()
            assert received, f"the server closed after {seen}"
            seen.append(received)
        return seen

    def say(self, seconds: float) -> None:
        self.send("audio-start", FORM)
        self.send("audio-chunk", FORM, pcm(seconds))
        self.send("audio-stop")

    def close(self) -> None:
        self._file.close()
        self.socket.close()
