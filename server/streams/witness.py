"""Who follows a stream without taking part in it: what its session is given, what it says, how it ends."""

from collections.abc import Sequence
from typing import Protocol

from asr.events import Event
from server.workers.messages import Call


class Witness(Protocol):
    """Follows one session. Its methods return at once and raise nothing: no stream waits or fails because of it."""

    def receive(self, call: Call) -> None:
        """The session was given this."""
        ...

    def say(self, events: Sequence[Event], received_s: float) -> None:
        """The session emitted these, after it had received `received_s` seconds of audio."""
        ...

    def close(self, cause: str) -> None:
        """The stream is over; `cause` is a value of `server.streams.connection.cause_name`."""
        ...
