"""What the server needs of an engine and its sessions. `server.workers.remote` keeps this contract.

The calls mean what they mean in `asr.engine` and `asr.streaming.session`, where they are documented; here stand only
their types as the server uses them, and where they differ.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from asr.config import SessionSettings
from asr.events import Event
from server.workers.messages import StreamOptions


class StreamSession(Protocol):
    """One stream."""

    @property
    def received_s(self) -> float: ...
    @property
    def decoded_s(self) -> float: ...
    @property
    def lag_s(self) -> float: ...
    @property
    def ready(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def thinned(self) -> int:
        """Partials dropped by `thin_partials` so far. Changes with a step only."""
        ...

    def receive_audio(self, samples: np.ndarray) -> None: ...
    def receive_finalize(self) -> None: ...
    def receive_end(self) -> None: ...
    def thin_partials(self) -> None:
        """Takes effect with the next step, which adds to `thinned`."""
        ...

    def take_events(self) -> list[Event]: ...


class StreamEngine(Protocol):
    """One model with any number of sessions. `open` and `step` block: call them off the event loop, from one thread."""

    @property
    def name(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    @property
    def languages(self) -> Sequence[str]: ...
    def open(self, settings: SessionSettings, options: StreamOptions) -> StreamSession: ...
    def step(self, sessions: Sequence[Any]) -> None: ...
