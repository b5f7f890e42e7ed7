"""Who goes first when several sessions wait for one model: those whose words somebody waits for while they are spoken.

An upload's step takes as long as a live one's, and nobody notices the difference of a second; but a live word behind
six of them is seconds late. So a batch never mixes the two, live ones go first, and while any live stream is open,
uploads are stepped one at a time. A stream that sends a recording faster than it was spoken counts as an upload.
"""

import math
import time
from collections.abc import Sequence
from typing import Protocol, TypeVar
from weakref import WeakKeyDictionary

from server.workers.contract import StreamSession

AHEAD_S = 10.0
"""A stream that has sent this much more audio than time has passed is no live one. Clients send a few seconds at once
after a pause of the network."""
PATIENCE_S = 10.0
"""An upload that has waited this long gets a step, however many live ones wait: it must end some time."""


class Waiting(Protocol):
    """A session in a queue, since when."""

    @property
    def session(self) -> StreamSession: ...
    @property
    def since_s(self) -> float: ...


W = TypeVar("W", bound=Waiting)


class Precedence:
    """The order of the sessions of one model."""

    def __init__(self) -> None:
        self._began_s: WeakKeyDictionary[StreamSession, float] = WeakKeyDictionary()

    def open(self, session: StreamSession, *, live: bool) -> None:
        """A new session; `live` is False for an upload."""
        self._began_s[session] = time.perf_counter() if live else math.inf

    def close(self, session: StreamSession) -> None:
        """The session waits for nothing any more."""
        self._began_s.pop(session, None)

    def first(self, waiting: Sequence[W]) -> list[W]:
        """Those among them that may be stepped together now, in their order."""
        live = [one for one in waiting if self.is_live(one.session)]
        others = [one for one in waiting if not self.is_live(one.session)]
        if live:
            overdue = [one for one in others if time.perf_counter() - one.since_s > PATIENCE_S]
            return overdue[:1] or live
        return others[:1] if any(map(self.is_live, list(self._began_s))) else others

    def is_live(self, session: StreamSession) -> bool:
        """Whether it sends audio while it is spoken, and is no upload."""
        elapsed_s = time.perf_counter() - self._began_s.get(session, -math.inf)
        return session.received_s <= elapsed_s + AHEAD_S
