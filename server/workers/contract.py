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
    """What the server needs of a stream's session; `asr.streaming.session.Session` keeps the same contract."""

    @property
    def received_s(self) -> float: ...
    @property
    def decoded_s(self) -> float: ...
    @property
    def reached_s(self) -> float:
        """`decoded_s` in the present worker: less than that, while it repeats what a worker did that has died."""
        ...

    @property
    def voiced_until_s(self) -> float: ...
    @property
    def lag_s(self) -> float: ...
    @property
    def ready(self) -> bool: ...
    @property
    def ended(self) -> bool: ...
    @property
    def is_urgent(self) -> bool:
        """Whether the client waits for the next step: it asked for a final, or its stream ends."""
        ...

    def receive_audio(self, samples: np.ndarray) -> None: ...
    def receive_finalize(self) -> None: ...
    def receive_end(self) -> None: ...
    def show_every(self, seconds: float) -> None:
        """Takes effect with the next step."""
        ...

    def take_events(self) -> list[Event]: ...


class StreamEngine(Protocol):
    """One model with any number of sessions, in a worker that may die.

    `open`, `adopt`, `step` and `restart` block: call them off the event loop, from one thread. They raise `WorkerDied`
    when the worker has ended; then `restart` replaces it, and `adopt` continues its sessions, here or in another engine
    of the same model.
    """

    @property
    def name(self) -> str: ...
    @property
    def release(self) -> str:
        """`NAME/7`, or "" for a model that is no release of a ledger."""
        ...

    @property
    def architecture(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    @property
    def languages(self) -> Sequence[str]: ...
    def open(self, settings: SessionSettings, options: StreamOptions) -> StreamSession: ...
    def adopt(self, session: Any) -> None:
        """Continues a session of a worker that has died, from where its events ended."""
        ...

    def step(self, sessions: Sequence[Any]) -> bool: ...
    def restart(self) -> None: ...
    @property
    def is_alive(self) -> bool:
        """Whether the worker's process runs. Any thread may ask."""
        ...

    def kill(self) -> None:
        """Kills the worker's process, so that the blocking call ends. Any thread may do it."""
        ...

    def close(self) -> None:
        """Ends the worker's process; waits for its end a moment."""
        ...
