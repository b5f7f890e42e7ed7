"""How a stream ended and how late its words came: one row of the ledger for each stream of a model with a canary."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asr.aliases import LOADING
from asr.config import SAMPLE_RATE_HZ
from asr.events import Event, Final
from server.streams.connection import cause_name
from server.streams.witness import Witness
from server.wires.base import Cause, says_something
from server.workers.messages import Audio, Call

if TYPE_CHECKING:
    from asr.ledger.values import Outcome


@dataclass(frozen=True, slots=True)
class Seated:
    """A stream and the release that it sits on."""

    model: str
    release: int
    arm: str
    stream_id: str
    client: str


class StreamOutcome:
    """Gathers the outcome of one stream from all of its channels, and hands it on when the last one closes."""

    def __init__(self, seated: Seated, channels: int, put: "Callable[[Outcome], None]") -> None:
        self._seated, self._put = seated, put
        self._open = channels
        self.words = 0
        self.delays_s: list[float] = []
        self.audio_s = 0.0
        self.channels: Sequence[Witness] = [_Channel(self) for _ in range(channels)]

    def close(self, cause: str) -> None:
        """A channel closes. A stream without any audio was a probe: it is no outcome."""
        self._open -= 1
        if not self._open and self.audio_s:
            self._put(self._outcome(cause))

    def refuse(self, cause: str) -> None:
        """The release could not open the stream: an outcome without audio."""
        self._put(self._outcome(cause))

    def _outcome(self, cause: str) -> "Outcome":
        from asr.ledger.values import Outcome

        seated = self._seated
        delay_s = float(np.quantile(self.delays_s, 0.95)) if self.delays_s else None
        return Outcome(
            at_s=time.time(),
            name=seated.model,
            release=seated.release,
            arm=seated.arm,
            stream_id=seated.stream_id,
            client=seated.client,
            audio_s=self.audio_s,
            words=self.words,
            delay_p95_s=delay_s,
            cause=cause,
        )


def failed_load(model: str, release: int) -> "Outcome":
    """A release that this server could not load; no client, no stream."""
    from asr.ledger.values import Outcome

    return Outcome(time.time(), model, release, LOADING, "", "", 0.0, 0, None, cause_name(Cause.INTERNAL))


class _Channel:
    """A `server.streams.witness.Witness` of one session."""

    def __init__(self, outcome: StreamOutcome) -> None:
        self._outcome = outcome
        self._samples = 0

    def receive(self, call: Call) -> None:
        if isinstance(call, Audio):
            self._samples += len(call.samples)
            self._outcome.audio_s = max(self._outcome.audio_s, self._samples / SAMPLE_RATE_HZ)

    def say(self, events: Sequence[Event], received_s: float) -> None:
        for event in events:
            if isinstance(event, Final) and says_something(event):
                self._outcome.words += len(event.words)
                self._outcome.delays_s += [received_s - word.end_s for word in event.words]

    def close(self, cause: str) -> None:
        self._outcome.close(cause)
