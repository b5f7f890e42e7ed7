"""Several servers behind one address: what the proxy costs, and what the death of a server costs the streams.

    python -m scripts.scale --audio talk.wav --model whisper-tiny.en --nodes 3 --streams 24 --plain 6
    python -m scripts.scale --audio talk.wav --model whisper-tiny.en --nodes 3 --streams 24 --plain 6 --ray
    python -m scripts.scale --audio talk.wav --model whisper-tiny.en --nodes 3 --streams 24 --plain 6 --autoscale

The first starts servers and nginx (`deploy/nginx-replicas.conf`) on this machine, the second a Ray cluster of so many
nodes with a replica on each (`pip install 'ray[serve]'`). `--streams` clients that resume and `--plain` ones that do
not send the recording at the pace of speech, as often as `--rounds` says. In the middle the last server is killed, or
all processes of the last node (SIGKILL). The third lets Ray start and end replicas: streams come one after the other,
and each fourth is three times as long.

It prints the words that the resuming clients lost or got besides, against the text of an undisturbed stream, how the
plain ones ended, the delay of the final words before and after, what the proxy took of the CPU time, and what it adds
to a request. Exits with 1 if a word was lost, added or changed. All servers share this machine's cores, which must
carry the streams. Everything that it started is ended.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.events import Final
from eval.runs.local_server import free_port
from eval.runs.process_usage import process_cpu_s
from server.access.keyring import SECRET_VARIABLE
from server.client.protocol import CHUNK_S, Message, StreamError, listen_url, pcm16
from server.client.resuming import ResumingStream
from server.client.stream import Refused, stream

T = TypeVar("T")

SITE = Path(__file__).parents[1] / "deploy" / "nginx-replicas.conf"
PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin"
READY_S = 180.0
PROBES = 400
SETTLED_S = 20.0
"""After the first stream, which is sent as fast as it is taken: its server would get none of those that come next."""
PAUSE_S = 1.0
"""After each round: it ends an utterance, whose words are final then."""
BEFORE_S = 10.0
"""Before a death: streams that all began at once have settled."""
SOON_S = 2.0
"""After a death: streams are on another server by then."""
BUSY = 503
CHUNK = round(CHUNK_S * SAMPLE_RATE_HZ)


@dataclass
class Outcome:
    """What the clients got."""

    words: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    added: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    """Words that the part recognised again has otherwise."""
    plain: Counter[str] = field(default_factory=Counter)
    """How the clients that do not resume ended."""
    longest_s: float = 0.0
    """Without a connection."""
    breaks: int = 0
    refused: int = 0
    """First handshakes that were refused for the load, and tried again."""
    killed_at_s: float = math.inf
    delays_s: list[tuple[float, float]] = field(default_factory=list)
    """When each word ended, and how much later it was final, in seconds of `time.monotonic`."""

    def parts_s(self) -> dict[str, list[float]]:
        """The delays of words that were spoken shortly before the death, just after it, and later."""
        ends_s = (-BEFORE_S, 0.0, SOON_S, math.inf)
        names = (f"in the {BEFORE_S:g} s before", f"in the {SOON_S:g} s after", "later")
        return {
            name: [delay_s for at_s, delay_s in self.delays_s if low_s <= at_s - self.killed_at_s < high_s]
            for name, (low_s, high_s) in zip(names, itertools.pairwise(ends_s), strict=True)
        }


def main() -> None:
    """Starts, measures, prints, ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", required=True)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--streams", type=int, default=24)
    parser.add_argument("--plain", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the recording")
    parser.add_argument("--ray", action="store_true", help="a Ray cluster of that many nodes instead of nginx")
    parser.add_argument("--autoscale", action="store_true", help="that cluster, with one replica to one for each node")
    options = parser.parse_args()
    blocks = list(read_blocks(Path(options.audio)))
    once = np.concatenate(blocks)[: round(options.seconds * SAMPLE_RATE_HZ)]
    samples = np.tile(np.concatenate([once, np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)]), options.rounds)
    with contextlib.ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        if options.autoscale:
            outcome = _autoscaled(options, folder, samples)
        elif options.ray:
            outcome = _on_ray(options, folder, samples)
        else:
            outcome = _behind_nginx(options, folder, samples)
    sys.exit(bool(outcome.lost or outcome.added or outcome.changed))


