"""How long a promotion takes until all of several servers give it to their new streams.

    python -m scripts.promotions --model FOLDER --nodes 3 --moves 20
    python -m scripts.promotions --model FOLDER --nodes 3 --moves 20 --ray

FOLDER is a small model. Its two releases differ by seeded noise in the weights. The first move loads the second one
on one server after the other. Of the others, between releases that are loaded everywhere, it prints the time from the
ledger's row to the moment when a new stream on each server has named the new release. Streams are opened again
and again meanwhile. `--ledger` names another ledger than a file, such as a URL of PostgreSQL. With `--ray` the servers
are replicas on a Ray cluster of so many nodes. Exits with 1 if a move took longer than 2 s.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from asr.aliases import CHAMPION
from asr.config import SAMPLE_RATE_HZ
from asr.ledger import Ledger, open_ledger
from eval.runs.local_server import free_port
from scripts.scale import nodes
from scripts.swaps import NAME, noisy_copy
from server.client.protocol import CLOSE_STREAM, listen_url

WANTED_S = 2.0
LOAD_S = 300.0
SILENCE = bytes(2 * SAMPLE_RATE_HZ // 10)


def main() -> None:
    """Starts, moves, prints, ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--ledger", default="")
    parser.add_argument("--ray", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        ledger = started.enter_context(open_ledger(options.ledger or folder / "ledger.db"))
        for seed in range(2):
            copy = noisy_copy(options.model, folder / f"release-{seed}", seed)
            ledger.add_release(NAME, copy, by="promotions", why="a trial")
        ledger.move(NAME, CHAMPION, expected=None, to=1, by="promotions", why="the first")
        ports = started.enter_context((on_ray if options.ray else plain)(folder, options.nodes, ledger))
        times_s = asyncio.run(moves(ports, options.nodes, ledger, options.moves))
    print(f"from the row to new streams on all {options.nodes}, {len(times_s)} moves: ", end="")
    print(f"median {statistics.median(times_s):.2f} s, at most {max(times_s):.2f} s")
    sys.exit(max(times_s) > WANTED_S)


@contextlib.contextmanager
def plain(folder: Path, count: int, ledger: Ledger) -> Iterator[list[int]]:
    """The ports of servers that follow the ledger."""
    with nodes(folder, count, NAME, f"ledger = {json.dumps(ledger.place)}\n") as running:
        yield [port for port, _ in running]


@contextlib.contextmanager
def on_ray(folder: Path, count: int, ledger: Ledger) -> Iterator[list[int]]:
    """The one port of replicas that follow it."""
    from scripts import ray_nodes

    port, counts = free_port(), ray_nodes.Replicas(count, count)
    with ray_nodes.cluster(count), ray_nodes.replicas(folder, port, NAME, counts, ledger=ledger.place):
        yield [port]


async def moves(ports: list[int], count: int, ledger: Ledger, wanted: int) -> list[float]:
    """The times of the moves between two releases that are loaded everywhere."""
    times_s = []
    for number in range(-1, wanted):
        to = 2 if number % 2 else 1
        ledger.move(NAME, CHAMPION, expected=3 - to, to=to, by="promotions", why="a trial")
        began_s = time.monotonic()
        await served(ports, count, f"{NAME}/{to}")
        took_s = time.monotonic() - began_s
        if number < 0:
            print(f"the first move, which loads it on one after the other: {took_s:.1f} s")
        else:
            times_s.append(took_s)
        await asyncio.sleep(0.3)
    return times_s


async def served(ports: list[int], count: int, release: str) -> None:
    """Returns when a new stream on each of the servers has named this release."""
    seen: set[str] = set()
    async with asyncio.timeout(LOAD_S):
        while len(seen) < count:
            probes = [probe(port) for port in ports for _ in range(count // len(ports))]
            seen |= {server for server, found in await asyncio.gather(*probes) if found == release}


async def probe(port: int) -> tuple[str, str]:
    """Which server took a new stream, and the release that serves it."""
    url = listen_url(f"ws://127.0.0.1:{port}/v1/listen", encoding="linear16", sample_rate=SAMPLE_RATE_HZ, resumable=1)
    server = release = ""
    async with connect(url, compression=None) as socket:
        await socket.send(SILENCE)
        await socket.send(CLOSE_STREAM)
        async for text in socket:
            message: dict[str, Any] = json.loads(text)
            if message["type"] == "Session":
                server = message["resume"].partition(".")[2].partition(".")[0]  # its owner: `server.streams.owners`
            release = release or (message.get("metadata") or {}).get("release", "") or message.get("release", "")
    return server, release


if __name__ == "__main__":
    main()
