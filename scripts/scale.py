"""Several servers behind the real nginx: what the proxy costs, and what the death of a server costs the streams.

    python -m scripts.scale --audio talk.wav --model whisper-tiny.en --nodes 3 --streams 24 --plain 6

Starts the servers and nginx (`deploy/nginx-replicas.conf`) on this machine. `--streams` clients that resume and
`--plain` ones that do not send the recording at the pace of speech through nginx, as often as `--rounds` says. In the
middle the server with the most streams is killed (SIGKILL). It prints the words that the resuming clients lost or got
twice, against the text of an undisturbed stream, how the plain ones ended, what nginx took of the CPU time, and what it
adds to a request. Exits with 1 if a word was lost or doubled. All servers share this machine's cores, which must carry
the streams.
"""

import argparse
import asyncio
import contextlib
import difflib
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.events import Final
from eval.runs.process_usage import process_cpu_s
from server.access.keyring import SECRET_VARIABLE
from server.client.protocol import CHUNK_S, Message, StreamError, listen_url, pcm16
from server.client.resuming import ResumingStream
from server.client.stream import stream

SITE = Path(__file__).parents[1] / "deploy" / "nginx-replicas.conf"
PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin"
READY_S = 180.0
PROBES = 400
CHUNK = round(CHUNK_S * SAMPLE_RATE_HZ)


@dataclass
class Outcome:
    """What the clients got."""

    words: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    """Words that the part recognised again has otherwise."""
    plain: Counter[str] = field(default_factory=Counter)
    """How the clients that do not resume ended."""
    longest_s: float = 0.0
    """Without a connection."""


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
    options = parser.parse_args()
    blocks = list(read_blocks(Path(options.audio)))
    samples = np.tile(np.concatenate(blocks)[: round(options.seconds * SAMPLE_RATE_HZ)], options.rounds)
    with contextlib.ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        running = started.enter_context(nodes(folder, options.nodes, options.model))
        port, nginx = started.enter_context(proxy(folder, [port for port, _ in running]))
        wanted = asyncio.run(_heard(running[0][0], samples, 0.0))
        print(f"nodes: {options.nodes}; words of one stream: {len(wanted)}")
        print(f"added by nginx: {added_ms(running[0][0], port):.2f} ms (median of {PROBES} requests)")
        pids = [nginx.pid, *(process.pid for _, process in running[:-1])]
        before_s = [process_cpu_s(pid) for pid in pids]
        outcome = asyncio.run(_disturbed(options, port, running, samples, wanted))
        _print(outcome, [process_cpu_s(pid) - then_s for pid, then_s in zip(pids, before_s, strict=True)])
    sys.exit(bool(outcome.lost or outcome.doubled))


def _print(outcome: Outcome, used_s: Sequence[float]) -> None:
    proxy_s = used_s[0]
    print(f"CPU of nginx: {proxy_s:.2f} s, {proxy_s / max(1e-9, sum(used_s)):.1%} of it and of the nodes that lived")
    print(
        f"words of resuming clients: {outcome.words}; lost {sum(outcome.lost.values())} {dict(outcome.lost)}, ", end=""
    )
    print(f"doubled {sum(outcome.doubled.values())} {dict(outcome.doubled)}, changed {outcome.changed}")
    print(f"longest time without a connection: {outcome.longest_s:.1f} s")
    print(f"plain clients: {dict(outcome.plain)}")


# -- the servers ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nodes(folder: Path, count: int, model: str) -> Iterator[list[tuple[int, "subprocess.Popen[bytes]"]]]:
    """Ports and processes of servers that know each other, each with one worker. All are ended in the end."""
    environment = os.environ | {SECRET_VARIABLE: secrets.token_hex(32)}
    started: list[tuple[int, subprocess.Popen[bytes]]] = []
    config = folder / "server.toml"
    config.write_text("max_connections_per_address = 1000\nmax_load = 5.0\n", encoding="utf-8")
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


def free_port() -> int:
    """One that nothing listens on now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


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
    options: argparse.Namespace,
    port: int,
    running: Sequence[tuple[int, "subprocess.Popen[bytes]"]],
    samples: np.ndarray,
    wanted: Sequence[str],
) -> Outcome:
    """All clients at once; the last node is killed in the middle, whatever it has: nginx shares streams out evenly."""
    outcome = Outcome()
    clients = [asyncio.create_task(_resuming(port, samples, wanted, outcome)) for _ in range(options.streams)]
    clients += [asyncio.create_task(_plain(port, samples, outcome)) for _ in range(options.plain)]
    await asyncio.sleep(len(samples) / SAMPLE_RATE_HZ / 2)
    doomed, process = running[-1]
    print(f"killed: a node with {_open_streams(doomed):.0f} streams")
    process.send_signal(signal.SIGKILL)
    await asyncio.gather(*clients)
    return outcome


async def _resuming(port: int, samples: np.ndarray, wanted: Sequence[str], outcome: Outcome) -> None:
    lost_s: list[float] = []

    def on_state(sentence: str) -> None:
        if sentence and not lost_s:
            lost_s.append(time.monotonic())
        elif not sentence and lost_s:
            outcome.longest_s = max(outcome.longest_s, time.monotonic() - lost_s.pop())

    heard = await _heard(port, samples, 1.0, on_state)
    outcome.words += len(heard)
    for kind, i1, i2, j1, j2 in difflib.SequenceMatcher(None, wanted, heard, autojunk=False).get_opcodes():
        if kind == "delete":
            outcome.lost.update(wanted[i1:i2])
        elif kind == "insert":
            outcome.doubled.update(heard[j1:j2])
        elif kind == "replace":
            outcome.changed += max(i2 - i1, j2 - j1)


async def _heard(port: int, samples: np.ndarray, pace: float, on_state=lambda sentence: None) -> list[str]:  # type: ignore[no-untyped-def]
    """The words of the stream's finals."""
    words: list[str] = []

    def on_message(message: Message) -> None:
        if isinstance(message.event, Final):
            words.extend(word.text.strip() for word in message.event.words)

    resuming = ResumingStream(_url(port), on_message, bytes_per_s=2 * SAMPLE_RATE_HZ, frame_bytes=2, on_state=on_state)
    await resuming.run(_chunks(samples, pace))
    return words


async def _plain(port: int, samples: np.ndarray, outcome: Outcome) -> None:
    try:
        await stream(_url(port), _chunks(samples, 1.0), lambda message: None)
        outcome.plain["all words"] += 1
    except StreamError as error:
        outcome.plain[str(error)[:60]] += 1


async def _chunks(samples: np.ndarray, pace: float) -> AsyncIterator[bytes]:
    began_s = time.monotonic()
    for at in range(0, len(samples), CHUNK):
        if pace:
            await asyncio.sleep(began_s + at / SAMPLE_RATE_HZ / pace - time.monotonic())
        yield pcm16(samples[at : at + CHUNK])


def _url(port: int) -> str:
    return listen_url(f"ws://127.0.0.1:{port}/v1/listen", encoding="linear16", sample_rate=SAMPLE_RATE_HZ)


def _open_streams(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith("asr_open_streams ")))


if __name__ == "__main__":
    main()
