"""One client's connection: a wire, a transport and the stream between them.

One task reads frames into the inbox, as fast as they come: pings are answered only while frames are read. Another takes
the wire's commands from there, feeds the stream, steps it and sends the results. This is the only place that decides
how an error ends a connection. Everything received before an error is recognised and sent first; only a client that
has gone, or takes no results, is dropped.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from asr.errors import AsrError, AudioError, CallerError
from server.access.quotas import KeyLimitError
from server.config import ServerSettings
from server.metrics import Metrics
from server.streams.admission import RETRY_AFTER_S, Unavailable
from server.streams.channels import AnyStream
from server.streams.inbox import Inbox, Item
from server.streams.transport import HalfClosed, PeerGone, Transport
from server.wires.base import (
    Acknowledge,
    Audio,
    Cause,
    Command,
    End,
    Finalize,
    Frame,
    KeepAlive,
    MessageError,
    MessageTooBig,
    Open,
    Progress,
    Release,
    Reply,
    StreamRequest,
    Summary,
    Wire,
)

_log = logging.getLogger("steadyword.server")


class IdleError(AsrError):
    """The client sent nothing for too long."""


class NoAudioError(AsrError):
    """The stream ended without audio."""


class ShutdownError(AsrError):
    """The server is shutting down."""


class OverloadError(AsrError):
    """The server cannot keep up with the stream."""


CAUSE_OF: tuple[tuple[type[BaseException], Cause], ...] = (
    (MessageTooBig, Cause.MESSAGE_TOO_BIG),
    (MessageError, Cause.BAD_MESSAGE),
    (AudioError, Cause.BAD_AUDIO),
    (NoAudioError, Cause.NO_AUDIO),
    (IdleError, Cause.IDLE),
    (ShutdownError, Cause.SHUTDOWN),
    (OverloadError, Cause.OVERLOADED),
    (Unavailable, Cause.OVERLOADED),
    (KeyLimitError, Cause.KEY_LIMIT),
    (BaseException, Cause.INTERNAL),
)
"""The first that matches. An error that is not in the table is the server's fault."""

ANSWERED = (Finalize, Release, End, Reply)
"""A client that closes its half after one of these gets the answer."""

GONE = "gone"
"""The cause of a stream whose client left before its end."""


def cause_name(cause: Cause) -> str:
    """How a stream's witnesses learn why it ended: "finished", "internal", ..., or `GONE`."""
    return cause.name.lower()


OpenStream = Callable[[StreamRequest], Awaitable[AnyStream]]
"""Opens a stream during a connection. Raises `CallerError` for what cannot be served, and `Unavailable`."""


