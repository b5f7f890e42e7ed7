"""Records what real clients send over WebSockets, HTTP or to the Wyoming port, for tests/server/wires/test_recorded.py.

    scripts/clients/record.py ws://127.0.0.1:8000 OUT.json -- .clients/agents/bin/python scripts/clients/X.py URL WAV
    scripts/clients/record.py http://127.0.0.1:8000 OUT.json -- .clients/agents/bin/python scripts/clients/X.py URL WAV
    scripts/clients/record.py tcp://127.0.0.1:10300 OUT.json -- .clients/agents/bin/python .../wyoming_client.py URL WAV

A proxy stands before a running server; the word URL in the command becomes its address. Of audio its length is kept, of
keys nothing. The recorder of WebSockets proxies no HTTP requests, so cases that use them fail there.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h11
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from server.wires.wyoming import lengths, parse_event

REPLACED = (b"content-length", b"transfer-encoding", b"connection", b"expect")
"""Headers that the proxy writes itself: it sends the whole body at once."""


async def record(server: str, command: list[str]) -> list[dict[str, Any]]:
    """The connections that the command makes, in their order."""
    connections: list[dict[str, Any]] = []

    async def proxy(client: ServerConnection) -> None:
        assert client.request is not None
        connection: dict[str, Any] = {"path": client.request.path, "sent": []}
        connections.append(connection)
        async with connect(server + client.request.path, max_size=None) as upstream:
            back = asyncio.create_task(forward_answers(upstream, client))
            async for frame in client:
                note(frame, connection["sent"])
                await upstream.send(frame)
            back.cancel()

    async with serve(proxy, "127.0.0.1", 0, max_size=None) as listening:
        await run(command, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    return connections


async def run(command: list[str], url: str) -> None:
    process = await asyncio.create_subprocess_exec(*[url if word == "URL" else word for word in command])
    await process.wait()


async def record_wyoming(server: str, command: list[str]) -> list[dict[str, Any]]:
    """The same for events over TCP."""
    address = urlsplit(server)
    connections: list[dict[str, Any]] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: dict[str, Any] = {"path": "wyoming", "sent": []}
        connections.append(connection)
        answers, upstream = await asyncio.open_connection(address.hostname, address.port)
        back = asyncio.create_task(copy(answers, writer))
        while line := await reader.readline():
            event = line + await reader.readexactly(sum(lengths(line)))
            kind, data, payload = parse_event(event)
            note_message(
                {"payload_bytes": len(payload)} if payload else {"type": kind, "data": data}, connection["sent"]
            )
            upstream.write(event)
            await upstream.drain()
        upstream.close()
        back.cancel()
        writer.close()

    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with listening:
        await run(command, f"tcp://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    return connections


async def record_http(server: str, command: list[str]) -> list[dict[str, Any]]:
    """The same for requests with a body. Each connection carries one request, as the answer says."""
    address = urlsplit(server)
    requests: list[dict[str, Any]] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = h11.Connection(h11.SERVER)
        asked, body, received = None, b"", b""
        while not isinstance(event := request.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
            if event is h11.NEED_DATA:
                received += (data := await reader.read(65_536))
                request.receive_data(data)
            elif isinstance(event, h11.Request):
                asked = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
        if asked is None:  # a connection that its client keeps for later, and closes
            writer.close()
            return
        answers, upstream = await asyncio.open_connection(address.hostname, address.port)
        if b"upgrade" in dict(asked.headers):  # a WebSocket: passed on, not recorded
            upstream.write(received)
            await asyncio.gather(copy(reader, upstream), copy(answers, writer))
            return
        if body:
            requests.append(described(asked, body))
        passed = [(name, value) for name, value in asked.headers if name not in REPLACED]
        passed += [(b"content-length", b"%d" % len(body)), (b"connection", b"close")]
        sending = h11.Connection(h11.CLIENT)
        for out in (h11.Request(method=asked.method, target=asked.target, headers=passed), h11.Data(data=body)):
            upstream.write(sending.send(out) or b"")
        await copy(answers, writer)
        upstream.close()
        writer.close()

    listening = await asyncio.start_server(proxy, "127.0.0.1", 0)
    async with listening:
        await run(command, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    return requests


def described(asked: h11.Request, body: bytes) -> dict[str, Any]:
    """A request without its keys: the parts of its body, each with its head and its text or the length of its file."""
    headers = {name.decode(): value.decode() for name, value in asked.headers}
    kind = headers.get("content-type", "")
    request = {"method": asked.method.decode(), "path": asked.target.decode(), "content_type": kind}
    if not kind.startswith("multipart/"):
        return {**request, "binary_bytes": len(body)}
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    parts = []
    for part in body.split(boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        is_file = b"filename" in head
        parts.append({"head": head.decode(), **({"bytes": len(content)} if is_file else {"text": content.decode()})})
    return {**request, "parts": parts}


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def forward_answers(upstream: Any, client: ServerConnection) -> None:
    try:
        async for frame in upstream:
            await client.send(frame)
        await client.close(upstream.close_code or 1000)
    except ConnectionClosed:
        return


def note(frame: str | bytes, sent: list[dict[str, Any]]) -> None:
    """Adds a message; audio that follows audio is added to its length."""
    message = {"binary_bytes": len(frame)} if isinstance(frame, bytes) else json.loads(frame)
    if message.get("type") == "input_audio_buffer.append":
        message = {"appended_bytes": len(message["audio"]) * 3 // 4}
    note_message(message, sent)


def note_message(message: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    for kind in ("binary_bytes", "appended_bytes", "payload_bytes"):
        if kind in message and sent and kind in sent[-1]:
            sent[-1][kind] += message[kind]
            return
    sent.append(message)


if __name__ == "__main__":
    server_url, out = sys.argv[1:3]
    recorder = {"tcp": record_wyoming, "http": record_http}.get(urlsplit(server_url).scheme, record)
    recorded = asyncio.run(recorder(server_url, sys.argv[4:]))
    lines = ",\n".join(json.dumps(connection) for connection in recorded)
    Path(out).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
