"""Streams that outlive their connection: a client whose connection is lost goes on with another, and misses nothing.

A `ResumableTransport` stands between a `Connection` and the sockets that serve it one after the other. The connection
sees one client that never goes away, until it has been away for too long. Three rules make every message arrive exactly
once: messages are numbered and kept until they are acknowledged; a client that comes back says which it has; audio is
counted where the connection takes it, so that a client knows what to send again.

    kept = KeptStreams(limits, metrics)                 one for the server
    stream = kept.add(wire, seconds, identity)          the transport of a `Connection`
    stream.run(connection, place)
    await stream.serve(socket, accept)                  the first socket, until it is lost or has everything
    stream = kept.find(token, sequence, identity)       for the next socket
    await stream.serve(socket, accept, token=token, sequence=sequence)
"""

import asyncio
import hashlib
import hmac
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from asr.errors import CallerError
from server.config import ServerSettings
from server.metrics import Metrics
from server.streams.connection import Connection, IdleError
from server.streams.owners import Owners
from server.streams.transport import HalfClosed, PeerGone, Transport
from server.wires.base import Command, Frame, NumberedFrame, ResumableWire

_log = logging.getLogger("steadyword.server")

REPORT_S = 1.0
"""A socket without another message for so long gets a `ResumableWire.received`."""
CLOSE_S = 1.0
"""A socket that is given up gets a close frame if it takes one in this time: mostly nobody is there."""
FRAME_OVERHEAD_BYTES = 128
"""A kept message takes this much memory besides its text."""

TAKEN_OVER = (4001, "another connection has resumed this stream")
IDLE = (1011, "no message for too long; resume the stream")
FAREWELL = 1000
"""With this close code a client leaves for good. All other ends of a connection may be accidents."""


class Gone(CallerError):
    """There is no such stream: it is kept no more, or never was. HTTP 410."""


class SequenceError(CallerError):
    """A client that says it has messages which were never sent, or asks for acknowledged ones again. HTTP 400."""


class _Link:
    """One socket while it serves a stream."""

    def __init__(self, socket: Transport, sent: int) -> None:
        self.socket = socket
        self.sent = sent
        """The number of the last message sent, or received before by another socket."""
        self.taken = asyncio.Event()
        """The frame that was read last has been taken; the next one may be read."""
        self.over = asyncio.Event()
        self.close: tuple[int, str] | None = None
        self.announces_end = False
        self.is_closing = False

    def end(self, close: tuple[int, str] | None = None) -> None:
        """Ends `ResumableTransport.serve`, which sends the close frame without anybody waiting for it."""
        self.close = close
        self.over.set()


