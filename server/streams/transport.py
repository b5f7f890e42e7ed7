"""The socket under a connection, whatever its protocol."""

from typing import Protocol

from server.wires.base import Frame


class PeerGone(Exception):
    """The client has gone, or does not take what it is sent: nothing can be sent any more.

    `code` is that of its close frame, 1006 without one.
    """

    def __init__(self, code: int = 1006) -> None:
        super().__init__()
        self.code = code


class HalfClosed(PeerGone):
    """The client sends nothing more but may still take results (TCP's half close), or has gone: one cannot see which.

    Raised once; the next call of `Transport.receive` raises `PeerGone` when it has gone.
    """


class Transport(Protocol):
    """The socket under a connection. Each method raises `PeerGone` when the client has gone."""

    async def receive(self) -> Frame: ...
    async def send(self, frame: Frame) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...
