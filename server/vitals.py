"""The numbers of a live stream's utterances: rows of the ledger, written while the stream goes on."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from asr.events import Event, Measured
from server.streams.witness import Witness
from server.workers.messages import Call

if TYPE_CHECKING:
    from asr.ledger.values import VitalsRow


class StreamVitals(Witness):
    """A `server.streams.witness.Witness` of all channels of one stream; utterances count through all of them."""

    def __init__(
        self, model: str, release: int, stream_id: str, client: str, codec: str, put: "Callable[[VitalsRow], None]"
    ) -> None:
        self._seat = (model, release, stream_id, client)
        self._codec, self._put = codec, put
        self._utterances = 0

    def receive(self, call: Call) -> None:
        """Nothing: the worker measures the audio."""

    def say(self, events: Sequence[Event], received_s: float) -> None:
        """Hands on the numbers of each utterance that ended."""
        for event in events:
            if isinstance(event, Measured):
                self._put(self._row(event))
                self._utterances += 1

    def close(self, cause: str) -> None:
        """Nothing is left to do."""

    def _row(self, event: Measured) -> "VitalsRow":
        from asr.ledger.values import VitalsRow

        return VitalsRow(
            time.time(),
            *self._seat,
            utterance=self._utterances,
            language=event.language,
            codec=self._codec,
            audio_s=event.audio_s,
            words=event.words,
            numbers=np.array(event.numbers, np.float32),
        )