class ResumableTransport:
    """The transport of one stream's `Connection`, over sockets that come and go."""

    def __init__(self, wire: ResumableWire, seconds: float, identity: str, streams: "KeptStreams") -> None:
        self._wire, self._seconds, self._streams = wire, seconds, streams
        self.identity = identity
        self.tokens: list[bytes] = []
        """Hashes: of the token in use, and of one that was sent and is not confirmed by a message yet."""
        self.is_resumable = True
        """Whether another connection may go on with the stream."""
        self.on_gone: Callable[[], object] = _nothing
        """Called when nobody can come back: ends the connection, which may wait for something else than a frame."""
        self.is_over = False
        """Whether the stream's connection has ended. What it sent is still kept."""
        self._kept: deque[NumberedFrame] = deque()
        self.kept_bytes = 0
        self._interim: NumberedFrame | None = None
        self._last = self._acknowledged = 0
        self._close: tuple[int, str] | None = None
        self._frames: deque[Frame] = deque()
        self._arrived, self._more, self._idle_since_s = asyncio.Event(), asyncio.Event(), 0.0
        self._link: _Link | None = None
        self._progressed = asyncio.Event()
        """A frame was sent, or the socket has gone."""
        self._timer: asyncio.TimerHandle | None = None
        self._has_told = self._is_gone = False
        """Whether a token was sent; whether nobody can come back."""

    # -- for the connection ------------------------------------------------------------------------------------------

    async def receive(self) -> Frame:
        """The next frame of whichever socket serves the stream. Raises `PeerGone` when nobody can come back."""
        while not self._frames:
            if self._is_gone:
                raise PeerGone
            self._arrived.clear()
            await self._arrived.wait()
        if self._link:
            self._link.taken.set()
        return self._frames.popleft()

    async def send(self, frame: Frame) -> None:
        """Keeps a frame and has it sent. Waits for the client only if the stream cannot be resumed any more."""
        assert isinstance(frame, NumberedFrame)
        self._last = frame.sequence
        self._interim = frame if frame.is_interim and self._link else None
        if not frame.is_interim:
            self._keep(frame)
        self._more.set()
        while not self.is_resumable and self._link and self._link.sent < frame.sequence:
            self._progressed.clear()
            await self._progressed.wait()

    async def close(self, code: int, reason: str) -> None:
        """Returns when a client has all frames and the close frame, or none is there."""
        self._close = (code, reason)
        self._more.set()
        while self._link:
            self._progressed.clear()
            await self._progressed.wait()

    def on_idle(self) -> Sequence[Command]:
        """No frame for `idle_timeout_s`: a socket that is still there is given up; the stream waits for another."""
        limit_s = self._streams.limits.idle_timeout_s
        if self._link and asyncio.get_running_loop().time() - self._idle_since_s >= limit_s:
            if not self.is_resumable:
                raise IdleError(f"found no message for {limit_s:g} s, wanted audio or a keep-alive message")
            self._link.end(IDLE)
        return ()

    def acknowledge(self, sequence: int) -> None:
        """Forgets the messages up to this one. More than was sent means all of it."""
        self._acknowledged = max(self._acknowledged, min(sequence, self._last))
        self._forget(self._acknowledged)

    def _finish(self) -> None:
        """The connection has ended; `close` has said how, unless nobody can come back."""
        self.is_over = True
        if self._close is None:
            self._give_up()

    # -- for the sockets ---------------------------------------------------------------------------------------------

    @property
    def is_attached(self) -> bool:
        """Whether a socket serves the stream."""
        return self._link is not None

    def check(self, sequence: int) -> None:
        """Whether a client that has the messages up to this one can go on. Raises `SequenceError`."""
        if not self._acknowledged <= sequence <= self._last:
            wanted = f"wanted {self._acknowledged} to {self._last}, the last message received"
            raise SequenceError(f"sequence: found {sequence}, {wanted}")

    async def serve(
        self, socket: Transport, accept: Callable[[], Awaitable[None]], *, token: str = "", sequence: int = 0
    ) -> None:
        """Lets a socket serve the stream, until it is lost, is given up, or has everything.

        A socket that serves it already is given up at once. The client came with this token, and has the messages up to
        `sequence`. `accept` accepts the socket; what it raises is raised.
        """
        link = _Link(socket, sequence)
        session = self._attach(link, token)
        tasks: list[asyncio.Task[Any]] = []
        try:
            await accept()
            tasks = [
                asyncio.create_task(self._read(link)),
                asyncio.create_task(self._write(link, session)),
                asyncio.create_task(link.over.wait()),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            self._detach(link, is_farewell=any(map(_is_farewell, outcomes)))
        if link.close and not link.is_closing and not any(isinstance(outcome, PeerGone) for outcome in outcomes):
            with suppress(PeerGone, TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await socket.close(*link.close)
        _log_faults(outcomes)

    def run(self, connection: Connection, held: ExitStack) -> None:
        """Runs the stream's connection in a task of its own; `held` is closed when that has ended.

        Not by the task itself: one that is cancelled before its first step runs nothing, no `finally` either. So it is
        with a client that has gone by the time that its stream is open.
        """
        task = asyncio.create_task(connection.run())
        task.add_done_callback(lambda _: self._ended(held))
        self._streams.begun(self, task)
        self.on_gone = task.cancel

    def _ended(self, held: ExitStack) -> None:
        self.on_gone = _nothing
        with held:
            self._finish()

    def _attach(self, link: _Link, token: str) -> Frame:
        """Makes this the socket that serves the stream. Returns its first frame."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
            self._streams.count("resumed")
        if self._link:
            self._streams.count("taken_over")
            self._link.end(TAKEN_OVER)
        self._frames.clear()  # not counted as received, so the client sends it again
        self._link, self._idle_since_s = link, asyncio.get_running_loop().time()
        return self._wire.session(self._streams.new_token(self, token), self._seconds, link.sent)

    def _detach(self, link: _Link, *, is_farewell: bool) -> None:
        if self._link is not link:  # another has taken over
            return
        self._link, self._interim = None, None
        self._frames.clear()
        self._progressed.set()
        if (is_farewell and not link.is_closing) or not self._has_told or not self.is_resumable:
            self._give_up()
        else:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)

    def _expire(self) -> None:
        if not self.is_over:
            self._streams.count("expired")
        self._give_up()

    def _give_up(self) -> None:
        """Nobody can come back: ends the connection, if it still runs, and forgets everything."""
        self._is_gone = True
        if self._link:
            self._link.end()
        if self._timer:
            self._timer.cancel()
        self._streams.remove(self)
        self._forget(self._last)
        self._arrived.set()
        self.on_gone()

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _read(self, link: _Link) -> None:
        """Raises `PeerGone`. A client that has closed its half after its `End` still gets its results."""
        try:
            while True:
                frame = await link.socket.receive()
                if self._link is not link:  # another has taken over, and was told what was received without this frame
                    return
                link.taken.clear()
                self._frames.append(frame)
                self._arrived.set()
                self._streams.confirm(self)
                await link.taken.wait()
                self._idle_since_s = asyncio.get_running_loop().time()
        except HalfClosed:
            if not self._wire.is_ending:
                raise
            await link.over.wait()

    # -- writing -----------------------------------------------------------------------------------------------------

    async def _write(self, link: _Link, session: Frame) -> None:
        """Sends what the client does not have, then what comes. Returns after the close frame. Raises `PeerGone`."""
        await self._put(link, session)
        self._has_told = True
        while self._link is link:
            if unsent := self._unsent(link):
                await self._send_all(link, unsent)
            elif link.announces_end:
                link.announces_end = False
                await self._put(link, self._wire.session(None, 0, link.sent))
            elif self._close:
                link.is_closing = True
                return await link.socket.close(*self._close)
            else:
                await self._wait_for_more(link)

    async def _send_all(self, link: _Link, frames: Iterable[NumberedFrame]) -> None:
        for frame in frames:
            await self._put(link, frame)
            link.sent = frame.sequence
            self._progressed.set()

    async def _wait_for_more(self, link: _Link) -> None:
        self._more.clear()
        try:
            async with asyncio.timeout(REPORT_S):
                await self._more.wait()
        except TimeoutError:
            await self._put(link, self._wire.received())

    async def _put(self, link: _Link, frame: Frame) -> None:
        try:
            async with asyncio.timeout(self._streams.limits.send_timeout_s):
                await link.socket.send(frame)
        except TimeoutError:
            raise PeerGone from None

    def _unsent(self, link: _Link) -> list[NumberedFrame]:
        unsent: list[NumberedFrame] = []
        for frame in reversed(self._kept):
            if frame.sequence <= link.sent:
                break
            unsent.append(frame)
        unsent.reverse()
        return [*unsent, self._interim] if self._interim and self._interim.sequence > link.sent else unsent

    # -- keeping -----------------------------------------------------------------------------------------------------

    def _keep(self, frame: NumberedFrame) -> None:
        self._kept.append(frame)
        self._resize(_size_bytes(frame))
        if self.is_resumable and not self._streams.has_room(self):
            self._stop_being_resumable()
        if not self.is_resumable and self._link:
            self._forget(self._link.sent)

    def _stop_being_resumable(self) -> None:
        """Its messages take too much memory. The client that is there is told; one that is away cannot come back."""
        self._streams.remove(self)
        self._streams.count("over_memory")
        if self._link:
            self._link.announces_end = True
        else:
            self._give_up()

    def _forget(self, sequence: int) -> None:
        while self._kept and self._kept[0].sequence <= sequence:
            self._resize(-_size_bytes(self._kept.popleft()))

    def _resize(self, size_bytes: int) -> None:
        self.kept_bytes += size_bytes
        self._streams.resize(size_bytes)

    def make_room(self) -> None:
        """Forgets a stream that is over, for others."""
        self._streams.count("over_memory")
        self._give_up()


class KeptStreams:
    """The resumable streams of one server, by the hashes of their tokens."""

    def __init__(self, limits: ServerSettings, metrics: Metrics, owners: Owners | None = None) -> None:
        """`owners` names this server in its tokens, where there are others behind the same address."""
        self.limits, self._metrics, self.owners = limits, metrics, owners or Owners()
        self._streams: dict[bytes, ResumableTransport] = {}
        self._all: dict[ResumableTransport, None] = {}
        self._bytes = 0
        self.running: set[asyncio.Task[None]] = set()
        """The connections' tasks: asyncio itself keeps no reference to them."""
        metrics.detached_streams.set_function(lambda: sum(not (s.is_attached or s.is_over) for s in self._all))

    def add(self, wire: ResumableWire, seconds: float, identity: str = "") -> ResumableTransport:
        """A new stream, kept for `seconds` whenever its connection is lost, for clients of this identity alone.

        Kept once it runs.
        """
        return ResumableTransport(wire, min(seconds, self.limits.max_resume_s), identity, self)

    def find(self, token: str, sequence: int, identity: str = "") -> ResumableTransport:
        """The stream to go on with. Raises `Gone`, and `SequenceError` for messages that it cannot have or repeat.

        The time taken depends on the token's hash alone, so it says nothing about other tokens.
        """
        stream = self._streams.get(_hash(token))
        if stream is None or not hmac.compare_digest(stream.identity.encode(), identity.encode()):
            self.count("gone")
            raise Gone("this stream is kept no more, or never was; open a new one, with offset where times go on")
        stream.check(sequence)
        return stream

    def new_token(self, stream: ResumableTransport, used: str) -> str | None:
        """A token for the socket that serves the stream now; None if it cannot be resumed any more.

        The one that it came with stays until the client's first message shows that the new one has arrived.
        """
        if not stream.is_resumable:
            return None
        token = self.owners.new_token()
        self._drop(stream, [other for other in stream.tokens if other != _hash(used)])
        stream.tokens.append(_hash(token))
        self._streams[stream.tokens[-1]] = stream
        return token

    def confirm(self, stream: ResumableTransport) -> None:
        """The client has the newest token: older ones are dead."""
        self._drop(stream, stream.tokens[:-1])

    def _drop(self, stream: ResumableTransport, tokens: Iterable[bytes]) -> None:
        for token in list(tokens):
            stream.tokens.remove(token)
            del self._streams[token]

    def remove(self, stream: ResumableTransport) -> None:
        """The stream cannot be resumed any more."""
        stream.is_resumable = False
        self._drop(stream, stream.tokens)
        self._all.pop(stream, None)

    def begun(self, stream: ResumableTransport, task: asyncio.Task[None]) -> None:
        """The stream has its place. One that gets none is refused, and is not kept."""
        self._all[stream] = None
        self.running.add(task)
        task.add_done_callback(self.ended)

    def ended(self, task: asyncio.Task[None]) -> None:
        """A connection's task has ended."""
        self.running.discard(task)
        if not task.cancelled():
            _log_faults([task.exception()])

    def count(self, outcome: str) -> None:
        """Counts how a broken stream, or a try to resume one, went on."""
        self._metrics.resumes.labels(outcome).inc()

    # -- memory ------------------------------------------------------------------------------------------------------

    def resize(self, size_bytes: int) -> None:
        """The messages kept grow by this much."""
        self._bytes += size_bytes
        self._metrics.kept_bytes.set(self._bytes)

    def has_room(self, stream: ResumableTransport) -> bool:
        """Whether this stream may keep what it has. Streams that are over make room, the oldest first."""
        for other in list(self._all):
            if self._bytes <= self.limits.max_kept_total_bytes:
                break
            if other.is_over and not other.is_attached:
                other.make_room()
        return self._bytes <= self.limits.max_kept_total_bytes and stream.kept_bytes <= self.limits.max_kept_bytes


def _nothing() -> None:
    pass


def _log_faults(outcomes: Iterable[object]) -> None:
    """Writes what should not happen into the log, where it would be dropped with its task."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, PeerGone):
            _log.error("a socket of a resumable stream failed", exc_info=outcome)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _size_bytes(frame: str) -> int:
    return len(frame.encode()) + FRAME_OVERHEAD_BYTES


def _is_farewell(outcome: object) -> bool:
    return isinstance(outcome, PeerGone) and outcome.code == FAREWELL
