"""Measures the memory of `asr transcribe FOLDER` on a folder with ten thousand recordings.

.venv/bin/python scripts/many_files.py --data ../shared/speech/en-read --count 10000 --seconds 1

Cuts a data set into short recordings, adds links to them until there are `--count`, transcribes the folder with the
real command, and prints the resident memory of all its processes at each tenth (shared libraries count once per
process). After an interruption the same command continues. `--for` stops it after that many seconds.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import soundfile

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from eval.runs.process_usage import memory_bytes

POLL_S = 0.5
FILES_PER_FOLDER = 500


def main() -> None:
    """Makes the folder if needed, transcribes it, and prints a line per tenth and a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/speech/en-read"))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--work", type=Path, default=Path("runs/many"))
    parser.add_argument("--for", dest="limit_s", type=float, default=float("inf"))
    options = parser.parse_args()
    folder, out = options.work / "in", options.work / "out"
    make(folder, options.data, options.count, options.seconds)
    command = [sys.executable, "-c", "from asr.cli import main; main()", "transcribe", str(folder), "--recursive"]
    run = subprocess.Popen([*command, "--output-dir", str(out), "--format", "txt,json"])
    resident_bytes = {}
    for done, size in watched(run, out / ".steadyword/journal.jsonl", options.count, options.limit_s):
        resident_bytes[done] = size
        print(f"{done} of {options.count} done: {size / 2**20:.0f} MiB", flush=True)
    print(json.dumps({"count": options.count, "resident_bytes": resident_bytes, "exit": run.wait()}))


def make(folder: Path, data: Path, count: int, seconds: float) -> None:
    """Makes `count` recordings in `folder`: as many different ones as the data has, then links to them."""
    cuts: list[Path] = []
    pieces = _pieces(data, round(seconds * SAMPLE_RATE_HZ))
    for i in range(count):
        path = folder / f"{i // FILES_PER_FOLDER:03}" / f"{i:05}.flac"
        piece = next(pieces, None)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and piece is not None:
            soundfile.write(path, piece, SAMPLE_RATE_HZ)
        elif not path.exists():
            path.hardlink_to(cuts[i % len(cuts)])
        if piece is not None:
            cuts.append(path)


def _pieces(data: Path, length: int) -> Iterator[object]:
    """The data's samples in pieces ``(length,)``."""
    for line in (data / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        for block in read_blocks(data / json.loads(line)["audio_filepath"]):
            yield from (block[start : start + length] for start in range(0, len(block) - length + 1, length))


def watched(run: "subprocess.Popen[bytes]", journal: Path, count: int, limit_s: float) -> Iterator[tuple[int, int]]:
    """(Recordings done, resident bytes) at each tenth; interrupts the run after `limit_s`."""
    began, tenth = time.monotonic(), _lines(journal) * 10 // count
    while run.poll() is None:
        done = _lines(journal)
        if done * 10 // count > tenth and (size := memory_bytes(run.pid)):
            tenth = done * 10 // count
            yield done, size
        if time.monotonic() - began > limit_s:
            run.send_signal(signal.SIGINT)
            run.wait()
        time.sleep(POLL_S)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


if __name__ == "__main__":
    main()
