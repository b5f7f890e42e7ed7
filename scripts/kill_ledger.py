"""Kills a process that writes the ledger at seeded moments, and compares the end with an undisturbed run.

    python scripts/kill_ledger.py --kills 100 --seed 1

The writer adds releases, moves their aliases, and adds pairs of streams, without end. After each `kill -9` another one
goes on where the ledger says that the last one got to. Then a last one finishes the release that was begun, and another
ledger gets the same releases undisturbed. Both must hold the same releases, moves and pairs, the folders of all
releases must have their hashes, and nothing else may lie beside them. Exits with 1 if they differ.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from asr.aliases import CANARY, CHAMPION, SHADOW
from asr.ledger import Ledger, Pair, open_ledger

NAME = "m"
PAIRS = 20
"""In one transaction, for each release."""
LONGEST_S = 0.4
"""A writer lives at most so long: some moves, and not more."""


def main() -> None:
    """Runs both ledgers to their end, and prints what was killed and what differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["STEADYWORD_CACHE"] = str(Path(folder) / "cache")
        undisturbed, killed = Path(folder) / "undisturbed" / "l.db", Path(folder) / "killed" / "l.db"
        disturb(killed, folder, options.kills, random.Random(options.seed))
        with open_ledger(killed) as ledger:
            rounds, moves = len(ledger.releases(NAME)) + 1, ledger.version()  # the next one may be copied already
        write(str(killed), folder, rounds)
        write(str(undisturbed), folder, rounds)
        faults = [*differences(state(undisturbed), state(killed)), *left_behind(killed)]
    for fault in faults:
        print(fault)
    found = "different ends" if faults else "the same end"
    print(f"{options.kills} writers killed (seed {options.seed}) after {moves} moves, {rounds} releases: {found}")
    sys.exit(bool(faults))


def disturb(place: Path, folder: str, kills: int, chance: random.Random) -> None:
    """Starts `kills` writers one after another, each of which is killed while it writes."""
    context = multiprocessing.get_context("fork")
    open_ledger(place.with_name("warm.db")).close()  # imports the driver, which would take most of a writer's life
    for _ in range(kills):
        here, there = context.Pipe()
        process = context.Process(target=write, args=(str(place), folder, sys.maxsize, there))
        process.start()
        here.recv()  # it has started
        time.sleep(chance.uniform(0, LONGEST_S))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise SystemExit(f"a writer ended with {process.exitcode} before it was killed")


def write(place: str, folder: str, rounds: int, started: Connection | None = None) -> None:
    """Does what is still to be done of the first `rounds` releases."""
    if started is not None:
        started.send(True)
    with open_ledger(place) as ledger:
        for number in range(1, rounds + 1):
            live(ledger, number, folder)


def live(ledger: Ledger, number: int, folder: str) -> None:
    """The life of one release up to the champion. Each step is left out if the ledger shows that it was done."""
    if number > len(ledger.releases(NAME)):
        ledger.add_release(NAME, model(Path(folder) / f"model-{number}", number), by="writer", why=f"round {number}")
    steps: list[tuple[str, int | None, int | None, dict[str, float]]] = [
        (SHADOW, None, number, {"share": 0.2}),
        (SHADOW, number, None, {}),
        (CANARY, None, number, {"weight": 0.05}),
        (CANARY, number, number, {"weight": 0.5}),
        (CHAMPION, number - 1 or None, number, {}),
        (CANARY, number, None, {}),
    ]
    before = (number - 1) * len(steps)
    for step, (alias, at, to, options) in enumerate(steps, before + 1):
        if ledger.version() < step:
            ledger.move(NAME, alias, expected=at, to=to, by="writer", why=f"step {step}", options=options)
        if to is not None and alias == SHADOW and not ledger.pairs(NAME, 0, number):
            ledger.add_pairs([pair(number, count) for count in range(PAIRS)])


def model(folder: Path, seed: int) -> Path:
    """The files of a model, by `seed`. It is none: nothing could load it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2", "seed": seed}))
    (folder / "model.bin").write_bytes(random.Random(seed).randbytes(100_000))
    return folder


def pair(number: int, count: int) -> Pair:
    """One pair of streams, the same in every run."""
    return Pair(float(count), NAME, 0, number, f"s-{number}-{count}", "c", "en", 5.0, 10, 10, count % 3, 0.5, False)


def state(place: Path) -> dict[str, list[Any]]:
    """All that the ledger holds, without times and without the folder's place."""
    with open_ledger(place) as ledger:
        releases = ledger.releases(NAME)
        for release in releases:
            ledger.verified_folder(release)
        return {
            "releases": [(one.ref, one.sha256, one.by, one.why) for one in releases],
            "moves": [
                (one.id, one.alias, one.from_number, one.to_number, one.why, one.options) for one in ledger.moves()
            ],
            "pairs": [pair for one in releases for pair in ledger.pairs(NAME, 0, one.number)],
        }


def differences(wanted: dict[str, list[Any]], found: dict[str, list[Any]]) -> Iterator[str]:
    """A line for each kind of row that differs."""
    for kind, rows in wanted.items():
        if rows != found[kind]:
            first = next((pair for pair in zip(rows, found[kind], strict=False) if pair[0] != pair[1]), None)
            yield f"{kind}: found {len(found[kind])}, wanted {len(rows)}; the first that differs: {first}"


def left_behind(place: Path) -> Iterator[str]:
    """Folders beside the releases. Half copies of killed writers are hidden, and removed after a day."""
    with open_ledger(place) as ledger:
        known = {release.sha256 for release in ledger.releases(NAME)}
        for path in ledger.releases_folder.iterdir():
            if path.name not in known and not path.name.startswith("."):
                yield f"left behind: {path}"


if __name__ == "__main__":
    main()
