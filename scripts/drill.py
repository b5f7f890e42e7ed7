"""Disaster drill: a server of its own, with live streams, to which bad things happen. What is lost? Nothing.

make drill                                     # a few minutes: 20 kills, 5 hangs, and the rest
make drill ARGS='--kills 100 --hangs 100 --step-timeout 2'
make drill ARGS='--config my.toml --model whisper-base --streams 4 --audio call.wav'

First one stream alone says what the recording's words are. Then the same recording runs in `--streams` streams at the
pace of speech, again and again, while one kind of harm is done: worker processes are killed, worker processes are
stopped and never continued, hostile clients attack all wires, the disk of waiting audio is full, connections are cut.
Each stream's final words, with their times, are compared with those of the first.

Exit code 0: nothing was lost, and the server is ready again. 1: something was lost; a line says what. Linux only.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.events import Final
from eval.runs.local_server import free_port
from eval.runs.process_usage import worker_pids
from scripts.hostile.scenarios import attack
from server.client.protocol import CHUNK_S, Message, StreamError, listen_url, pcm16
from server.client.stream import paced, stream

PAUSE_S = 0.8
REPORT_S = 5.0
"""The server's log reports a hang within this time after the worker was killed."""
READY_S = 180.0
DISK_BYTES = 131_072
"""Room for waiting audio in the drill of the full disk: four seconds."""
BURST_S = 3.0

UPGRADE = b"\r\n".join(
    (
        b"GET /v1/listen?encoding=linear16&sample_rate=16000 HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        b"\r\n",
    )
)
"""A handshake by hand: a client of a library says goodbye."""

Said = list[tuple[str, float]]
"""The final words of a stream, each with its start."""


@dataclass
class Tally:
    """What one kind of harm did."""

    name: str
    harm: int = 0
    streams: int = 0
    words: int = 0
    missing: int = 0
    extra: int = 0
    errors: list[str] = field(default_factory=list)
    note: str = ""

    @property
    def is_clean(self) -> bool:
        return self.streams > 0 and not (self.missing or self.extra or self.errors)

    def add(self, expected: Said, said: Said) -> None:
        """One stream that ran to its end."""
        wanted, got = Counter(expected), Counter(said)
        self.streams += 1
        self.words += len(expected)
        self.missing += (wanted - got).total()
        self.extra += (got - wanted).total()

    def line(self) -> str:
        state = "nothing lost" if self.is_clean else "LOST"
        counts = f"{self.harm:4} x, {self.streams:3} streams, {self.words:6} words"
        found = f"{self.missing} missing, {self.extra} extra: {state}"
        return f"{self.name:22} {counts}, {found}{self.note and '; ' + self.note}"


class Drilled:
    """An `asr serve` with its workers and its log."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.port, self.wyoming_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "server.log"
        settings = folder / "drill.toml"
        own = options.config.read_text(encoding="utf-8") if options.config else ""
        drill = {"step_timeout_s": options.step_timeout, "max_load": 99.0}
        drill |= {"wyoming_port": self.wyoming_port, "max_message_bytes": 65_536, "max_buffered_audio_s": 8.0}
        lines = [f"{key} = {value}" for key, value in drill.items() if key not in tomllib.loads(own)]
        settings.write_text("\n".join([*lines, own]), encoding="utf-8")
        command = [sys.executable, "-c", "from asr.cli import main; main()", "serve", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--config", str(settings), "--model", options.model]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", str(options.workers)],
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(folder)},
                preexec_fn=_limit_files,
            )

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        """The sum over its labels."""
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics"), re.M))

    async def until_ready(self) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            with contextlib.suppress(OSError):
                workers = json.loads(await asyncio.to_thread(self.get, "/readyz"))["workers"]
                if all(model["ready"] == model["of"] for model in workers.values()):
                    return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the server is not ready:\n{self.log.read_text()[-2000:]}")
            await asyncio.sleep(0.2)

    def stop(self) -> float:
        """Seconds until it has ended after SIGTERM."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        return time.monotonic() - began_s


