"""One stream at the model: wire bytes in, events out. The audio decoder, the session and its place in the scheduler.

stream.receive_audio(data), stream.receive_finalize(), stream.receive_end()
while stream.ready: await stream.step(); events = stream.take_events()
stream.close()
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from asr.audio.streams import ENCODINGS
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from asr.events import Event, Final, Measured, Partial
from server.access.keyring import Keyring
from server.access.quotas import Quotas
from server.config import ServerSettings
from server.metrics import Metrics
from server.streams.load_meter import Lateness
from server.streams.scheduler import Scheduler
from server.streams.witness import Witness
from server.wires.base import Progress, StreamRequest, says_something
from server.workers.contract import StreamEngine, StreamSession
from server.workers.messages import Audio, Call, End, Finalize

SLICE_BYTES = 4_096
"""Parsed without a pause: a long message must not hold up the event loop, and with it all other streams.

Messages that are packets (raw Opus) are not sliced."""
PAUSE_S = 0.005
"""After so much decoding other tasks get their turn."""
MAX_MESSAGE_S = 600.0
"""Audio in one message. It is decoded as the model takes it, but its sender cannot take it back: 14 bytes of FLAC may
stand for eight seconds."""


class Decoder(Protocol):
    """What a stream needs of `asr.audio.streams.StreamDecoder`: pieces of mono float32 ``(n,)`` at 16 kHz."""

    def pieces(self, data: bytes) -> Iterator[np.ndarray]: ...
    def last_pieces(self) -> Iterator[np.ndarray]: ...
    @property
    def notices(self) -> tuple[str, ...]: ...


class Stream:
    """An open stream; `close` it when it is over, however it ended."""

    def __init__(
        self,
        session: StreamSession,
        decoder: Decoder,
        request: StreamRequest,
        *,
        scheduler: Scheduler,
        limits: ServerSettings,
        metrics: Metrics,
        quotas: Quotas | None = None,
        witnesses: Sequence[Witness] = (),
    ) -> None:
        self._session, self._decoder, self._scheduler = session, decoder, scheduler
        self._limits, self._metrics = limits, metrics
        self._quotas = quotas or Quotas(Keyring(None))
        self._witnesses = witnesses
        is_packets = ENCODINGS[request.encoding].is_packets
        self._slice_bytes = limits.max_message_bytes if is_packets else SLICE_BYTES
        self._lateness = Lateness(limits.max_lag_s, limits.max_lagging_s)
        self._pieces: Iterator[np.ndarray] | None = None
        """What is received and not decoded yet: so much that the model must take some of it first."""
        self._is_last = False
        self.on_close: Callable[[], None] | None = None
        """Called once, after `close`."""

    @property
    def engine(self) -> StreamEngine:
        """The model: its name, weights and architecture."""
        return self._scheduler.engine

    @property
    def progress(self) -> Progress:
        """How far the stream is: audio received, decoded and voiced, in seconds."""
        session = self._session
        return Progress(session.received_s, session.decoded_s, session.voiced_until_s, self.engine.release)

    @property
    def ready(self) -> bool:
        """Whether there is something to do for `step`."""
        return self._session.ready or self._pieces is not None

    @property
    def notices(self) -> tuple[str, ...]:
        """What the client should know about its audio so far."""
        return self._decoder.notices

    @property
    def ended(self) -> bool:
        """Whether the last event was emitted."""
        return self._session.ended

    async def receive_audio(self, data: bytes) -> None:
        """Decodes the bytes and passes them to the session; `step` decodes what is too much for now.

        While `progress` lags by `max_buffered_audio_s`, pass nothing more. Raises `AudioError`, `QuotaError`,
        `KeyRemovedError`.
        """
        self._pieces = self._within_limit(self._pieces_of(data))
        await self._decode()

    def receive_finalize(self) -> None:
        """Commit everything received so far."""
        self._session.receive_finalize()
        self._show(Finalize())

    def receive_end(self) -> None:
        """No audio follows; step until `ended`."""
        self._pieces, self._is_last = self._decoder.last_pieces(), True

    def cut(self) -> None:
        """As `receive_end`, after an error: what is left in the decoder is dropped. A second call changes nothing."""
        self._pieces = None
        self._end()

    async def step(self) -> None:
        """One model step, in a batch with other streams that wait. Raises `StepError`, `Unavailable`.

        Raises `AudioError` when the bytes received before cannot be decoded, or end within a sample or a header; and
        `QuotaError`, `KeyRemovedError`.
        """
        if self._session.ready:
            self._session.show_every(self._scheduler.show_interval_s(self._session))
            await self._scheduler.step(self._session)
            self._metrics.lag_s.observe(self._session.lag_s)
        await self._decode()

    async def _decode(self) -> None:
        """Decodes what was received, as far as the session has room for it."""
        pause_at_s = time.perf_counter() + PAUSE_S
        while self._pieces is not None and self._has_room():
            piece = next(self._pieces, None)
            if piece is None:
                self._end_pieces()
            elif len(piece):
                self._session.receive_audio(piece)
                self._show(Audio(piece))
                self._metrics.audio_s.inc(len(piece) / SAMPLE_RATE_HZ)
                self._quotas.count_audio(len(piece) / SAMPLE_RATE_HZ)
            if time.perf_counter() >= pause_at_s:
                await asyncio.sleep(0)
                pause_at_s = time.perf_counter() + PAUSE_S

    def _has_room(self) -> bool:
        return self._session.lag_s < self._limits.max_buffered_audio_s or not self._session.ready

    def _end_pieces(self) -> None:
        self._pieces = None
        if self._is_last:
            self._end()

    def _end(self) -> None:
        self._session.receive_end()
        self._show(End())

    def _show(self, call: Call) -> None:
        for witness in self._witnesses:
            witness.receive(call)

    def _pieces_of(self, data: bytes) -> Iterator[np.ndarray]:
        for start in range(0, len(data), self._slice_bytes):
            yield np.zeros(0, np.float32)  # a pause is possible here, also where no slice has audio
            yield from self._decoder.pieces(data[start : start + self._slice_bytes])

    def _within_limit(self, pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        seconds = 0.0
        for piece in pieces:
            seconds += len(piece) / SAMPLE_RATE_HZ
            if seconds > MAX_MESSAGE_S:
                raise AudioError(f"found more than {MAX_MESSAGE_S:g} s of audio in one message; wanted smaller ones")
            yield piece

    def must_give_way(self) -> bool:
        """After a step: whether the engine cannot keep up and this is the stream to close, so that the others can."""
        is_late = self._lateness.update(self._session.lag_s, self._session.decoded_s)
        return self._scheduler.must_give_way(self._session, is_late, self._limits.max_lagging_s)

    def take_events(self) -> list[Event]:
        """The events since the last call."""
        events = self._session.take_events()
        for event in events:
            self._count(event)
        for witness in self._witnesses:
            witness.say(events, self._session.received_s)
        return [event for event in events if not isinstance(event, Measured)]

    def close(self, cause: str = "") -> None:
        """Frees the stream's place in the scheduler. `cause`: see `server.streams.witness`."""
        self._scheduler.close(self._session)
        for witness in self._witnesses:
            witness.close(cause)
        if self.on_close:
            self.on_close()

    def _count(self, event: Event) -> None:
        if isinstance(event, Partial):
            self._metrics.partials.inc()
        elif isinstance(event, Final) and says_something(event):
            self._metrics.finals.inc()
            for word in event.words:
                self._metrics.word_delay_s.observe(self._session.received_s - word.end_s)
