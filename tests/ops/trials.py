"""Rows of a trial of two releases: release 1 is live, release 2 is on trial. What is unreal: nobody spoke."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from asr.aliases import CANARY, CHAMPION
from asr.ledger import Label, Ledger, Outcome, Pair, VitalsRow, open_ledger
from asr.vitals import INDEX, NAMES
from tests.asr.ledger.releases import VITALS

NAME = "m"
OLD, NEW = 1, 2
HOUR_S = 3600.0


def ledger_with_two(folder: Path) -> Ledger:
    """A real ledger with two releases; the first is the champion."""
    ledger = open_ledger(folder / "ledger.db")
    for content in ("old", "new"):
        model = folder / content
        model.mkdir()
        (model / "config.json").write_text(f'{{"model_type": "{content}"}}')
        save_file({"weight": np.full(2, len(content))}, model / "model.safetensors")
        ledger.add_release(NAME, model, by="test", why="test")
    ledger.move(NAME, CHAMPION, expected=None, to=OLD, by="test", why="the first")
    return ledger


def pairs(distances: Sequence[int], at_s: float = 0.0, live: int = OLD, words: int = 60) -> list[Pair]:
    """One stream of each client; those that differ are drawn for certain."""
    other = NEW if live == OLD else OLD
    return [
        Pair(at_s, NAME, live, other, f"s{live}-{i}", f"c{i}", "en", 20.0, words, words, distance, 1.0, distance > 0)
        for i, distance in enumerate(distances)
    ]


def labels(of: Sequence[Pair], new_errors: int, old_errors: int = 0) -> list[Label]:
    """Labels of both texts of each pair that was drawn."""
    return list(_labels(of, {NEW: new_errors, OLD: old_errors}))


def _labels(of: Sequence[Pair], errors: dict[int, int]) -> Iterator[Label]:
    for pair in of:
        for release, count in errors.items() if pair.is_drawn else ():
            yield Label(pair.stream_id, pair.at_s, NAME, release, pair.words, count, "test")


def outcomes(count: int, at_s: float, canary_every: int = 2, cause: str = "finished", of: str = "") -> list[Outcome]:
    """Streams of different clients; each n-th is the canary's. ``cause`` is that of the canary's streams."""
    rows = []
    for i in range(count):
        arm = CANARY if i % canary_every == 0 else CHAMPION
        release, why = (NEW, cause) if arm == CANARY else (OLD, "finished")
        rows.append(Outcome(at_s, NAME, release, arm, f"{of}o{i}", f"{of}k{i}", 1.0, 40, 0.4, why))
    return rows


def vitals_rows(count: int, seed: int, move: dict[str, float] | None = None, first: int = 0) -> list[VitalsRow]:
    """Utterances of unknown clients with normal numbers; `move` shifts some, in standard deviations."""
    numbers = np.random.default_rng(seed).standard_normal((count, len(NAMES)))
    for name, by in (move or {}).items():
        numbers[:, INDEX[name]] += by
    numbers[:, INDEX["speech_share"]] = 0.7
    numbers[:, [INDEX["terms_asked"], INDEX["terms_given"]]] = np.nan
    return [
        replace(VITALS, name=NAME, at_s=1000.0 + first + i, client="", stream_id=f"s-{first + i}", numbers=each)
        for i, each in enumerate(numbers)
    ]
