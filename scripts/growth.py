"""How the throughput grows from one server to several behind nginx, with servers that cannot slow each other down.

    python -m scripts.growth --audio talk.wav --nodes 3 --cores 0.25

Starts the servers on this machine, and gives each only a share of a core (Linux' CPU controller; needs root), so that
servers saturate and not the machine. Then streams send the recording as fast as it is taken, through nginx, to one
server, to two, and so on, in turns: `--streams` for each server, as often as `--rounds` says. It prints the seconds of
audio that were recognised in a second, for each server and as a share of what one server does alone, what they cost the
servers, and what nginx took of the CPU time. Other work may keep the servers from their share of the cores, and the
clients too: the cost says then whether they slow each other down.

    python -m scripts.growth --nodes 3 --cores 0.25 --hold

only starts them, prints the addresses of nginx and of the first server with its process, and waits for Ctrl-C: for
`asr bench server --url`.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from eval.runs.process_usage import descendants, process_cpu_s
from scripts.scale import heard, nodes, proxy

GROUPS = Path("/sys/fs/cgroup/cpu")
PERIOD_US = 20_000
"""Short, so that a server that has used its share waits for milliseconds."""
SHARES = 50_000
"""Of the scheduler, where an ordinary group has 1,024: other work of this machine gives way up to the limit."""


def main() -> None:
    """Starts, measures, prints, ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cores", type=float, default=0.25)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0, help="of the recording")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hold", action="store_true")
    options = parser.parse_args()
    with contextlib.ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        running = started.enter_context(nodes(folder, options.nodes, options.model))
        for number, (_, process) in enumerate(running):
            started.enter_context(limited(f"asr-growth-{os.getpid()}-{number}", process.pid, options.cores))
        sites = []
        for count in range(1, options.nodes + 1):
            place = folder / str(count)
            place.mkdir()
            sites.append(started.enter_context(proxy(place, [port for port, _ in running[:count]])))
        if options.hold:
            for count, (port, _) in enumerate(sites, 1):
                print(f"nginx before {count}: http://127.0.0.1:{port}")
            print(f"the first server: --url http://127.0.0.1:{running[0][0]} --pid {running[0][1].pid}", flush=True)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
            return
        samples = np.concatenate(list(read_blocks(options.audio)))[: round(options.seconds * SAMPLE_RATE_HZ)]
        speeds: list[list[float]] = [[] for _ in sites]
        costs: list[list[float]] = [[] for _ in sites]
        before_s = [process_cpu_s(process.pid) for _, process in (*sites, *running)]
        for _ in range(options.rounds):
            for count, (port, _) in enumerate(sites, 1):
                then_s = sum(process_cpu_s(process.pid) for _, process in running[:count])
                speeds[count - 1].append(asyncio.run(speed(port, samples, count * options.streams)))
                cost_s = sum(process_cpu_s(process.pid) for _, process in running[:count]) - then_s
                costs[count - 1].append(cost_s / (count * options.streams * len(samples) / SAMPLE_RATE_HZ))
        used_s = [process_cpu_s(each[1].pid) - then for each, then in zip((*sites, *running), before_s, strict=True)]
        one = statistics.median(speeds[0])
        cost_of_one = statistics.median(costs[0])
        for count, some in enumerate(speeds, 1):
            each, cost = statistics.median(some) / count, statistics.median(costs[count - 1])
            runs = ", ".join(f"{value:.2f}" for value in some)
            print(
                f"{count}: {count * each:.2f} s of audio a second ({runs}); each {each / one:.3f} of one alone; ",
                end="",
            )
            print(f"{cost:.4f} CPU-s for each, {cost_of_one / cost:.3f} as much of it in a CPU-s")
        print(f"CPU of nginx: {sum(used_s[: len(sites)]) / sum(used_s):.2%} of {sum(used_s):.1f} s")


@contextlib.contextmanager
def limited(name: str, pid: int, cores: float) -> Iterator[None]:
    """Gives a server with its workers no more than this share of a core."""
    group = GROUPS / name
    try:
        group.mkdir()
    except OSError as error:
        raise SystemExit(f"{group} cannot be made ({error.strerror}); wanted root, and cgroups of version 1") from None
    try:
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(round(cores * PERIOD_US)))
        (group / "cpu.shares").write_text(str(SHARES))
        for member in descendants(pid):
            (group / "cgroup.procs").write_text(str(member))
        yield
    finally:
        for member in (group / "cgroup.procs").read_text().split():
            (GROUPS / "cgroup.procs").write_text(member)
        group.rmdir()


async def speed(port: int, samples: np.ndarray, streams: int) -> float:
    """Seconds of audio that are recognised in a second, from the first byte to the last word."""
    began_s = time.monotonic()
    await asyncio.gather(*(heard(port, samples, 0.0) for _ in range(streams)))
    return streams * len(samples) / SAMPLE_RATE_HZ / (time.monotonic() - began_s)


if __name__ == "__main__":
    main()
