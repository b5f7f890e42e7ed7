"""Records what real clients send over WebSockets, for tests/server/wires/test_recorded.py.

    scripts/clients/record.py ws://127.0.0.1:8000 OUT.json -- .clients/agents/bin/python scripts/clients/X.py URL WAV

A proxy stands before a running server; the word URL in the command becomes its address. Of audio its length is kept, of
keys nothing. HTTP requests are not proxied, so cases that use them fail here.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


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
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(*[url if word == "URL" else word for word in command])
        await process.wait()
    return connections


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
    for kind in ("binary_bytes", "appended_bytes"):
        if kind in message and sent and kind in sent[-1]:
            sent[-1][kind] += message[kind]
            return
    sent.append(message)


if __name__ == "__main__":
    server_url, out = sys.argv[1:3]
    recorded = asyncio.run(record(server_url, sys.argv[4:]))
    lines = ",\n".join(json.dumps(connection) for connection in recorded)
    Path(out).write_text(f"[\n{lines}\n]\n", encoding="utf-8")
