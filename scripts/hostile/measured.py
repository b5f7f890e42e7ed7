"""The whole run: a server of its own, in rounds of two halves, healthy streams alone and beside the attack.

What is compared is measured on the same server minutes apart: texts, and the 95th percentile of the time from a word's
end until it is final. It fails if a process dies, a request stays unanswered, a text changes, the log holds a
traceback, a place stays taken, or memory grows by more than 5 % after the first round.
"""

import asyncio
import contextlib
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np

from eval.runs.local_server import free_port
from eval.runs.process_usage import worker_pids
from scripts.hostile.healthy import healthy, healthy_until
from scripts.hostile.scenarios import attack

QUIET_S = 40.0
"""Before memory is measured: by then a server has given back what it freed (`server.freed_memory`)."""


class OwnServer:
    """`asr serve` with a log, on two free ports; `tls`: the files of its certificate and of the key."""

    def __init__(self, model: str, workers: int, folder: Path, tls: tuple[Path, Path] | None = None) -> None:
        self.log = folder / "server.log"
        self.ports = [free_port(), free_port()]
        config = folder / "server.toml"
        config.write_text(f"wyoming_port = {self.ports[1]}\nmax_load = 99.0\n", encoding="utf-8")
        asr = Path(sys.executable).with_name("asr")
        command = [
            str(asr),
            "serve",
            "--port",
            str(self.ports[0]),
            "--config",
            str(config),
            "--model",
            model,
            "--workers",
            str(workers),
            *(["--tls-cert", str(tls[0]), "--tls-key", str(tls[1])] if tls else []),
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.tls = ssl.create_default_context(cafile=tls[0]) if tls else None
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.ports[0]}"

    def wait_until_ready(self) -> None:
        while self.process.poll() is None:
            with contextlib.suppress(OSError), self._get("/readyz", 5):
                return
            time.sleep(0.3)
        raise SystemExit(f"the server ended: {self.log.read_text()[-2000:]}")

    def _get(self, path: str, timeout_s: float) -> Any:
        return urllib.request.urlopen(self.url + path, timeout=timeout_s, context=self.tls)

    def memory_mb(self) -> dict[str, float]:
        """Resident memory of the server and of each worker."""
        pids = [self.process.pid, *worker_pids(self.process.pid)]
        sizes = {}
        for pid in pids:
            with contextlib.suppress(OSError):
                found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
                name = "server" if pid == self.process.pid else f"worker {pid}"
                if found and int(found[1]) > 100_000:
                    sizes[name] = int(found[1]) / 1024
        return sizes

    def open_streams(self) -> float:
        with self._get("/metrics", 30) as answer:
            return float(re.search(r"^asr_open_streams (\S+)", answer.read().decode(), re.MULTILINE)[1])  # type: ignore[index]


async def one_round(
    server: OwnServer, samples: np.ndarray, seed: int, messages: int, quiet_streams: int
) -> dict[str, Any]:
    """The healthy streams alone, then beside the attack."""
    alone = [await healthy(server.url, samples, server.tls) for _ in range(quiet_streams)]
    over = asyncio.Event()
    beside = asyncio.create_task(healthy_until(server.url, samples, over, server.tls))
    began_s = time.monotonic()
    made = await attack(server.url, ("127.0.0.1", server.ports[1]), seed, messages, server.tls)
    attacked_s = time.monotonic() - began_s
    over.set()
    streams = await beside
    p95 = [float(np.percentile([d for stream in part for d in stream.delays_s], 95)) for part in (alone, streams)]
    until_s = time.monotonic() + 90
    while server.open_streams() and time.monotonic() < until_s:
        await asyncio.sleep(1)
    await asyncio.sleep(QUIET_S)
    equal = sum(stream.text == alone[0].text for stream in streams)
    return {
        "messages": made.sent.total(),
        "by_wire": dict(made.sent),
        "flood_frames": made.frames,
        "seconds": round(attacked_s, 1),
        "answers": dict(made.answers.most_common()),
        "unanswered": made.unanswered[:20],
        "slowest": [round(made.slowest[0], 1), made.slowest[1]],
        "texts": f"{equal} of {len(streams)} as alone",
        "equal": equal == len(streams),
        "p95_s": [round(value, 2) for value in p95],
        "p95_ratio": round(p95[1] / p95[0], 2),
        "left_open": server.open_streams(),
        "memory_mb": {name: round(size) for name, size in server.memory_mb().items()},
    }


def failures_of(rounds: list[dict[str, Any]], log: str, alive: bool) -> list[str]:
    """What must not happen, and did."""
    failures = [] if alive else ["the server died"]
    for number, made in enumerate(rounds, start=1):
        failures += [f"round {number}: unanswered: {one}" for one in made["unanswered"]]
        failures += [] if made["equal"] else [f"round {number}: a healthy text changed"]
        failures += [] if made["p95_ratio"] <= 1.2 else [f"round {number}: p95 is {made['p95_ratio']} times as long"]
        failures += [f"round {number}: {made['left_open']:g} places stay taken"] if made["left_open"] else []
    first, last = rounds[0]["memory_mb"], rounds[-1]["memory_mb"]
    failures += [
        f"memory of {name}: {first.get(name)} -> {mb} MB" for name, mb in last.items() if mb > 1.05 * first.get(name, 0)
    ]
    tracebacks = log.count("Traceback (most recent call last)")
    return failures + ([f"{tracebacks} tracebacks in the log"] if tracebacks else [])
