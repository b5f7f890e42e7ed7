"""The command; see the package."""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from scripts.hostile.measured import OwnServer, failures_of, one_round


def main() -> None:
    """Prints a line of JSON for each round; exits with 1 if something happened that must not."""
    parser = argparse.ArgumentParser(description="Attacks a server of its own with hostile messages over all wires.")
    parser.add_argument("--messages", type=int, default=3_000, help="in all rounds together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="whisper-tiny.en")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--audio", type=Path, default=Path("asr/ready.flac"), help="what the healthy streams say")
    parser.add_argument("--quiet-streams", type=int, default=2, help="healthy streams alone, in each round")
    parser.add_argument("--tls", type=Path, nargs=2, metavar=("CERT", "KEY"), help="https and wss; made for 127.0.0.1")
    options = parser.parse_args()
    samples = np.concatenate(list(read_blocks(options.audio)))
    samples = np.tile(samples, max(1, round(20 * SAMPLE_RATE_HZ / len(samples))))
    with tempfile.TemporaryDirectory() as folder:
        server = OwnServer(options.model, options.workers, Path(folder), options.tls)
        try:
            server.wait_until_ready()
            rounds = []
            for number in range(options.rounds):
                share = options.messages // options.rounds
                rounds.append(
                    asyncio.run(one_round(server, samples, options.seed + number, share, options.quiet_streams))
                )
                print(json.dumps(rounds[-1]), flush=True)
            failures = failures_of(rounds, server.log.read_text(errors="replace"), server.process.poll() is None)
        finally:
            server.process.terminate()
            server.process.wait(60)
        log = server.log.read_text(errors="replace")
        Path("hostile.log").write_text(log, encoding="utf-8") if failures else None
    print("\n".join(failures) or "nothing was lost")
    raise SystemExit(bool(failures))


if __name__ == "__main__":
    main()
