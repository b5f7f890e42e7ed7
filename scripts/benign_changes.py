"""Changes of live audio that do no harm: how often they raise an alarm of harm or start a training.

    python scripts/benign_changes.py wire.npz --trials 500

``wire.npz`` holds real recordings with their errors (`python -m scripts.drift_wire --keep wire.npz`). Each trial has a
ledger of its own: half of the speakers are the reference, the other half speak 200 streams as recorded and then 1,000
with the change. The monitor's watchers of drift and of quality look, labels come for every utterance that was drawn,
and the pipeline's triggers decide. The model of errors is fitted once, without the changes. "as recorded" is no change;
give a change that does harm with ``--change`` to see that the alarms come.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.aliases import CHAMPION
from asr.ledger import Draw, Draws, Label, Ledger, VitalsRow, open_ledger
from asr.ledger.pipelines import HARM
from eval.betting import draw_probability
from eval.estimate import ErrorModel, recognised_words
from eval.measured_vitals import MeasuredSet, load, save
from ops.drift.reference import freeze
from ops.drift.trial import MOST_UNITS, QUIET_UNITS, REFERENCE_UNITS, Trial, calendar
from ops.drift.units import PART_S
from ops.drift.watcher import DriftWatcher
from ops.pipeline.plan import EvalStep, Plan, TrainStep
from ops.quality import model_of
from ops.quality_fit import fit_model
from ops.quality_watch import QualityWatcher
from ops.triggers import decide

NAME, RELEASE = "m", 1
BENIGN = ("gain:-6", "another microphone")
DRAW_SHARE = 0.1
"""Of the utterances, for labels: what `asr quality fit` takes unless asked."""
ACCEPTED, FALSE = "accepted", "false"
"""Trials whose live speech has at most the accepted WER, and those of them with an alarm of harm. The others' speakers
are harder than all own speakers together: an alarm is right there, with the change and without."""
DAY_S = 86_400.0
PLAN = Plan(NAME, TrainStep("train.toml"), EvalStep(("set",)))
"""Its triggers are those of a file without any: harm starts a training."""


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """One trial's streams in order ``(n, ...)``; the first `REFERENCE_UNITS` are the reference."""

    speakers: np.ndarray
    parts: np.ndarray
    numbers: np.ndarray
    errors: np.ndarray
    words: np.ndarray


class Worlds:
    """Trials of changes. ``sets``: measured recordings of which some are own ones as recorded."""

    def __init__(self, sets: Sequence[MeasuredSet]) -> None:
        self.trial = Trial(sets)
        moved = [each for each in sets if each not in self.trial.own]
        self.rows = {"": _joined(self.trial.own)}
        for name in self.trial.others:
            self.rows[name] = _joined([each for each in moved if (each.condition or each.data) == name])

    def streams(self, change: str, seed: int) -> Streams:
        """The reference, `QUIET_UNITS` as recorded, and `MOST_UNITS` with the change ("": none)."""
        rng, pool = np.random.default_rng([seed, 3]), self.trial.pool
        mine, others = pool.halves(rng)
        before = REFERENCE_UNITS + QUIET_UNITS
        parts, weekend = calendar(before + MOST_UNITS, rng)
        spans = (slice(REFERENCE_UNITS), slice(REFERENCE_UNITS, before), slice(before, None))
        rows = [pool.draw(of, parts[at], weekend[at], rng) for of, at in zip((mine, others), spans, strict=False)]
        last = (parts[spans[2]], weekend[spans[2]], rng)
        rows.append(self.trial.moved(change, others, *last) if change else pool.draw(others, *last))
        kinds = [self.rows[""], self.rows[""], self.rows[change]]
        columns = [np.concatenate([kind[i][at] for kind, at in zip(kinds, rows, strict=True)]) for i in range(4)]
        return Streams(columns[0], parts, *columns[1:])


def _joined(sets: Sequence[MeasuredSet]) -> tuple[np.ndarray, ...]:
    """Speakers, numbers, errors and words of all recordings, in the order of `ops.drift.trial.Pool`."""
    return tuple(
        np.concatenate([getattr(each, name) for each in sets]) for name in ("speakers", "numbers", "errors", "words")
    )


def begin(folder: Path, measured: Path, accept: float | None = None) -> None:
    """A ledger with one release, the champion, and the model of its errors. ``accept``: accepted WER in per cent."""
    release = folder / "release"
    release.mkdir(parents=True)
    (release / "config.json").write_text('{"model_type": "wav2vec2"}')
    (release / "model.bin").write_bytes(b"no weights")
    with open_ledger(folder / "ledger.db") as ledger:
        ledger.add_release(NAME, release, by="script", why="a trial")
        ledger.move(NAME, CHAMPION, expected=None, to=RELEASE, by="script", why="the first")
        fit_model(ledger, NAME, [measured], accept, DRAW_SHARE)