def _limit_files() -> None:
    """The disk is full: no file of the server may be larger. Larger writes fail, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_BYTES, DISK_BYTES))


# -- the streams -----------------------------------------------------------------------------------------------------


class Streams:
    """The recording, streamed to the server again and again until `stop` is set."""

    def __init__(self, server: Drilled, samples: np.ndarray, pace: float) -> None:
        self._server, self._pace = server, pace
        step = round(CHUNK_S * SAMPLE_RATE_HZ)
        self._chunks = [pcm16(samples[start : start + step]) for start in range(0, len(samples), step)]
        self._url = listen_url(server.url, encoding="linear16", sample_rate=SAMPLE_RATE_HZ, channels=1)

    async def one(self, pace: float | None = None) -> Said:
        """The final words of one stream. Raises `StreamError`."""
        said: Said = []

        def receive(message: Message) -> None:
            if isinstance(message.event, Final):
                said.extend((word.text, word.start_s) for word in message.event.words)

        chunks = self._audio()
        await stream(self._url, paced(chunks, pace or self._pace) if pace != 0 else chunks, receive)
        return said

    async def _audio(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk

    async def during(self, harm: Callable[[Tally], Awaitable[None]], tally: Tally, expected: Said, count: int) -> Tally:
        """Streams at the same time while `harm` is done, and until those under way have ended."""
        done = asyncio.Event()

        async def again() -> None:
            while not done.is_set():
                try:
                    tally.add(expected, await self.one())
                except StreamError as error:
                    if "HTTP 503" not in str(error):  # refused with Retry-After while no worker is ready
                        tally.errors.append(str(error))
                    await asyncio.sleep(1.0)

        streams = [asyncio.create_task(again()) for _ in range(count)]
        try:
            await asyncio.sleep(BURST_S)
            await harm(tally)
        finally:
            done.set()
            await asyncio.gather(*streams)
        await self._server.until_ready()
        return tally


# -- the harm --------------------------------------------------------------------------------------------------------


class Harm:
    """Each method is one kind of it."""

    def __init__(self, server: Drilled, options: argparse.Namespace) -> None:
        self._server, self._options, self._random = server, options, random.Random(options.seed)

    async def kill_workers(self, tally: Tally) -> None:
        """SIGKILL to any of the workers, at any moment: in a step, idle, or while it loads its model."""
        until_s = time.monotonic() + 60.0 * self._options.minutes
        while tally.harm < self._options.kills and time.monotonic() < until_s:
            while not await asyncio.to_thread(
                self._server.metric, "asr_lanes_ready"
            ):  # without a worker nothing goes on
                await asyncio.sleep(0.2)
            await asyncio.sleep(self._random.uniform(0.0, self._options.gap))
            os.kill(await self._a_worker(), signal.SIGKILL)
            tally.harm += 1

    async def hang_workers(self, tally: Tally) -> None:
        """SIGSTOP to a worker, for ever. The next one when that was noticed: it was killed."""
        late_s, slowest_s, until_s = 0.0, 0.0, time.monotonic() + 60.0 * self._options.minutes
        while tally.harm < self._options.hangs and time.monotonic() < until_s:
            seen, pid, began_s = self._server.log.stat().st_size, await self._a_worker(), time.monotonic()
            with contextlib.suppress(ProcessLookupError):  # it was being replaced
                os.kill(pid, signal.SIGSTOP)
                tally.harm += 1
            while _is_running(pid):
                await asyncio.sleep(0.1)
                if time.monotonic() - began_s > READY_S:
                    tally.errors.append(f"worker {pid} hangs and nobody noticed")
                    return
            took_s = time.monotonic() - began_s
            wait_s = time.monotonic() + REPORT_S
            while not (deadlines_s := _deadlines_s(self._server.log, seen)) and time.monotonic() < wait_s:
                await asyncio.sleep(0.1)
            late_s = max(late_s, took_s - max(deadlines_s, default=0.0))
            slowest_s = max(slowest_s, took_s)
        tally.note = f"noticed within {slowest_s:.1f} s, and at most {late_s:.1f} s after the deadline"

    async def _a_worker(self) -> int:
        while not (workers := await asyncio.to_thread(worker_pids, self._server.process.pid)):
            await asyncio.sleep(0.1)
        return self._random.choice(workers)

    async def attack(self, tally: Tally) -> None:
        """Hostile messages over all wires, and floods; see `scripts.hostile`."""
        server, options = self._server, self._options
        made = await attack(server.url, ("127.0.0.1", server.wyoming_port), options.seed, options.messages)
        tally.harm = made.sent.total()
        tally.errors += [f"not answered: {what}" for what in made.unanswered]
        tally.note = f"and {made.frames} frames of floods"

    async def fill_disk(self, tally: Tally) -> None:
        """Streams sent as fast as possible: their audio would wait on the disk, which is full."""
        streams = Streams(self._server, np.zeros(60 * SAMPLE_RATE_HZ, np.float32), 1.0)
        await asyncio.gather(*(streams.one(pace=0) for _ in range(self._options.unpaced)))
        tally.harm += self._options.unpaced

    async def cut_connections(self, tally: Tally) -> None:
        """Clients whose connection is reset amid their audio. Their places must be free soon after."""
        before = await asyncio.to_thread(self._server.metric, "asr_open_streams")
        await asyncio.gather(*(self._cut_once(tally) for _ in range(self._options.cuts)))
        await asyncio.sleep(2.0)
        left = await asyncio.to_thread(self._server.metric, "asr_open_streams") - before
        if left > 0:
            tally.errors.append(f"{left:.0f} places are still held by connections that were cut")

    async def _cut_once(self, tally: Tally) -> None:
        await asyncio.sleep(self._random.uniform(0, BURST_S))
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            frame = b"\x82\xfe" + struct.pack("!H", 32000) + b"\0\0\0\0" + b"\x01\x02" * 16000
            writer.write(frame + frame[: self._random.randrange(len(frame))])
            await writer.drain()
            reset = struct.pack("ii", 1, 0)  # `close` sends a reset, without a word
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            writer.close()
            tally.harm += 1


def _is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _deadlines_s(log: Path, start: int) -> list[float]:
    """The deadlines in those lines of the log, from this byte on, that report a hang."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace")
    return [float(seconds) for seconds in re.findall(r"(?:no answer|no progress) for (\d+) s", lines)]


