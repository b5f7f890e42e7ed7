"""Bounds on what clients may cost before a stream or an upload is open: connections, and frames a second.

One object of each per server. A stream's own bounds are in `server.streams`, an upload's in `server.http.uploads`.
"""

import resource
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

BACKLOG = 32
"""Connections that asyncio accepts in one go. They are counted up to three rounds of the event loop later."""
LINGER_S = 1.0
"""After the last message, what a client still sends is read and dropped this long: some round trips, and it sees the
end. A connection that is closed with bytes unread is reset, and a client that is still sending loses that message."""
_RESERVED_FILES = 40 + 4 * BACKLOG
"""For all but clients: listening sockets, pipes to workers, the log, and connections that are not counted yet."""
_FILES_A_STREAM = 2
"""Beside its connection: a stream's spool, an upload's temporary file."""
_OVER_LIMIT = 64
"""Connections above the limit that are still told so; beyond them they are cut."""


def files_for_connections(max_streams: int) -> int:
    """How many connections this process can hold open, after its limit of open files was raised as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        soft = min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(8, soft - _RESERVED_FILES - _FILES_A_STREAM * max_streams)


class Connections:
    """The open connections, in all and by address.

    Where one more is too many, the one that has waited longest for its client's request is cut, from the same address
    if that has too many: idle connections and heads that trickle lock nobody out. A connection that is being served is
    never cut for another one.
    """

    def __init__(self, most: int, most_from_one_address: int) -> None:
        self._most, self._most_from_one = most, min(most, most_from_one_address)
        self._address_of: dict[object, str] = {}
        self._by_address: Counter[str] = Counter()
        self._waiting: dict[object, Callable[[], None]] = {}
        """The oldest first; each with what cuts it."""
        self._handshakes: dict[tuple[str, int], socket.socket] = {}
        """Those that begin TLS, by the client's address and port."""

    def __len__(self) -> int:
        return len(self._address_of)

    def enter(self, connection: object, address: str, cut: Callable[[], None]) -> bool:
        """Counts a connection, which waits for a request. Returns whether there is room for it.

        Without room it counts all the same until it leaves: it may be told why. It is cut if there are too many such.
        """
        self._address_of[connection] = address
        self._by_address[address] += 1
        if self._by_address[address] > self._most_from_one:
            room = self._cut_oldest(address)
        else:
            room = len(self) <= self._most or self._cut_oldest(None)
        self._waiting[connection] = cut
        if len(self) > self._most + _OVER_LIMIT:
            cut()
        return room

    def begin_handshake(self, connection: socket.socket, client: tuple[str, int]) -> None:
        """Counts a connection that begins TLS, until `end_handshake` or `drop_handshake`."""
        self._handshakes[client] = connection
        self.enter(connection, client[0], lambda: _shut(connection))

    def end_handshake(self, client: tuple[str, int]) -> None:
        """The client's TLS is there: its protocol enters now. Changes nothing for a client without TLS."""
        self.leave(self._handshakes.pop(client, None))

    def drop_handshake(self, connection: socket.socket, client: tuple[str, int]) -> None:
        """The connection is closed, with TLS or before."""
        if self._handshakes.get(client) is connection:  # else that port of the client has another one by now
            del self._handshakes[client]
        self.leave(connection)

    def serve(self, connection: object) -> None:
        """The connection's request has come: it is not cut any more."""
        self._waiting.pop(connection, None)

    def wait(self, connection: object, cut: Callable[[], None]) -> None:
        """The connection waits for a request again."""
        if connection in self._address_of:
            self._waiting[connection] = cut

    def leave(self, connection: object) -> None:
        """The connection is closed. A second call changes nothing."""
        self._waiting.pop(connection, None)
        address = self._address_of.pop(connection, None)
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    def _cut_oldest(self, address: str | None) -> bool:
        """Cuts a waiting connection, of this address if one is given. Returns whether there was one."""
        for connection, cut in self._waiting.items():
            if address in (None, self._address_of[connection]):
                self.leave(connection)
                cut()
                return True
        return False


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # the client has gone
        connection.shutdown(socket.SHUT_RDWR)


class _Accepted(socket.socket):
    """A connection that is counted until it is closed, which asyncio does also where no protocol knows of it."""

    def __init__(self, accepted: socket.socket, client: tuple[str, int], connections: Connections) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self._client, self._connections = client, connections

    def close(self) -> None:
        """As `socket.socket.close`."""
        self._connections.drop_handshake(self, self._client)
        super().close()


class TlsListener(socket.socket):
    """A listening socket whose connections count from the moment they are accepted.

    asyncio tells a protocol of a connection only after its handshake. Until then thousands of silent ones could hold
    all files that the process may open.
    """

    def __init__(self, listening: socket.socket, connections: Connections) -> None:
        """On the same address as `listening`, which stays open."""
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.dup().detach())
        self._connections = connections

    def accept(self) -> tuple[socket.socket, Any]:
        """As `socket.socket.accept`."""
        accepted, peer = super().accept()
        connection = _Accepted(accepted, peer[:2], self._connections)
        self._connections.begin_handshake(connection, peer[:2])
        return connection, peer


@dataclass(slots=True)
class _Bucket:
    """Tokens that come at a rate, up to as many as come in `burst_s` seconds (a token bucket)."""

    rate: float
    burst_s: float
    tokens: float
    at_s: float

    @classmethod
    def full(cls, rate: float, burst_s: float) -> "_Bucket":
        return cls(rate, burst_s, rate * burst_s, time.monotonic())

    def fill(self) -> None:
        now_s = time.monotonic()
        self.tokens = min(self.rate * self.burst_s, self.tokens + self.rate * (now_s - self.at_s))
        self.at_s = now_s


OWN_FRAMES_PER_S = 200.0
"""Each connection's own: enough for audio in frames of 5 ms. What is within it never waits for other clients."""
SHARED_FRAMES_PER_S = 1_000.0
"""Beyond that, of all connections together: those that send a recording faster than it was spoken, and floods. A frame
takes 0.03 ms of the event loop (a ping) to 0.1 ms (a message), so floods take a tenth of it at most."""
BYTES_A_FRAME = 8_192
"""A long message counts as one frame for each of these."""


class FrameBudgets:
    """The frames a second of all connections."""

    def __init__(self, own: float = OWN_FRAMES_PER_S, shared: float = SHARED_FRAMES_PER_S) -> None:
        self._own = own
        self.shared = _Bucket.full(shared, burst_s=1.0)

    def open(self) -> "FrameBudget":
        """The budget of a new connection."""
        return FrameBudget(_Bucket.full(self._own, burst_s=2.0), self.shared)


class FrameBudget:
    """The frames a second of one connection: its own, then a part of those that all share."""

    def __init__(self, own: _Bucket, shared: _Bucket) -> None:
        self._own, self._shared = own, shared

    def pay(self, frames: float) -> float:
        """Counts frames that were read. Returns for how many seconds no further ones should be read."""
        self._own.fill()
        self._shared.fill()
        missing = frames - max(0.0, self._own.tokens)
        from_shared = min(max(0.0, missing), self._shared.tokens)
        self._shared.tokens -= from_shared
        self._own.tokens -= frames - from_shared
        return max(0.0, -self._own.tokens / self._own.rate)