def watched(ledger: Ledger, streams: Streams, seed: int) -> Counter[str]:
    """What the monitor's watchers and the pipeline's triggers did: kinds of alarms, and trainings that began."""
    recognised = recognised_words(streams.numbers)
    rows = [
        VitalsRow(
            # One stream a day, in its part of it: so each counts, although few speakers come again and again.
            i * DAY_S + part * PART_S,
            NAME,
            RELEASE,
            f"{seed}-{i}",
            str(streams.speakers[i]),
            0,
            "en",
            "pcm",
            5.0,
            int(recognised[i]),
            streams.numbers[i],
        )
        for i, part in enumerate(streams.parts.tolist())
    ]
    ledger.add_vitals(rows[:REFERENCE_UNITS])
    freeze(ledger, NAME, rows[REFERENCE_UNITS].at_s, REFERENCE_UNITS)
    ledger.add_vitals(rows[REFERENCE_UNITS:])
    model = model_of(ledger, NAME)
    assert model is not None
    label(ledger, model, rows[REFERENCE_UNITS:], streams, np.random.default_rng([seed, 4]))
    now_s = rows[-1].at_s + DAY_S
    for watcher in (DriftWatcher(), QualityWatcher()):
        list(watcher.look(ledger, NAME, now_s))
    found = Counter({alarm.kind: 1 for alarm in ledger.alarms(NAME)})
    found["training"] = sum(each.fires for each in decide(ledger, PLAN, now_s))
    live = slice(REFERENCE_UNITS, None)
    is_accepted = streams.errors[live].sum() <= model.about["accepted_wer"] * streams.words[live].sum()
    found[ACCEPTED], found[FALSE] = int(is_accepted), int(is_accepted and HARM in found)
    return found


def label(
    ledger: Ledger, model: ErrorModel, rows: Sequence[VitalsRow], streams: Streams, rng: np.random.Generator
) -> None:
    """Draws utterances as the monitor does, and labels those that were drawn with the errors that were measured."""
    words = np.array([row.words for row in rows], float)
    estimate = model.estimate(np.array([row.numbers for row in rows]), words)
    scale = float(model.about["draw_scale"])
    probability = draw_probability(estimate.most, scale)
    is_drawn = rng.random(len(rows)) < probability
    draws, labels = [], []
    for i, row in enumerate(rows):
        expected, most = min(float(estimate.errors[i]), float(estimate.most[i])), float(estimate.most[i])
        about = (NAME, RELEASE, row.stream_id, 0, row.client, "en", "", row.words, expected, most)
        draws.append(Draw(row.at_s, *about, float(probability[i]), bool(is_drawn[i]), scale, i + 1))
        if is_drawn[i]:
            errors, count = (int(each[REFERENCE_UNITS + i]) for each in (streams.errors, streams.words))
            labels.append(Label(draws[-1].label_id, row.at_s, NAME, RELEASE, count, errors, "script"))
    Draws(ledger).add(draws)
    ledger.add_labels(labels)


def main() -> None:
    """Runs the trials, and prints a line for each change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--accept", type=float, help="accepted WER in per cent, as `asr quality fit` takes it")
    parser.add_argument("--change", nargs="*", default=["", *BENIGN])
    options = parser.parse_args()
    sets = load(options.measured)
    worlds = Worlds(sets)
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.npz"
        save(known, [each for each in sets if each.condition not in BENIGN])
        begin(Path(folder) / "start", known, options.accept)
        for change in options.change:
            print(line(worlds, change, range(options.seed, options.seed + options.trials), Path(folder)), flush=True)


def line(worlds: Worlds, change: str, seeds: Sequence[int], folder: Path) -> str:
    """All trials of one change, each on a copy of the ledger that `begin` made."""
    found, begin_s = Counter[str](), time.process_time()
    for seed in seeds:
        shutil.copytree(folder / "start", folder / "trial")
        with open_ledger(folder / "trial" / "ledger.db") as ledger:
            found += watched(ledger, worlds.streams(change, seed), seed)
        shutil.rmtree(folder / "trial")
    _, _, errors, words = worlds.rows[change]
    kinds = ", ".join(f"{kind} in {found[kind]}" for kind in ("shift", HARM, "concept confirmed", "training"))
    seconds = (time.process_time() - begin_s) / len(seeds)
    wer = 100 * errors.sum() / words.sum()
    accepted = f"the WER was accepted in {found[ACCEPTED]}, of which {found[FALSE]} had harm"
    return (
        f"{change or 'as recorded'} (WER {wer:.1f} %): of {len(seeds)} trials {kinds}; {accepted}; {seconds:.2f} s each"
    )


if __name__ == "__main__":
    main()