def _behind_nginx(options: argparse.Namespace, folder: Path, samples: np.ndarray) -> "Outcome":
    with (
        nodes(folder, options.nodes, options.model) as running,
        proxy(folder, [p for p, _ in running]) as (port, nginx),
    ):
        pids = [nginx.pid], [process.pid for _, process in running[:-1]]
        return _killed(options, running[0][0], port, samples, lambda: pids, running[-1][1].kill)


def _on_ray(options: argparse.Namespace, folder: Path, samples: np.ndarray) -> "Outcome":
    from scripts import ray_nodes  # Ray Serve is no part of a usual environment

    port, counts = free_port(), ray_nodes.Replicas(options.nodes, options.nodes)
    with (
        nodes(folder, 1, options.model) as [(direct, _)],
        ray_nodes.cluster(options.nodes) as cluster,
        ray_nodes.replicas(folder, port, options.model, counts),
    ):

        def pids() -> tuple[list[int], list[int]]:
            return cluster.pids(ray_nodes.PROXY, 1), cluster.pids(ray_nodes.REPLICA, options.nodes - 1)

        return _killed(options, direct, port, samples, pids, cluster.kill_last)


def _killed(
    options: argparse.Namespace,
    direct: int,
    port: int,
    samples: np.ndarray,
    pids: Callable[[], tuple[list[int], list[int]]],
    kill: Callable[[], None],
) -> "Outcome":
    """Streams through the proxy at `port`, of which `kill` ends a node in the middle; `direct` is a server's port.

    `pids` gives the processes of the proxy, and those of the nodes that live on.
    """
    wanted = asyncio.run(heard(port, samples, 0.0))
    print(f"nodes: {options.nodes}; words of one stream: {len(wanted)}")
    print(f"added by the proxy: {added_ms(direct, port):.2f} ms (median of {PROBES} requests)")
    time.sleep(SETTLED_S)
    proxies, lived = pids()
    before_s = [process_cpu_s(pid) for pid in proxies + lived]
    outcome = asyncio.run(_disturbed(options, port, kill, samples, wanted))
    used_s = [process_cpu_s(pid) - then_s for pid, then_s in zip(proxies + lived, before_s, strict=True)]
    proxy_s = sum(used_s[: len(proxies)])
    share = proxy_s / max(1e-9, sum(used_s))
    print(f"CPU of the proxy: {proxy_s:.2f} s, {share:.1%} of it and of the nodes that lived ({sum(used_s):.1f} s)")
    _print(outcome)
    for name, some_s in outcome.parts_s().items():
        p95_s = f"{np.percentile(some_s, 95):.2f} s" if some_s else "-"
        print(f"p95 of the words' delay, {name}: {p95_s} ({len(some_s)} words)")
    return outcome


def _autoscaled(options: argparse.Namespace, folder: Path, samples: np.ndarray) -> "Outcome":
    """Streams that come one after the other, each fourth three times as long: those are there when replicas go."""
    from scripts import ray_nodes

    port = free_port()
    counts = ray_nodes.Replicas(1, options.nodes, down_after_s=5.0, grace_s=20.0)
    room = math.ceil(options.streams / options.nodes / ray_nodes.TARGET_LOAD)
    with ray_nodes.cluster(options.nodes), ray_nodes.replicas(folder, port, options.model, counts, room):
        outcome, seen = asyncio.run(_waxing(options, port, samples, ray_nodes.running))
    print(f"replicas, second by second: {seen}")
    _print(outcome)
    return outcome