class Connection:
    """An accepted connection. `run` returns when it is over.

    `stream` is already open for a wire whose settings come with the handshake, else None: the wire's `Open` opens it
    with `open_stream`. `on_idle` gives the commands of a wire without keep-alive messages after `idle_timeout_s`
    without a frame; without it the connection ends then. `on_acknowledge` is called with the number of the last message
    that the client has, as soon as it says so. `can_move`: whether the client still has all audio that is not final,
    and sends it to another server. `request_id` names the connection in the log.
    """

    def __init__(
        self,
        transport: Transport,
        wire: Wire,
        stream: AnyStream | None,
        *,
        open_stream: OpenStream,
        on_idle: Callable[[], Sequence[Command]] | None = None,
        on_acknowledge: Callable[[int], None] | None = None,
        can_move: Callable[[], bool] = lambda: False,
        limits: ServerSettings,
        metrics: Metrics,
        request_id: str,
    ) -> None:
        self._transport, self._wire, self._stream, self._open_stream = transport, wire, stream, open_stream
        self._on_idle, self._on_acknowledge, self._can_move = on_idle, on_acknowledge, can_move
        self._limits, self._metrics, self._request_id = limits, metrics, request_id
        self._inbox = Inbox(limits.max_message_bytes, limits.max_spooled_bytes)
        self._ending = self._moves = False
        self._awaits_answer = False
        """Whether the client's last command asked for something: then it may close its half of the connection."""
        self._failure: AsrError | None = None
        self._audio_hash = hashlib.sha256()
        self._audio_bytes = 0
        self._cause = GONE

    def shut_down(self) -> None:
        """The server is shutting down: send the results of everything received, and close.

        Audio on disk is dropped: there may be hours of it. The summary names the second up to which the text is final.
        A stream that can move is closed as it is: its last words would reach to the last sample, which is in the middle
        of a word. One whose end has come is finished.
        """
        self._inbox.drop_spooled()
        self._inbox.put(ShutdownError("the server is shutting down; connect again when it is back"))

    async def run(self) -> None:
        """Serves the client until it has all its results, or has gone."""
        reader = asyncio.create_task(self._read())
        worker = asyncio.create_task(self._work())
        try:
            await asyncio.wait({reader, worker}, return_when=asyncio.FIRST_COMPLETED)
            await self._end((worker if worker.done() else reader).exception())
        except PeerGone:
            pass
        finally:
            reader.cancel()
            worker.cancel()
            await asyncio.gather(reader, worker, return_exceptions=True)

    def close(self) -> None:
        """Frees the stream's place in the scheduler and the disk; to be called after `run`, or instead of it."""
        self._inbox.close()
        if self._stream:
            self._stream.close(self._cause)

    # -- the reader ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Runs until the client has gone. Errors go into the inbox, so that the worker meets them in order.

        What comes after the client's `End`, or after an error, is dropped. In clients with a queue of audio `End` may
        overtake the last of it, and clean-up code may send anything.
        """
        try:
            while not await self._read_frame():
                await self._inbox.room()
        except AsrError as error:
            self._inbox.put(error)
        except HalfClosed:
            if not self._awaits_answer:
                raise
            self._inbox.put(HalfClosed())
        while True:
            with suppress(HalfClosed):
                await self._transport.receive()

    async def _read_frame(self) -> bool:
        """Puts a frame's commands into the inbox. Returns whether its last one was `End`."""
        for command in await self._next_commands():
            if isinstance(command, Acknowledge):
                self._acknowledge(command.sequence)
            elif not isinstance(command, KeepAlive):  # its frame has restarted the idle timer
                self._inbox.put(command)
                self._awaits_answer = isinstance(command, ANSWERED)
            if isinstance(command, End):
                return True
        return False

    def _acknowledge(self, sequence: int) -> None:
        if self._on_acknowledge:
            self._on_acknowledge(sequence)

    async def _next_commands(self) -> Sequence[Command]:
        """Those of the next frame, or of a long pause without one. Raises `IdleError`, `MessageError`."""
        limit_s, limit_bytes = self._limits.idle_timeout_s, self._limits.max_message_bytes
        try:
            async with asyncio.timeout(limit_s):
                frame = await self._transport.receive()
        except TimeoutError:
            if self._on_idle:
                return self._on_idle()
            raise IdleError(f"found no message for {limit_s:g} s, wanted audio or a keep-alive message") from None
        if len(frame) > limit_bytes:
            raise MessageTooBig(f"found a message of {len(frame)} bytes, wanted at most {limit_bytes}")
        return self._wire.receive(frame)

    # -- the worker ------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Runs until all results are sent; then raises what ended the connection, unless it was the wire's `End`."""
        await self._send(self._wire.open())
        while not self._over():
            await self._take_commands()
            if self._stream and self._stream.ready and not self._moves:
                await self._step(self._stream)
            elif not self._over():
                await self._inbox.wait()
        if self._failure:
            raise self._failure

    def _over(self) -> bool:
        return self._ending and (self._moves or self._stream is None or self._stream.ended)

    async def _take_commands(self) -> None:
        """Carries out the commands received, as far as the stream has room for their audio."""
        while not self._failure and self._has_room():
            item = self._inbox.take()
            if item is None:
                return
            try:
                await self._apply(item)
            except AsrError as error:
                self._fail(error)

    def _has_room(self) -> bool:
        return self._stream is None or self._stream.progress.lag_s < self._limits.max_buffered_audio_s

    async def _apply(self, item: Item) -> None:
        if isinstance(item, ShutdownError) and self._ending:  # it ends by itself
            return
        if isinstance(item, AsrError):
            raise item
        if isinstance(item, HalfClosed):
            await self._finish_asked(item)
        if isinstance(item, Audio):
            await self._apply_audio(item.data)
        elif isinstance(item, Finalize):
            self._opened().receive_finalize()
        elif isinstance(item, End):
            self._apply_end()
        elif isinstance(item, Reply):
            await self._send(item.frames)
        elif isinstance(item, Release):
            await self._release()
        elif isinstance(item, Open):
            await self._apply_open(item.request)

    async def _apply_audio(self, data: bytes) -> None:
        stream = self._opened()
        self._audio_hash.update(data)
        self._audio_bytes += len(data)
        await stream.receive_audio(data)

    def _apply_end(self) -> None:
        if not self._audio_bytes:
            raise NoAudioError("the stream ended without any audio; send audio first")
        self._opened().receive_end()
        self._ending = True

    async def _apply_open(self, request: StreamRequest) -> None:
        """Finishes the stream that is open, then opens the requested one."""
        await self._release()
        if self._failure:  # the old stream was too slow to be finished
            return
        try:
            self._stream = await self._open_stream(request)
        except CallerError as error:
            raise MessageError(str(error)) from error

    async def _release(self) -> None:
        """Finishes the stream that is open, if one is."""
        if self._stream:
            self._stream.receive_end()
            while self._stream.ready:
                await self._step(self._stream)
            self._stream.close(cause_name(Cause.FINISHED))
            self._stream = None

    async def _finish_asked(self, gone: HalfClosed) -> None:
        """Nothing follows: sends what the last command asked for. Raises `PeerGone`, unless that was the `End`."""
        if self._ending:
            return
        while self._stream and self._stream.ready:
            await self._step(self._stream)
        raise gone

    def _opened(self) -> AnyStream:
        if self._stream is None:
            raise MessageError("found audio or a command before the stream's settings; send those first")
        return self._stream

    def _fail(self, error: AsrError) -> None:
        """Ends the connection because of this error, after the results of everything received before it."""
        self._failure, self._ending = error, True
        self._moves = isinstance(error, ShutdownError) and self._can_move()
        if self._stream and not self._moves:
            self._stream.cut()

    async def _step(self, stream: AnyStream) -> None:
        try:
            await stream.step()
        except (AudioError, KeyLimitError) as error:
            self._fail(error)
        if not self._failure and stream.must_give_way():
            self._fail(_overload(stream.progress))
        events = stream.take_events()
        await self._send(self._wire.send(events, stream.progress))

    async def _send(self, frames: Iterable[Frame]) -> None:
        """Raises `PeerGone` when the client does not take a frame in time."""
        for frame in frames:
            try:
                async with asyncio.timeout(self._limits.send_timeout_s):
                    await self._transport.send(frame)
            except TimeoutError:
                raise PeerGone from None

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _end(self, error: BaseException | None) -> None:
        if isinstance(error, PeerGone):
            return
        cause = Cause.FINISHED if error is None else next(cause for kind, cause in CAUSE_OF if isinstance(error, kind))
        self._cause = cause_name(cause)
        if cause is Cause.INTERNAL:
            _log.error("stream %s failed", self._request_id, exc_info=error)
        ending = self._wire.end(cause, _description(error), self._summary())
        if ending.error:
            self._metrics.errors.labels(ending.error).inc()
        await self._send(() if self._moves else ending.frames)  # a summary would say that all of it is final
        self._metrics.ended.labels(ending.close_code).inc()
        await self._transport.close(ending.close_code, ending.reason)

    def _summary(self) -> Summary:
        progress = self._stream.progress if self._stream else Progress(0.0, 0.0)
        notices = self._stream.notices if self._stream else ()
        return Summary(progress.received_s, progress.lag_s, self._audio_hash.hexdigest(), notices)


def _overload(progress: Progress) -> OverloadError:
    return OverloadError(
        f"the server cannot keep up: words came {progress.lag_s:.1f} s late; the text up to second "
        f"{progress.received_s:.1f} is final, send the rest in a new stream in {RETRY_AFTER_S} seconds"
    )


def _description(error: BaseException | None) -> str:
    if error is None:
        return ""
    return str(error) if isinstance(error, AsrError) else "the server failed on this stream; open a new one"
