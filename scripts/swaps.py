"""Swaps releases under live streams of a real server, and says whether anybody noticed.

    python scripts/swaps.py --model FOLDER --audio hello.wav fox.wav --swaps 1000 --streams 8 --seed 7

FOLDER is a small model. Its releases differ by seeded noise in the weights, so that their texts differ. First each
release recognises each recording undisturbed; then streams play the recordings at the pace of speech, one after the
other, while the champion is moved. `--broken` moves go to a release that cannot be loaded, `--kills` workers are killed
(SIGKILL) at random moments of swaps, and `--restarts` times the server itself is, after a move. It fails if a stream
breaks, names two releases, gives another text than its release gave undisturbed, names a release that cannot be
loaded, or weights that the release does not have. A stream that is refused (503) within a minute after a kill is
counted, and comes again.
"""

import argparse
import asyncio
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from asr.aliases import CHAMPION
from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AsrError
from asr.events import Final
from asr.ledger import Ledger, open_ledger
from eval.runs.local_server import free_port
from eval.runs.process_usage import worker_pids
from server.client.protocol import CHUNK_S, Message, listen_url, pcm16
from server.client.stream import Refused, stream

NAME = "swapped"
PROBE_S = 0.3
UNAVAILABLE = 503
RESTART_S = 60.0
"""A worker that was killed is back within this time, and only so long may streams be refused."""
CHUNK = round(CHUNK_S * SAMPLE_RATE_HZ)


@dataclass
class Heard:
    """What one stream was sent."""

    recording: int
    releases: set[str] = field(default_factory=set)
    weights: set[str] = field(default_factory=set)
    text: str = ""
    delays_s: list[float] = field(default_factory=list)
    error: str = ""
    is_refused: bool = False
    """Before any audio, because no worker was there."""

    def take(self, message: Message, began_s: float) -> None:
        self.releases |= {message.release} - {""}
        self.weights |= {message.weights_sha256} - {""}
        if isinstance(message.event, Final):
            self.text += message.event.text
            now_s = time.monotonic() - began_s
            self.delays_s += [now_s - word.end_s for word in message.event.words]


