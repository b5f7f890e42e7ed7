"""An accent in one data set: how many streams until it is found, where nothing but the speakers differs.

    python -m scripts.drift_accent ../shared/speech/en-crowd ../shared/speech-train/en-crowd --keep accent.npz

Both folders are of one source: all speakers went through the same site, codec and choice of sentences, each with a
microphone of their own. The speech as it should be is that of speakers who name the English of the United States
or of Canada; the shift is that of speakers who name a foreign accent or another first language (`FOREIGN`). Speakers
who name none, or an English of another country, are left out. The trials are those of `asr drift trial`. As a control
the same number of speakers as have an accent is split off the others, again and again, and plays the shift. Then each
recording counts as a caller of its own: what a reference of hundreds of callers would give, if they were like these.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.engine import Engine
from eval.data.dataset import load_dataset
from eval.data.types import Dataset, Utterance
from eval.measured_vitals import MeasuredSet, load, measure, save
from ops.drift.trial import Trial, summary

PLAIN = ("United States English", "Canadian English")
FOREIGN = (
    "Chinese",
    "Czech",
    "Dutch",
    "Filipino",
    "french",
    "German",
    "India",
    "Israeli",
    "Russian",
    "Ukrainian",
    "Xhosa",
)
ACCENT, CONTROL = "accent", "others without one"


def main() -> None:
    """Measures, and prints a line for the accent and one for the control."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--controls", type=int, default=60)
    parser.add_argument("--keep", type=Path, required=True, help="keep what was measured here, or read it from there")
    options = parser.parse_args()
    if not options.keep.is_file():
        utterances = [one for path in options.data for one in load_dataset(path).utterances]
        engine = Engine.load("whisper-tiny.en", threads=1)
        names = ("plain", ACCENT)
        save(
            options.keep,
            [measure(engine, of_kind(utterances, name), name, "", is_own=name == "plain") for name in names],
        )
    plain, accent = load(options.keep)
    for each in (plain, accent):
        print(f"{each.data}: {len(each.words)} recordings, {len(set(each.speakers))} speakers, WER {each.wer:.1f} %")
    print(found_of([plain, accent], options.trials))
    controls = [
        Trial(divided(plain, len(set(accent.speakers)), seed)).onset(CONTROL, seed) for seed in range(options.controls)
    ]
    print(summary(CONTROL, controls))
    print(f"as callers: {found_of([callers(plain), callers(accent)], options.trials)}")


def found_of(sets: Sequence[MeasuredSet], trials: int) -> str:
    """How soon the accent is found, and what named it."""
    trial = Trial(sets)
    found = summary(ACCENT, [trial.onset(ACCENT, seed) for seed in range(trials)])
    return f"{found} {dict(found.signals)}"


def callers(of: MeasuredSet) -> MeasuredSet:
    """Each recording by a speaker of its own."""
    return replace(of, speakers=np.arange(len(of.words)).astype(str))


def of_kind(utterances: Sequence[Utterance], name: str) -> Dataset:
    """The recordings of speakers with or without an accent."""
    mine = [one for one in utterances if kind_of(dict(one.attributes).get("accent", "")) == name]
    return Dataset(name, tuple(mine), ())


def kind_of(accent: str) -> str:
    """What a speaker says of the own accent -> "plain", `ACCENT`, or "" for neither."""
    if any(name in accent for name in FOREIGN):
        return ACCENT
    return "plain" if any(name in accent for name in PLAIN) else ""


def divided(plain: MeasuredSet, count: int, seed: int) -> list[MeasuredSet]:
    """The set without ``count`` of its speakers, and theirs as another set."""
    names = np.random.default_rng([seed, 7]).permutation(np.unique(plain.speakers))
    mine = np.isin(plain.speakers, names[:count])
    return [part(plain, ~mine, "plain", True), part(plain, mine, CONTROL, False)]


def part(of: MeasuredSet, rows: np.ndarray, data: str, is_own: bool) -> MeasuredSet:
    """Some of the recordings."""
    arrays = {name: getattr(of, name)[rows] for name in ("speakers", "numbers", "errors", "words")}
    return replace(of, data=data, is_own=is_own, **arrays)


if __name__ == "__main__":
    main()
