"""The Wyoming protocol over TCP: listens, and runs a `Connection` for each client. Home Assistant knows port 10300."""

import asyncio
import socket
from contextlib import suppress

from asr.errors import AsrError
from server.access.context import begin
from server.http.refusals import new_request_id
from server.http.service import Service
from server.limits import BACKLOG, BYTES_A_FRAME, LINGER_S, Connections, FrameBudget, FrameBudgets
from server.streams.connection import Connection
from server.streams.transport import HalfClosed, PeerGone
from server.wires.base import Frame, MessageError, MessageTooBig
from server.wires.wyoming import OfferedModel, WyomingWire, lengths

MAX_LINE_BYTES = 65_536
_CLOSE_S = 5.0
"""For a client to take the last bytes, before its connection is cut."""


class WyomingListener:
    """Listens for Wyoming's clients, and runs a task for each of them."""

    def __init__(self, service: Service, connections: Connections, budgets: FrameBudgets) -> None:
        self._service, self._connections, self._budgets = service, connections, budgets
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def listen(self, listening: socket.socket) -> None:
        """Serves a listening socket until `close`."""
        self._server = await asyncio.start_server(self._accept, sock=listening, limit=MAX_LINE_BYTES, backlog=BACKLOG)

    def close(self) -> None:
        """Accepts nobody any more."""
        if self._server:
            self._server.close()

    async def finish(self, timeout_s: float) -> None:
        """Waits for the clients that are left to take their last bytes; cuts them off after `timeout_s`."""
        if self._clients:
            _, left = await asyncio.wait(self._clients, timeout=timeout_s)
            for client in left:
                client.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Starts the task. Had asyncio of Python 3.11 started it, it would log a fault when it is cancelled."""
        client = asyncio.create_task(self._run(reader, writer))
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = WyomingTransport(reader, writer, self._service.settings.max_message_bytes, self._budgets.open())
        address = str((writer.get_extra_info("peername") or ("",))[0])
        connections = self._connections
        try:
            if connections.enter(writer, address, writer.transport.abort):
                connections.serve(writer)  # `idle_timeout_s` ends it if nothing comes
                with suppress(AsrError):  # the server is shutting down
                    await _serve(self._service, transport, address)
        finally:
            connections.wait(writer, writer.transport.abort)
            try:
                await transport.finish()
            finally:
                connections.leave(writer)


async def _serve(service: Service, transport: "WyomingTransport", address: str) -> None:
    context = begin(None)
    context.request_id = new_request_id()
    if observer := service.observer:
        context.client = observer.client("", address, "")
    engines = [scheduler.engine for scheduler in service.schedulers.values()]
    models = [OfferedModel(e.name, tuple(e.languages), e.weights_sha256[:12]) for e in engines]
    connection = Connection(
        transport,
        WyomingWire(models),
        None,
        open_stream=service.open_in_place,
        limits=service.settings,
        metrics=service.metrics,
        request_id=context.request_id,
    )
    try:
        with service.admission.presence(connection.shut_down):
            await connection.run()
    finally:
        connection.close()


class WyomingTransport:
    """A TCP connection, whose frames are whole events. Each method raises `PeerGone` when the client has gone."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int, budget: FrameBudget
    ) -> None:
        self._reader, self._writer, self._max_bytes, self._budget = reader, writer, max_bytes, budget
        self._broken = self._ended = False
        self._lost = asyncio.ensure_future(writer.wait_closed())
        """Done when the connection is lost. Waited for by `asyncio.wait`, which cancels nothing."""
        self._lost.add_done_callback(lambda lost: lost.cancelled() or lost.exception())

    async def receive(self) -> Frame:
        """The next event. Raises `MessageError` once; what follows it is discarded, since events no longer begin.

        Raises `HalfClosed` once, at the end of what the client sends.
        """
        try:
            if self._broken:
                await self._discard()
                raise PeerGone
            if self._ended:
                await asyncio.wait({self._lost})
                raise PeerGone
            return await self._event()
        except MessageError:
            self._broken = True
            raise
        except asyncio.IncompleteReadError:
            self._ended = True
            raise HalfClosed from None
        except OSError:
            raise PeerGone from None

    async def _event(self) -> bytes:
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError:
            raise MessageTooBig(f"found a line of more than {MAX_LINE_BYTES} bytes, wanted an event") from None
        data_bytes, payload_bytes = lengths(line)
        size = data_bytes + payload_bytes
        if size > self._max_bytes:
            raise MessageTooBig(f"found an event of {size} bytes, wanted at most {self._max_bytes}")
        event = line + await self._reader.readexactly(size)
        await asyncio.sleep(self._budget.pay(1 + size / BYTES_A_FRAME))
        return event

    async def _discard(self) -> None:
        """Reads until the client has gone."""
        while await self._reader.read(MAX_LINE_BYTES):
            pass

    async def send(self, frame: Frame) -> None:
        """Sends one event."""
        try:
            self._writer.write(frame if isinstance(frame, bytes) else frame.encode())
            await self._writer.drain()
        except OSError:
            raise PeerGone from None

    async def close(self, code: int, reason: str) -> None:
        """Ends what the server sends; the `error` event has said why."""
        try:
            self._writer.write_eof()
        except OSError:
            raise PeerGone from None

    async def finish(self) -> None:
        """Closes the connection, when nobody reads from it any more, after `LINGER_S`."""
        try:
            with suppress(PeerGone):
                await self.close(0, "")
            with suppress(OSError):  # `TimeoutError` is one
                await asyncio.wait_for(self._discard(), LINGER_S)
            self._writer.close()
            await asyncio.wait({self._lost}, timeout=_CLOSE_S)
        finally:
            self._writer.transport.abort()
