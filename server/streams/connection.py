"""One WebSocket, one stream: a reader that fills the inbox, a worker that hears, steps and tells.

The only place that turns errors into close codes. Whatever ends a stream from this side, all that was heard before is
told first; only a client that has gone, or does not take its results, is dropped.
"""

import asyncio
import hashlib
import json
import logging
from typing import Any, Protocol

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from asr.errors import AsrError, AudioError
from asr.events import Final
from server.config import ServerSettings
from server.metrics import Metrics
from server.streams.admission import RETRY_AFTER_S
from server.streams.inbox import Inbox
from server.streams.load_meter import Lateness
from server.streams.scheduler import Scheduler
from server.wires import deepgram
from server.wires.deepgram import Audio, CloseStream, Command, Ending, Finalize, MessageError, Receiver, Sender
from server.wires.deepgram_query import ListenOptions
from server.workers.contract import StreamSession

SLICE_BYTES = 16_384
"""Decoded without a pause: a big message must not hold up the event loop, and with it all other streams.

Not with raw Opus, where a message is a packet."""

_log = logging.getLogger("steadyword.server")


class Decoder(Protocol):
    """What is wanted of `asr.audio.files.StreamDecoder`."""

    def decode(self, data: bytes) -> np.ndarray: ...
    def flush(self) -> np.ndarray: ...


class IdleError(AsrError):
    """The client said nothing for too long."""


class NoAudioError(AsrError):
    """The stream ended without audio."""


class ShutdownError(AsrError):
    """The server wants to go."""


class OverloadError(AsrError):
    """The server cannot keep up with the stream."""


class _PeerGone(Exception):
    """Nobody is there to be told anything."""


ENDING_OF: tuple[tuple[type[BaseException], Ending], ...] = (
    (deepgram.MessageTooBig, deepgram.TOO_BIG),
    (MessageError, deepgram.BAD_MESSAGE),
    (AudioError, deepgram.BAD_AUDIO),
    (NoAudioError, deepgram.NO_AUDIO),
    (IdleError, deepgram.IDLE),
    (ShutdownError, deepgram.RESTART),
    (OverloadError, deepgram.OVERLOADED),
    (BaseException, deepgram.BROKEN),
)
"""The first that fits. An error that is none of ours is our fault."""