async def _waxing(
    options: argparse.Namespace, port: int, samples: np.ndarray, running: Callable[[], int]
) -> tuple["Outcome", str]:
    outcome, long = Outcome(), np.tile(samples, 3)
    wanted = [await heard(port, some, 0.0) for some in (samples, long)]
    clients = []
    for number in range(options.streams):
        some, words = (long, wanted[1]) if number % 4 == 3 else (samples, wanted[0])
        clients.append(asyncio.create_task(_resuming(port, some, words, outcome, 2.0 * number)))
    clients += [asyncio.create_task(_plain(port, samples, outcome, 5.0 * number)) for number in range(options.plain)]
    seen: list[int] = []
    everything = asyncio.gather(*clients)
    while not everything.done():
        seen.append(await asyncio.to_thread(running))
        await asyncio.wait([everything], timeout=1.0)
    await everything
    return outcome, " ".join(f"{count}x{len(list(some))}" for count, some in itertools.groupby(seen))


def _print(outcome: "Outcome") -> None:
    print(
        f"words of resuming clients: {outcome.words}; lost {sum(outcome.lost.values())} {dict(outcome.lost)}, ", end=""
    )
    print(f"added {sum(outcome.added.values())} {dict(outcome.added)}, changed {outcome.changed}")
    print(f"connections lost by them: {outcome.breaks}, at most {outcome.longest_s:.1f} s without one; ", end="")
    print(f"handshakes refused and tried again: {outcome.refused}")
    print(f"plain clients: {dict(outcome.plain)}")


# -- the servers ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nodes(
    folder: Path, count: int, model: str, settings: str = ""
) -> Iterator[list[tuple[int, "subprocess.Popen[bytes]"]]]:
    """Ports and processes of servers that know each other, each with one worker. All are ended in the end.

    `settings`: further lines of their settings.
    """
    environment = os.environ | {SECRET_VARIABLE: secrets.token_hex(32)}
    started: list[tuple[int, subprocess.Popen[bytes]]] = []
    config = folder / "server.toml"
    config.write_text(f"max_connections_per_address = 1000\nmax_load = 100.0\n{settings}", encoding="utf-8")
    try:
        for port in [free_port() for _ in range(count)]:
            command = [sys.executable, "-m", "asr", "serve", "--config", str(config), "--port", str(port)]
            command += ["--model", model, "--workers", "1", "--advertise", f"ws://127.0.0.1:{port}"]
            with (folder / f"node-{port}.log").open("wb") as log:
                started.append((port, subprocess.Popen(command, stdout=log, stderr=log, env=environment)))
        for port, process in started:
            _await(port, "/readyz", process)
        yield started
    finally:
        for _, process in started:
            process.terminate()
        for _, process in started:
            process.wait(60)


@contextlib.contextmanager
def proxy(folder: Path, behind: Sequence[int]) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    """The port of nginx with `deploy/nginx-replicas.conf` before these ports, without TLS, and its process."""
    program = shutil.which("nginx", path=PATHS)
    if program is None:
        raise SystemExit("nginx is not installed (Debian: apt-get install nginx)")
    port = free_port()
    (folder / "nginx.conf").write_text(_config(folder, port, behind), encoding="utf-8")
    command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await(port, "/healthz", process)
        yield port, process
    finally:
        process.terminate()
        process.wait(20)


def _config(folder: Path, port: int, behind: Sequence[int]) -> str:
    lines = []
    servers = "".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;\n" for each in behind)
    for line in SITE.read_text(encoding="utf-8").splitlines():
        if "server 10.0.0." in line:
            line, servers = servers, ""
        elif "listen 443 ssl" in line:
            line = f"listen 127.0.0.1:{port};"
        elif "ssl_certificate" in line:
            continue
        lines.append(line)
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    site = "\n".join(lines)
    return f"daemon off; pid {folder}/pid; worker_processes 1; events {{}} http {{ {places}\n{site}\n}}"


def _await(port: int, path: str, process: "subprocess.Popen[bytes]") -> None:
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
            return
        time.sleep(0.1)
    raise SystemExit(f"{path} on port {port} does not answer with 200")


def added_ms(direct: int, through: int) -> float:
    """What the proxy adds to a request, in milliseconds: the difference of two medians, taken in turns."""
    times: dict[int, list[float]] = {direct: [], through: []}
    for number in range(2 * PROBES):
        port = (direct, through)[number % 2]
        began_s = time.perf_counter()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).read()
        times[port].append(time.perf_counter() - began_s)
    return 1000 * (statistics.median(times[through]) - statistics.median(times[direct]))


