"""What a shadow costs the live streams: their words' delay with a shadow that hears a share of them, and without one.

    python scripts/shadow_cost.py --streams 3 --rounds 4 --share 0.2

The default model twice, each in a worker of its own. Streams come at the pace of speech, in rounds without and with the
shadow, alternately, so that what else runs on the machine counts for both. A word's delay is the time from its end to
its final. Sockets are left out: streams go to the service directly.
"""

import argparse
import asyncio
import tempfile
import uuid
from pathlib import Path

import numpy as np

from asr.aliases import SHADOW
from asr.audio.files import read_blocks
from asr.config import DEFAULT_MODEL, SAMPLE_RATE_HZ
from asr.events import Final
from asr.ledger import open_ledger
from asr.self_test import SAMPLE
from server.access.context import begin
from server.client.protocol import CHUNK_S, pcm16
from server.config import load_settings
from server.http.service import Service
from server.roster.roster import Plan
from server.wires.base import StreamRequest
from server.workers.remote import RemoteEngine, ServedRelease

REQUEST = StreamRequest("linear16", SAMPLE_RATE_HZ, partials=True)
PAUSE_S = 1.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=3, help="at the same time")
    parser.add_argument("--rounds", type=int, default=4, help="pairs of rounds, one without and one with the shadow")
    parser.add_argument("--share", type=float, default=0.2, help="of the streams that the shadow hears")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each stream")
    asyncio.run(measure(parser.parse_args()))


async def measure(options: argparse.Namespace) -> None:
    engines = [_started(number) for number in (1, 2)]
    for engine in engines:
        engine.await_ready()
    with tempfile.TemporaryDirectory() as folder, open_ledger(Path(folder) / "ledger.db") as ledger:
        service = Service(load_settings(max_load=99.0), engines[:1])
        service.observe(ledger)
        shadow = service.scheduler_of(engines[1:])
        service.roster.add(shadow)
        await service.start()
        service.roster.assign(DEFAULT_MODEL, SHADOW, shadow)
        delays_s: dict[float, list[float]] = {0.0: [], options.share: []}
        for _ in range(options.rounds):
            for share, found in delays_s.items():
                service.roster.plan(DEFAULT_MODEL, {SHADOW: Plan(f"{DEFAULT_MODEL}/2", {"share": share})})
                streams = [_stream(service, options.seconds, i * 0.37) for i in range(options.streams)]
                found += [delay for words in await asyncio.gather(*streams) for delay in words]
                await _heard(service)  # what is left would fall into the round without
        await service.stop()
        heard = len(ledger.pairs(DEFAULT_MODEL, 1, 2))
    for engine in engines:
        engine.close()
    without, beside = (np.quantile(found, (0.5, 0.95)) for found in delays_s.values())
    for name, (median, p95) in (("without", without), ("with", beside)):
        print(f"{name:8} p50 {median:.3f} s   p95 {p95:.3f} s")
    ratios = (f"p50 {beside[0] / without[0]:.3f}", f"p95 {beside[1] / without[1]:.3f}")
    words = f"{len(delays_s[0.0])} and {len(delays_s[options.share])} words, {heard} pairs"
    print(f"ratio    {'   '.join(ratios)}   ({words})")


async def _heard(service: Service) -> None:
    while service.metrics.registry.get_sample_value("asr_shadow_bytes"):
        await asyncio.sleep(0.1)


def _started(number: int) -> RemoteEngine:
    served = ServedRelease(DEFAULT_MODEL, f"{DEFAULT_MODEL}/{number}", lambda: None, Path())
    return RemoteEngine.start(DEFAULT_MODEL, 1, served)


async def _stream(service: Service, seconds: float, after_s: float) -> list[float]:
    """The delay of each word of one live stream, in seconds."""
    await asyncio.sleep(after_s)
    begin(None).request_id = str(uuid.uuid4())
    samples = np.concatenate([*read_blocks(SAMPLE), np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)])
    samples = np.tile(samples, round(seconds * SAMPLE_RATE_HZ / len(samples)) + 1)
    stream = await service.open_stream(REQUEST)
    clock, delays_s = asyncio.get_running_loop().time, []
    began_s, size = clock(), round(CHUNK_S * SAMPLE_RATE_HZ)
    for start in range(0, len(samples), size):
        await asyncio.sleep(began_s + start / SAMPLE_RATE_HZ + CHUNK_S - clock())
        await stream.receive_audio(pcm16(samples[start : start + size]))
        while stream.ready:
            await stream.step()
            for event in stream.take_events():
                if isinstance(event, Final):
                    delays_s += [clock() - began_s - word.end_s for word in event.words]
    stream.receive_end()
    while stream.ready:
        await stream.step()
        stream.take_events()
    stream.close("finished")
    return delays_s


if __name__ == "__main__":
    main()
