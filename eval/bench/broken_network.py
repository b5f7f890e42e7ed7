"""A TCP proxy that breaks connections as networks do, at moments drawn from a seed.

    async with BrokenNetwork(host, port, plans) as network: ...connect to network.port...

Each connection gets the next plan: when it breaks, how, and how late bytes arrive. What is on its way
then is lost.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from types import TracebackType


class Break(Enum):
    """The ways in which a network ends a connection."""

    RST = "reset, as when a machine or a box in between fails"
    FIN = "closed without a WebSocket close frame, as by a proxy that restarts"
    SILENCE = "nothing arrives any more and nobody says so, as when a phone leaves its network"


@dataclass(frozen=True, slots=True)
class Plan:
    """One connection. It breaks after `after_bytes` from the client, or after `after_s`, whichever comes first."""

    how: Break
    after_bytes: int
    after_s: float
    delay_s: float
    """Bytes arrive so much later, in both directions."""


UNBROKEN = Plan(Break.FIN, 1 << 62, 1e9, 0.0)


def plans(seed: int, breaks: int, longest_s: float, bytes_per_s: int) -> Iterator[Plan]:
    """So many that break within `longest_s`, one in ten of them in the handshake; then only unbroken ones."""
    draw = random.Random(seed)
    for _ in range(breaks):
        in_handshake = draw.random() < 0.1
        yield Plan(
            draw.choice((Break.RST, Break.RST, Break.FIN, Break.SILENCE)),
            draw.randrange(300) if in_handshake else 300 + draw.randrange(round(longest_s * bytes_per_s)),
            longest_s,
            draw.choice((0.0, 0.0, 0.05, 0.3)),
        )
    while True:
        yield UNBROKEN


class BrokenNetwork:
    """The proxy, while the context lasts. Everything stays on one event loop."""

    def __init__(self, host: str, port: int, following: Iterator[Plan]) -> None:
        self._target, self._plans = (host, port), following
        self._links: set[asyncio.Task[None]] = set()
        self.broken = 0
        """Connections broken so far."""
        self.forwarded_bytes = 0
        """From the client, WebSocket frames and handshakes included."""

    async def __aenter__(self) -> "BrokenNetwork":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        await asyncio.sleep(0.01)  # the sockets close in the loop's next turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = asyncio.create_task(self._link(reader, writer))
        self._links.add(link)
        link.add_done_callback(self._links.discard)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        plan = next(self._plans)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return writer.transport.abort()
        how = None
        try:
            how = await self._serve(plan, (reader, writer), (server_reader, server_writer))
            if how is Break.SILENCE:
                await asyncio.Event().wait()
        finally:  # silent ones are cancelled at the end
            for side in (writer, server_writer):
                _close(side, how)

    async def _serve(
        self,
        plan: Plan,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> Break | None:
        """Forwards until the connection breaks, and returns how; None: one side has ended by itself."""
        pumps = [
            asyncio.create_task(self._pump(client[0], server[1], plan, plan.after_bytes)),
            asyncio.create_task(self._pump(server[0], client[1], plan, None)),
        ]
        try:
            done, _ = await asyncio.wait(pumps, timeout=plan.after_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        if done and not (pumps[0] in done and pumps[0].result()):
            return None
        self.broken += 1
        return plan.how

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, plan: Plan, limit: int | None
    ) -> bool:
        """Forwards until the end (False) or the limit (True), each piece `delay_s` after it came."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def forward() -> None:
            while True:
                due_s, data = await queue.get()
                await asyncio.sleep(max(0.0, due_s - loop.time()))
                if not data:
                    return
                writer.write(data)
                await writer.drain()

        forwarding = asyncio.create_task(forward())
        seen = 0
        try:
            while data := await reader.read(65_536):
                if limit is not None:
                    data = data[: limit - seen]
                    seen += len(data)
                    self.forwarded_bytes += len(data)
                queue.put_nowait((loop.time() + plan.delay_s, data))
                if seen == limit:
                    await asyncio.sleep(0)
                    return True
            queue.put_nowait((loop.time() + plan.delay_s, b""))
            await forwarding
        except OSError:
            pass
        finally:
            forwarding.cancel()
        return False


def _close(writer: asyncio.StreamWriter, how: Break | None) -> None:
    if how is Break.RST:
        with_reset = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, with_reset)
    if how in (Break.RST, Break.SILENCE):
        writer.transport.abort()
    else:
        writer.close()
