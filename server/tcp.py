"""The Wyoming protocol over TCP: listens, and runs a `Connection` for each client. Home Assistant knows port 10300."""

import asyncio
import socket
from contextlib import suppress

from asr.errors import AsrError
from server.http.refusals import new_request_id
from server.http.service import Service
from server.streams.connection import Connection, PeerGone
from server.wires.base import Frame, MessageError, MessageTooBig
from server.wires.wyoming import OfferedModel, WyomingWire, lengths

MAX_LINE_BYTES = 65_536


async def listen_wyoming(service: Service, listening: socket.socket) -> asyncio.Server:
    """Serves Wyoming on a listening socket until the returned server is closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(AsrError):  # the server is shutting down
            await _serve(service, WyomingTransport(reader, writer, service.settings.max_message_bytes))
        writer.close()

    return await asyncio.start_server(serve, sock=listening, limit=MAX_LINE_BYTES)


async def _serve(service: Service, transport: "WyomingTransport") -> None:
    engines = [scheduler.engine for scheduler in service.schedulers.values()]
    models = [OfferedModel(e.name, tuple(e.languages), e.weights_sha256[:12]) for e in engines]
    connection = Connection(
        transport,
        WyomingWire(models),
        None,
        open_stream=service.open_in_place,
        limits=service.settings,
        metrics=service.metrics,
        request_id=new_request_id(),
    )
    try:
        with service.admission.presence(connection.shut_down):
            await connection.run()
    finally:
        connection.close()


class WyomingTransport:
    """A TCP connection, whose frames are whole events. Each method raises `PeerGone` when the client has gone."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int) -> None:
        self._reader, self._writer, self._max_bytes = reader, writer, max_bytes
        self._broken = False

    async def receive(self) -> Frame:
        """The next event. Raises `MessageError` once; what follows it is discarded, since events no longer begin."""
        try:
            if self._broken:
                await self._discard()
            return await self._event()
        except MessageError:
            self._broken = True
            raise
        except (OSError, asyncio.IncompleteReadError):
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
        return line + await self._reader.readexactly(size)

    async def _discard(self) -> None:
        """Reads until the client has gone."""
        while await self._reader.read(MAX_LINE_BYTES):
            pass
        raise PeerGone

    async def send(self, frame: Frame) -> None:
        """Sends one event."""
        try:
            self._writer.write(frame if isinstance(frame, bytes) else frame.encode())
            await self._writer.drain()
        except OSError:
            raise PeerGone from None

    async def close(self, code: int, reason: str) -> None:
        """Closes the connection; its `error` event has said why."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            raise PeerGone from None