# -- the clients ------------------------------------------------------------------------------------------------------


async def _disturbed(
    options: argparse.Namespace, port: int, kill: Callable[[], None], samples: np.ndarray, wanted: Sequence[str]
) -> Outcome:
    """All clients at once; `kill` in the middle, whatever that node has: proxies share streams out evenly."""
    outcome = Outcome()
    clients = [asyncio.create_task(_resuming(port, samples, wanted, outcome)) for _ in range(options.streams)]
    clients += [asyncio.create_task(_plain(port, samples, outcome)) for _ in range(options.plain)]
    await asyncio.sleep(len(samples) / SAMPLE_RATE_HZ / 2)
    kill()
    outcome.killed_at_s = time.monotonic()
    await asyncio.gather(*clients)
    return outcome


async def _resuming(
    port: int, samples: np.ndarray, wanted: Sequence[str], outcome: Outcome, after_s: float = 0.0
) -> None:
    await asyncio.sleep(after_s)
    lost_s: list[float] = []

    def on_state(sentence: str) -> None:
        if sentence and not lost_s:
            lost_s.append(time.monotonic())
            outcome.breaks += 1
        elif not sentence and lost_s:
            outcome.longest_s = max(outcome.longest_s, time.monotonic() - lost_s.pop())

    delays_s: list[tuple[float, float]] = []
    words = await _accepted(lambda: heard(port, samples, 1.0, on_state, delays_s), outcome)
    outcome.delays_s += delays_s
    outcome.words += len(words)
    for edit in Levenshtein.editops(wanted, words):
        if edit.tag == "delete":
            outcome.lost[wanted[edit.src_pos]] += 1
        elif edit.tag == "insert":
            outcome.added[words[edit.dest_pos]] += 1
        else:
            outcome.changed += 1


async def _accepted(stream_once: Callable[[], Awaitable[T]], outcome: Outcome) -> T:
    """Comes again while the handshake is refused for the load."""
    while True:
        try:
            return await stream_once()
        except Refused as refusal:
            if refusal.status != BUSY:
                raise
        outcome.refused += 1
        await asyncio.sleep(1.0)


async def heard(  # type: ignore[no-untyped-def]
    port: int, samples: np.ndarray, pace: float, on_state=lambda sentence: None, delays_s=None
) -> list[str]:
    """The words of the stream's finals."""
    words: list[str] = []
    began_s = time.monotonic()

    def on_message(message: Message) -> None:
        if isinstance(message.event, Final):
            words.extend(word.text.strip() for word in message.event.words)
            if delays_s is not None:
                ends_s = [began_s + word.end_s for word in message.event.words]
                delays_s.extend((end_s, time.monotonic() - end_s) for end_s in ends_s)

    resuming = ResumingStream(_url(port), on_message, bytes_per_s=2 * SAMPLE_RATE_HZ, frame_bytes=2, on_state=on_state)
    await resuming.run(_chunks(samples, pace))
    return words


async def _plain(port: int, samples: np.ndarray, outcome: Outcome, after_s: float = 0.0) -> None:
    await asyncio.sleep(after_s)
    try:
        await _accepted(lambda: stream(_url(port), _chunks(samples, 1.0), lambda message: None), outcome)
        outcome.plain["all words"] += 1
    except StreamError as error:
        outcome.plain[str(error)[:100]] += 1


async def _chunks(samples: np.ndarray, pace: float) -> AsyncIterator[bytes]:
    began_s = time.monotonic()
    for at in range(0, len(samples), CHUNK):
        if pace:
            await asyncio.sleep(began_s + at / SAMPLE_RATE_HZ / pace - time.monotonic())
        yield pcm16(samples[at : at + CHUNK])


def _url(port: int) -> str:
    return listen_url(f"ws://127.0.0.1:{port}/v1/listen", encoding="linear16", sample_rate=SAMPLE_RATE_HZ)


if __name__ == "__main__":
    main()