class Serving:
    """`asr serve` in a process, with a ledger."""

    def __init__(self, folder: Path, workers: int, keep_warm_s: float) -> None:
        self.port = free_port()
        self.log, self.ledger = folder / "server.log", folder / "ledger.db"
        self.config = folder / "server.toml"
        self.config.write_text(
            f'models = ["{NAME}"]\nworkers = {workers}\nmax_load = 99.0\n'
            f'keep_warm_s = {keep_warm_s}\nrequest_log = ""\n'
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        asr = Path(sys.executable).with_name("asr")
        command = [asr, "serve", "--port", str(self.port), "--config", self.config, "--ledger", self.ledger]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        await until(self._is_ready, 120.0)

    async def _is_ready(self) -> bool:
        try:
            return "ready" in await asyncio.to_thread(self.get, "/readyz")
        except OSError:
            return False

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def failed_loads(self) -> float:
        lines = self.get("/metrics").splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("asr_failed_loads_total{"))

    def memory_bytes(self) -> int:
        """Of the server's own process: what it shares with no other."""
        fields = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()
        return 1024 * sum(int(line.split()[1]) for line in fields if line.startswith("Private_"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


class Trial:
    """The ledger, the server, the recordings, and what was found."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.random = options, random.Random(options.seed)
        self.ledger: Ledger = open_ledger(folder / "ledger.db")
        self.good = [self._add(folder, number) for number in range(options.releases)]
        self.bad = self._add(folder, 0, is_broken=True) if options.broken else 0
        self.recordings = [np.concatenate([*read_blocks(path)]) for path in options.audio]
        self.server = Serving(folder, options.workers, options.keep_warm_s)
        self.texts: dict[tuple[str, int], str] = {}
        self.weights: dict[str, set[str]] = {}
        self.streams: list[Heard] = []
        self.times_s: dict[str, list[float]] = {"swap, loaded": [], "swap, cold": [], "rollback": []}
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.is_over, self.killed_s = False, -math.inf

    def _add(self, folder: Path, number: int, *, is_broken: bool = False) -> int:
        copy = noisy_copy(self.options.model, folder / f"release-{number}-{is_broken}", 0 if is_broken else number)
        if is_broken:
            config = json.loads((copy / "config.json").read_text())
            (copy / "config.json").write_text(json.dumps(config | {"hidden_size": 2 * config["hidden_size"]}))
        return self.ledger.add_release(NAME, copy, by="swaps", why="a trial").number

    @property
    def champion(self) -> int | None:
        release = self.ledger.aliases(NAME).get(CHAMPION)
        return release.number if release else None

    def move(self, number: int) -> float:
        """The time of the row."""
        self.ledger.move(NAME, CHAMPION, expected=self.champion, to=number, by="swaps", why="a trial")
        self.counts["moves"] += 1
        return time.monotonic()

    async def hear(self, recording: int, pace: float = 1.0) -> Heard:
        samples, heard = self.recordings[recording], Heard(recording)
        began_s = time.monotonic()

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(samples), CHUNK):
                await asyncio.sleep(max(0.0, pace * start / SAMPLE_RATE_HZ - (time.monotonic() - began_s)))
                yield pcm16(samples[start : start + CHUNK])

        url = listen_url(self.server.url, encoding="linear16", sample_rate=SAMPLE_RATE_HZ, interim_results=True)
        try:
            await stream(url, chunks(), lambda message: heard.take(message, began_s))
        except Refused as refused:
            heard.is_refused = refused.status == UNAVAILABLE
            heard.error = str(refused)
        except AsrError as error:
            heard.error = str(error)
        return heard

    async def served(self) -> str:
        """The release of a new stream, "" if there is none."""
        return next(iter((await self.hear(self.shortest, 0.0)).releases), "")

    @property
    def shortest(self) -> int:
        return min(range(len(self.recordings)), key=lambda index: len(self.recordings[index]))

    async def swap(self, number: int, kind: str = "") -> None:
        """Moves the champion, and waits until a new stream sits there."""
        listed = f'release="{NAME}/{number}"' in await asyncio.to_thread(self.server.get, "/metrics")
        moved_s = self.move(number)
        champion = f'"release":"{NAME}/{number}"'

        async def is_served() -> bool:
            return champion in await asyncio.to_thread(self.server.get, "/v1/models")

        await until(is_served, 120.0)
        took_s = time.monotonic() - moved_s
        if await self.served() != f"{NAME}/{number}":
            self.faults.append(f"a new stream is not on {number}, which the server says is live")
        self.times_s[kind or ("swap, loaded" if listed else "swap, cold")].append(took_s)

    # -- the parts ---------------------------------------------------------------------------------------------------

    async def reference(self) -> None:
        """Each release alone: its texts and the hash of its weights."""
        for number in self.good:
            await self.swap(number)
            for recording in range(len(self.recordings)):
                heard = await self.hear(recording, 0.0)
                if heard.error or heard.releases != {f"{NAME}/{number}"}:
                    raise SystemExit(f"undisturbed: {heard.error or heard.releases} in place of {number}")
                self.texts[f"{NAME}/{number}", recording] = heard.text
                self.weights[f"{NAME}/{number}"] = heard.weights

    async def speak(self, index: int) -> None:
        """One speaker: a recording after the other."""
        await asyncio.sleep(index * 0.37)
        while not self.is_over:
            heard = await self.hear(self.random.randrange(len(self.recordings)))
            if heard.is_refused and time.monotonic() < self.killed_s + RESTART_S:
                self.counts["refused for a worker that restarts"] += 1
                await asyncio.sleep(PROBE_S)
            else:
                self.streams.append(heard)

    async def under_streams(self, work: Callable[[], Awaitable[None]]) -> list[Heard]:
        """The streams that were open during the work."""
        self.is_over, self.streams = False, []
        speakers = [asyncio.create_task(self.speak(index)) for index in range(self.options.streams)]
        try:
            await work()
        finally:
            self.is_over = True
            await asyncio.gather(*speakers)
        return self.streams

    async def swaps(self) -> None:
        """Every third goes back to the champion before: a rollback."""
        before, now = self.good[-2], self.good[-1]
        for count in range(self.options.swaps):
            if count % 3 == 2:
                before, now = now, before
                await self.swap(now, "rollback")
            else:
                before, now = now, self.random.choice([number for number in self.good if number != now])
                await self.swap(now)
            if count + 1 in (10, 50) or count + 1 == self.options.swaps:
                self.counts[f"server MB after {count + 1}"] = round(self.server.memory_bytes() / 1e6)
            await asyncio.sleep(self.random.uniform(0.0, 0.3))

    async def broken(self) -> None:
        """Moves to a release that cannot be loaded; each is taken back when the load has failed."""
        for _ in range(self.options.broken):
            live, failed = self.champion, self.server.failed_loads()
            assert live is not None
            self.move(self.bad)

            async def has_failed(before: float = failed) -> bool:
                return await asyncio.to_thread(self.server.failed_loads) > before

            await until(has_failed, 120.0)
            if (found := await self.served()) != f"{NAME}/{live}":
                self.faults.append(f"{found} serves after a failed load, wanted {live}")
            self.move(live)
            self.counts["failed loads"] += 1

    async def kills(self) -> None:
        """A worker dies at a random moment of a swap, of the old release or of the new one."""
        for _ in range(self.options.kills):
            number = self.random.choice([number for number in self.good if number != self.champion])
            self.move(number)
            await asyncio.sleep(self.random.uniform(0.0, 4.0))
            await self._kill_a_worker()
            await asyncio.sleep(self.random.uniform(0.0, 2.0))

    async def _kill_a_worker(self) -> None:
        """As soon as there is one: it may be starting again."""

        async def is_killed() -> bool:
            try:
                os.kill(self.random.choice(worker_pids(self.server.process.pid)), signal.SIGKILL)
            except (ProcessLookupError, IndexError):
                return False
            return True

        await until(is_killed, RESTART_S)
        self.killed_s = time.monotonic()
        self.counts["workers killed"] += 1

    async def restarts(self) -> None:
        """The server dies right after a move, and serves what the ledger says when it is back."""
        for _ in range(self.options.restarts):
            number = self.random.choice([number for number in self.good if number != self.champion])
            self.move(number)
            await asyncio.sleep(self.random.uniform(0.0, 4.0))
            self.server.kill()
            await self.server.start()
            if (found := await self.served()) != f"{NAME}/{number}":
                self.faults.append(f"{found} serves after a restart, wanted {number}")
            self.counts["servers killed"] += 1

    def check(self, streams: list[Heard]) -> None:
        for heard in streams:
            release = next(iter(heard.releases), "")
            if heard.error:
                self.faults.append(f"a stream broke: {heard.error}")
            elif len(heard.releases) != 1 or heard.weights != self.weights.get(release):
                self.faults.append(f"a stream names {heard.releases} with the weights {heard.weights}")
            elif heard.text != self.texts[release, heard.recording]:
                self.faults.append(f"{release} gave another text than undisturbed")
        self.counts["streams"] += len(streams)
        self.counts["words"] += sum(len(heard.text.split()) for heard in streams)

    async def run(self) -> None:
        self.move(self.good[0])
        await self.server.start()
        try:
            await self.reference()
            alone = await self.under_streams(lambda: asyncio.sleep(self.options.alone_s))
            during = await self.under_streams(self.swaps)
            self.check(alone + during)
            delays = f"{p95(alone):.3f} s without swaps, {p95(during):.3f} s with, ratio {p95(during) / p95(alone):.3f}"
            print(f"p95 of word delay: {delays}", flush=True)
            for part in (self.broken, self.kills):
                self.check(await self.under_streams(part))
            await self.restarts()
        finally:
            self.server.stop()


def p95(streams: list[Heard]) -> float:
    """NaN without a word."""
    delays_s = [delay_s for heard in streams for delay_s in heard.delays_s]
    return float(np.quantile(delays_s, 0.95)) if delays_s else float("nan")


def noisy_copy(model: Path, copy: Path, seed: int) -> Path:
    """A copy of a model's folder whose weights differ by seeded noise; those of seed 0 are the same."""
    shutil.copytree(model, copy, ignore=lambda _, names: [name for name in names if name.startswith(".")])
    rng = np.random.default_rng(seed)
    for path in copy.glob("*.safetensors") if seed else ():
        save_file({key: _noisy(value, rng) for key, value in load_file(path).items()}, path)
    return copy


def _noisy(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """With a hundredth of its own spread."""
    if not np.issubdtype(value.dtype, np.floating):
        return value
    return (value + 0.01 * value.std() * rng.standard_normal(value.shape)).astype(value.dtype)


async def until(holds: Callable[[], Awaitable[bool]], patience_s: float) -> None:
    end_s = time.monotonic() + patience_s
    while not await holds():
        if time.monotonic() > end_s:
            raise SystemExit("the condition never held; see the server's log")
        await asyncio.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="the folder of a small model")
    parser.add_argument("--audio", type=Path, nargs="+", required=True)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--keep-warm-s", type=float, default=300.0, dest="keep_warm_s")
    parser.add_argument("--alone-s", type=float, default=20.0, dest="alone_s", help="streams without swaps")
    counts = {"releases": 3, "workers": 1, "streams": 8, "swaps": 30, "broken": 0, "kills": 0, "restarts": 0}
    for name, default in counts.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(parser.parse_args(), Path(folder))
        try:
            asyncio.run(trial.run())
        except BaseException:
            print(trial.server.log.read_text()[-3000:], file=sys.stderr)
            raise
        for kind, times_s in trial.times_s.items():
            if times_s:
                print(f"{kind}: {len(times_s)}, median {np.median(times_s):.2f} s, longest {max(times_s):.2f} s")
        print(", ".join(f"{count} {what}" for what, count in trial.counts.items()))
        print("\n".join(f"{count} x {fault}" for fault, count in Counter(trial.faults).items()) or "no fault")
    sys.exit(bool(trial.faults))


if __name__ == "__main__":
    main()
