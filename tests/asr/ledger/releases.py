"""Small folders that pass for a model, and a ledger with some of them."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from asr.aliases import CHAMPION
from asr.ledger import Alarm, Label, Ledger, MoveConflict, Outcome, Pair, VitalsRow, open_ledger
from asr.vitals import NAMES

PAIR = Pair(1.5, "m", 1, 2, "s-1", "c0ffee", "en", 12.5, 30, 31, 2, 0.25, True)
OUTCOME = Outcome(2.5, "m", 1, "champion", "s-1", "c0ffee", 12.5, 30, 0.8, "ended")
LABEL = Label("s-1", 3.5, "m", 1, 30, 2, "bob")
ALARM = Alarm(4.5, "m", "shift", "snr_db", "snr_db: more streams are low", {"evidence": 12.5})
VITALS = VitalsRow(
    1.5, "m", 1, "s" * 32, "c" * 32, 3, "en", "linear16", 12.5, 30, np.linspace(-60, 60, len(NAMES), dtype=np.float32)
)


def model_folder(folder: Path, seed: int = 0) -> Path:
    """A folder with the files of a model: settings, a vocabulary and weights that differ by `seed`. It is none: nothing
    could load it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "|": 1}))
    weights = np.random.default_rng(seed).standard_normal(256).astype(np.float32)
    save_file({"weights": weights}, folder / "model.safetensors")
    return folder


def add_releases(ledger: Ledger, folder: Path, count: int, name: str = "m") -> None:
    """Adds `count` different releases of the model `name`."""
    for seed in range(count):
        ledger.add_release(name, model_folder(folder / f"{name}-{seed}", seed), by="ann", why="a test")


def move_up(where: str, goal: int) -> list[tuple[int, int]]:
    """Moves the champion one up until it is on `goal`; returns the moves that succeeded."""
    done = []
    with open_ledger(where) as ledger:
        while (at := ledger.aliases("m")[CHAMPION].number) < goal:
            try:
                ledger.move("m", CHAMPION, expected=at, to=at + 1, by="a process", why="up")
                done.append((at, at + 1))
            except MoveConflict:
                continue
    return done
