"""What the server wants of an engine and its sessions, and where they come from.

`asr.engine.Engine` and `asr.streaming.session.Session` keep this contract in the server's own process;
`server.workers.remote` keeps it for an engine that lives in a process of its own.
"""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from asr.config import SessionSettings
from asr.events import Event
from server.config import ServerSettings

if TYPE_CHECKING:
    from server.workers.remote import RemoteEngine

MOST_WORKERS = 4
"""Without a number in the settings: each holds a copy of the model."""


class StreamSession(Protocol):
    """One stream, as its owner sees it (see `asr.streaming.session`)."""

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
    def receive_audio(self, samples: np.ndarray) -> None: ...
    def receive_finalize(self) -> None: ...
    def receive_end(self) -> None: ...
    def take_events(self) -> list[Event]: ...
    def thin_partials(self) -> int: ...


class StreamEngine(Protocol):
    """One model, serving any number of sessions (see `asr.engine`)."""

    @property
    def name(self) -> str: ...
    @property
    def architecture(self) -> str: ...
    @property
    def weights_sha256(self) -> str: ...
    @property
    def languages(self) -> Sequence[str]: ...
    def open(
        self,
        settings: SessionSettings | None = None,
        *,
        language: str | None = None,
        prompt: str = "",
        hotwords: Sequence[str] = (),
        partials: bool = True,
    ) -> Any: ...
    def step(self, sessions: Sequence[Any]) -> None: ...


def load_engines(settings: ServerSettings) -> "list[RemoteEngine]":
    """For each model so many workers as the settings say, all loading at the same time. Raises `ModelError`."""
    from server.workers.remote import RemoteEngine

    count = settings.workers or default_workers()
    threads = max(1, cores() // count)
    engines = [RemoteEngine(model, threads) for model in settings.models for _ in range(count)]
    try:
        for engine in engines:
            engine.await_ready()
    except BaseException:
        for engine in engines:
            engine.close()
        raise
    return engines


def default_workers() -> int:
    """One for each core of a CPU: two threads of one process wait for each other's Python (docs/LOG.md)."""
    return min(cores(), MOST_WORKERS)


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