# -- the program -----------------------------------------------------------------------------------------------------


def recording(path: Path | None) -> np.ndarray:
    """Mono samples at 16 kHz: the file, or the clips of the test environment with pauses between them."""
    if path:
        with path.open("rb") as file:
            return np.concatenate(list(read_blocks(file)))
    clips = Path(str(files("pytest_audioeval").joinpath("samples/audio/en")))
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    names = ("quick_brown_fox", "counting", "hello_world")
    parts = [part for name in names for part in (soundfile.read(clips / f"{name}.wav", dtype="float32")[0], pause)]
    return np.concatenate(parts)


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--config", type=Path, help="settings of the server")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--audio", type=Path, help="a recording; default: three clips of the test environment")
    parser.add_argument("--pace", type=float, default=1.0, help="seconds of audio sent per second")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--gap", type=float, default=4.0, help="the longest time between two kills in seconds")
    parser.add_argument("--minutes", type=float, default=30.0, help="the longest time for the kills, and for the hangs")
    parser.add_argument("--hangs", type=int, default=5)
    parser.add_argument("--messages", type=int, default=2_000, help="hostile messages, besides floods")
    parser.add_argument("--unpaced", type=int, default=6, help="streams sent as fast as possible, on a full disk")
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--step-timeout", type=float, default=10.0, help="the server's step_timeout_s")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


async def drill(server: Drilled, options: argparse.Namespace) -> list[Tally]:
    """The tallies, one for each kind of harm that was asked for."""
    await server.until_ready()
    streams, harm = Streams(server, recording(options.audio), options.pace), Harm(server, options)
    expected = await streams.one()
    print(f"the recording alone: {len(expected)} words", flush=True)
    plan = (
        ("workers killed", options.kills, harm.kill_workers),
        ("workers hung", options.hangs, harm.hang_workers),
        ("hostile messages", options.messages, harm.attack),
        ("streams on a full disk", options.unpaced, harm.fill_disk),
        ("connections cut", options.cuts, harm.cut_connections),
    )
    tallies = []
    for name, count, do in plan:
        if count:
            tallies.append(await streams.during(do, Tally(name), expected, options.streams))
            print(tallies[-1].line(), *tallies[-1].errors, sep="\n  ", flush=True)
    return tallies


def main() -> int:
    """Prints a line for each kind of harm. Returns the exit code."""
    options = options_of()
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        server = Drilled(options, Path(folder))
        try:
            tallies = asyncio.run(drill(server, options))
            print(f"the server has ended {server.stop():.1f} s after SIGTERM")
        finally:
            server.process.kill()
    is_clean = bool(tallies) and all(tally.is_clean for tally in tallies)
    print("lost: nothing" if is_clean else "SOMETHING WAS LOST, see above")
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
