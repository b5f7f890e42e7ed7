"""What crosses the pipe between a server and its recognition workers, and nothing else. All values are frozen.

    worker -> server   Hello once, or the error that loading raised
    server -> worker   Open                 -> the State of the new session
    server -> worker   Step                 -> a State for each of its inputs, in their order
                       or an error instead: then no session has lost audio or events

The end of the pipe ends the worker.
"""

from dataclasses import dataclass
from typing import Protocol, assert_never

import numpy as np

from asr.config import SessionSettings
from asr.events import Event


@dataclass(frozen=True, slots=True)
class Hello:
    """The model is loaded. The fields are the properties of `asr.engine.Engine` of the same names."""

    name: str
    architecture: str
    weights_sha256: str
    precision: str
    languages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """What a client may ask for in its stream; see `asr.engine.Engine.open`."""

    language: str | None = None
    prompt: str = ""
    hotwords: tuple[str, ...] = ()
    partials: bool = True
    vitals: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """Open a session. ``key`` names it in later steps.

    ``checkpoint``: continue the session that another process of the same model saved in a `State`.
    """

    key: int
    settings: SessionSettings
    options: StreamOptions
    checkpoint: bytes = b""


@dataclass(frozen=True, slots=True)
class Audio:
    """`Session.receive_audio`: mono float32 samples ``(n,)`` at 16 kHz."""

    samples: np.ndarray


@dataclass(frozen=True, slots=True)
class Finalize:
    """Calls `Session.receive_finalize`: commit what was received so far."""


@dataclass(frozen=True, slots=True)
class End:
    """Calls `Session.receive_end`: no more audio comes."""


Call = Audio | Finalize | End
"""A call on a session in the worker; calls are applied in their order, before the step."""


class Receiver(Protocol):
    """The owner's side of `asr.streaming.session.Session`, or of what stands for one."""

    def receive_audio(self, samples: np.ndarray) -> None: ...
    def receive_finalize(self) -> None: ...
    def receive_end(self) -> None: ...


def apply(call: Call, session: Receiver) -> None:
    """Makes the call. Raises what the session raises."""
    match call:
        case Audio():
            session.receive_audio(call.samples)
        case Finalize():
            session.receive_finalize()
        case End():
            session.receive_end()
        case _:
            assert_never(call)


@dataclass(frozen=True, slots=True)
class Input:
    """The calls on one session since its last step, in their order."""

    key: int
    calls: tuple[Call, ...]
    show_s: float = 0.0
    """For `asr.streaming.session.Session.show_every`."""


@dataclass(frozen=True, slots=True)
class Step:
    """Drop the sessions ``closed``, make the calls of the others, then step those together."""

    closed: tuple[int, ...]
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class State:
    """A session after it was opened or stepped."""

    events: tuple[Event, ...]
    """New since the last state."""
    decoded_s: float
    voiced_until_s: float
    ready: bool
    ready_at_samples: int
    """See `asr.streaming.session.Session.ready_at_samples`."""
    ended: bool
    early: bool = False
    """What `asr.engine.Engine.step` returned: the step only decoded early."""
    checkpoint: bytes = b""
    """Now and then: the session as it is now, for `Open`. What came before is not needed any more to continue it."""


Request = Open | Step
Answer = tuple[State, ...]