class Connection:
    """A WebSocket that was accepted, and its stream. `run` returns when both are over."""

    def __init__(
        self,
        socket: WebSocket,
        session: StreamSession,
        decoder: Decoder,
        sender: Sender,
        *,
        options: ListenOptions,
        scheduler: Scheduler,
        limits: ServerSettings,
        metrics: Metrics,
    ) -> None:
        self._socket, self._session, self._decoder, self._sender = socket, session, decoder, sender
        self._scheduler, self._limits, self._metrics = scheduler, limits, metrics
        self._receiver = Receiver(limits.max_message_bytes)
        self._inbox: Inbox[Command | AsrError] = Inbox(limits.max_message_bytes)
        self._failure: AsrError | None = None
        self._slice_bytes = limits.max_message_bytes if options.encoding == "opus" else SLICE_BYTES
        self._thins = options.interim_results
        self._lateness = Lateness(limits.max_lag_s, limits.max_lagging_s)
        self._audio_hash = hashlib.sha256()
        self._heard_bytes = 0

    def end(self) -> None:
        """The server is shutting down: say what was heard, and close."""
        self._inbox.put(ShutdownError("the server is shutting down; connect again when it is back"))

    async def run(self) -> None:
        reader = asyncio.create_task(self._read())
        worker = asyncio.create_task(self._work())
        try:
            await asyncio.wait({reader, worker}, return_when=asyncio.FIRST_COMPLETED)
            if worker.done():
                await self._close(worker.exception())
        except (_PeerGone, WebSocketDisconnect):
            pass
        finally:
            reader.cancel()
            worker.cancel()
            await asyncio.gather(reader, worker, return_exceptions=True)

    # -- the reader ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Until the client has gone. What is wrong with its messages the worker learns in their order."""
        try:
            while True:
                command = await self._next_command()
                self._inbox.put(command, len(command.data) if isinstance(command, Audio) else 0)
                await self._inbox.room()
        except AsrError as error:
            self._inbox.put(error)
            while True:
                await self._receive()

    async def _next_command(self) -> Command:
        listening = self._receiver.state is deepgram.State.OPEN
        try:
            async with asyncio.timeout(self._limits.idle_timeout_s if listening else None):
                message = await self._receive()
        except TimeoutError:
            limit_s = self._limits.idle_timeout_s
            raise IdleError(f"found neither audio nor KeepAlive for {limit_s:g} s; send one of them") from None
        if message.get("bytes") is not None:
            return self._receiver.receive_bytes(message["bytes"])
        return self._receiver.receive_text(message["text"])

    async def _receive(self) -> Any:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise _PeerGone
        return message

    # -- the worker ------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Until all that was heard has been told; then raises what ended the stream, if it was not CloseStream."""
        while not self._session.ended:
            await self._hear()
            if self._session.ready:
                await self._step()
                await self._tell()
            elif not self._session.ended:
                await self._inbox.wait()
        if self._failure:
            raise self._failure

    async def _hear(self) -> None:
        """Takes what was read, as far as there is room for it."""
        while not self._failure and self._session.lag_s < self._limits.max_buffered_audio_s:
            item = self._inbox.take()
            if item is None:
                return
            try:
                await self._apply(item)
            except AsrError as error:
                self._failure = error
                self._session.receive_end()

    async def _apply(self, item: Command | AsrError) -> None:
        if isinstance(item, AsrError):
            raise item
        if isinstance(item, Audio):
            await self._apply_audio(item.data)
        elif isinstance(item, Finalize):
            self._session.receive_finalize()
        elif isinstance(item, CloseStream):
            self._apply_end()

    async def _apply_audio(self, data: bytes) -> None:
        self._audio_hash.update(data)
        self._heard_bytes += len(data)
        before_s = self._session.received_s
        for start in range(0, len(data), self._slice_bytes):
            self._session.receive_audio(self._decoder.decode(data[start : start + self._slice_bytes]))
            if start:
                await asyncio.sleep(0)
        self._metrics.audio_s.inc(self._session.received_s - before_s)

    def _apply_end(self) -> None:
        if not self._heard_bytes:
            raise NoAudioError("the stream ended without any audio; send audio before CloseStream")
        self._session.receive_audio(self._decoder.flush())
        self._session.receive_end()

    async def _step(self) -> None:
        thinned = self._session.thinned
        if self._thins and self._session.lag_s > self._limits.thin_lag_s:
            self._session.thin_partials()
        await self._scheduler.step(self._session)
        self._metrics.thinned.inc(self._session.thinned - thinned)
        self._metrics.lag_s.observe(self._session.lag_s)
        self._check_pace()

    def _check_pace(self) -> None:
        """A stream that has long been late ends, with all that was heard of it said: it would come ever later."""
        if self._failure:
            return
        lag_s, limits = self._session.lag_s, self._limits
        is_late = self._lateness.seen(lag_s, self._session.decoded_s)
        if self._scheduler.gives_up(self._session, is_late, limits.max_lagging_s):
            self._failure = OverloadError(
                f"the server cannot keep up: words came {lag_s:.1f} s late; what was heard until second "
                f"{self._session.received_s:.1f} is final, send the rest in a new stream in {RETRY_AFTER_S} seconds"
            )
            self._session.receive_end()

    async def _tell(self) -> None:
        events = self._session.take_events()
        for event in events:
            if isinstance(event, Final):
                for word in event.words:
                    self._metrics.word_delay_s.observe(self._session.received_s - word.end_s)
        for message in self._sender.results(events, decoded_s=self._session.decoded_s, lag_s=self._session.lag_s):
            if message["type"] == "Results":
                (self._metrics.finals if message["is_final"] else self._metrics.partials).inc()
            await self._send(message)

    async def _send(self, message: dict[str, Any]) -> None:
        """Raises `_PeerGone` when the client does not take it in time."""
        try:
            async with asyncio.timeout(self._limits.send_timeout_s):
                await self._socket.send_text(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
        except TimeoutError:
            raise _PeerGone from None

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _close(self, error: BaseException | None) -> None:
        if isinstance(error, _PeerGone | WebSocketDisconnect):
            return
        ending = deepgram.NORMAL if error is None else next(e for kind, e in ENDING_OF if isinstance(error, kind))
        if ending is deepgram.BROKEN:
            _log.error("a stream broke", exc_info=error)
        description = _description(error)
        if ending.variant:
            self._metrics.errors.labels(ending.variant).inc()
            await self._send(self._sender.error(ending, description))
        else:
            await self._send(self._summary())
        self._metrics.ended.labels(ending.close_code).inc()
        await self._socket.close(ending.close_code, deepgram.close_reason(ending, description))

    def _summary(self) -> dict[str, Any]:
        return self._sender.metadata(
            duration_s=self._session.received_s,
            audio_sha256=self._audio_hash.hexdigest(),
            lag_s=self._session.lag_s,
        )


def _description(error: BaseException | None) -> str:
    if error is None:
        return ""
    return str(error) if isinstance(error, AsrError) else "the server failed on this stream; open a new one"
