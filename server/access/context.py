"""The request that is served now: its key, and what its line in the log will say.

A context variable: each request runs in tasks of its own, and the tasks that it starts inherit it. So a route cannot
forget to pass the key on to the limits that depend on it. Wyoming's connections and the server's own work have none.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from server.access.keyring import Caller
from server.workers.contract import StreamEngine


@dataclass(slots=True)
class RequestContext:
    """One request; the rooms that serve it write into it."""

    caller: Caller | None = None
    """None where no key is asked for."""
    session: Any = None
    """The settings of a Realtime session that came with a client secret."""
    model: str = ""
    weights_sha256: str = ""
    release: str = ""
    """`NAME/7`; "" for a model that is no release of a ledger."""
    audio_s: float = 0.0
    """Seconds of audio received."""
    client: str = ""
    """The hash of the client, see `server.canary`; "" on a server without a ledger."""
    consent: str = ""
    """The consent that the request names; "" where nothing of it may be kept, see `server.clips.consent`."""
    request_id: str = ""
    streams: int = 0
    """How many streams the request has opened."""

    def next_stream_id(self) -> str:
        """The name of the stream that opens now: the request's id; for later ones of a connection with their number."""
        self.streams += 1
        return self.request_id if self.streams == 1 else f"{self.request_id}.{self.streams}"

    def serves(self, engine: StreamEngine) -> None:
        """Notes the model that the request has."""
        self.model, self.weights_sha256, self.release = engine.name, engine.weights_sha256, engine.release


_now: ContextVar[RequestContext | None] = ContextVar("request", default=None)


def begin(caller: Caller | None, session: Any = None) -> RequestContext:
    """From here on, in this task and those that it starts, the request is this one."""
    context = RequestContext(caller, session)
    _now.set(context)
    return context


def current() -> RequestContext:
    """The request of the task that asks. Outside of requests an empty one."""
    return _now.get() or RequestContext()
