"""Alarms of harm: how often changes of live audio that do no harm raise one, and how soon those that do harm.

    python scripts/benign_changes.py wire.npz --trials 500
    python scripts/benign_changes.py wire.npz --trials 60 --change telephone+mulaw noise:10 opus:8 reverb

``wire.npz`` holds real recordings with their errors (`python -m scripts.drift_wire --keep wire.npz`). Each trial has a
ledger of its own: half of the speakers are the reference, the other half speak 200 streams as recorded and then 1,000
with the change. The monitor's watchers of drift and of quality look, labels come for every utterance that was drawn,
and the pipeline's triggers decide. The model of errors is fitted on the reference's speakers without the benign
changes, so it never saw those who speak live (eight divisions of the speakers, in turns). "as recorded" is no change.
Each line ends with the streams from the change to the alarm of harm; a trial without one counts as more than all of
its streams.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from asr.aliases import CHAMPION
from asr.ledger import Draw, Draws, Label, Ledger, VitalsRow, open_ledger
from asr.ledger.pipelines import HARM
from eval.betting import draw_probability
from eval.estimate import ErrorModel, recognised_words
from eval.measured_vitals import COLUMNS, MeasuredSet, load, save
from ops.drift.reference import freeze
from ops.drift.trial import MOST_UNITS, QUIET_UNITS, REFERENCE_UNITS, Trial, calendar
from ops.drift.units import PART_S
from ops.drift.watcher import DriftWatcher
from ops.pipeline.plan import EvalStep, Plan, TrainStep
from ops.quality import ACCEPTED_RISE, LOG_LIMIT, accepted_rates, calm_until, labels_of, log_harm, model_of
from ops.quality_fit import fit_model
from ops.quality_watch import QualityWatcher
from ops.triggers import decide

NAME, RELEASE = "m", 1
BENIGN = ("gain:-6", "another microphone")
DRAW_SHARE = 0.1
"""Of the utterances, for labels: what `asr quality fit` takes unless asked."""
STEADY, FALSE = "steady", "false"
"""Trials whose WER after the change is at most `ACCEPTED_RISE` above that before, and those of them with an alarm of
harm."""
DIVISIONS = 8
"""Of the speakers: into those of the labelled sets and the reference, and those who speak live. Trials take turns."""
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
        self.trial, self.sets = Trial(sets), sets
        moved = [each for each in sets if each not in self.trial.own]
        self.rows = {"": _joined(self.trial.own)}
        for name in self.trial.others:
            self.rows[name] = _joined([each for each in moved if (each.condition or each.data) == name])

    def halves(self, division: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the speakers of the labelled sets and the reference, and of those who speak live."""
        return self.trial.pool.halves(np.random.default_rng([division, 6]))

    def known(self, division: int) -> list[MeasuredSet]:
        """The labelled sets: without those who speak live, without the benign changes."""
        names = self.trial.pool.speakers[self.halves(division)[0]]
        mine = [each for each in self.sets if each.is_own and each.condition not in BENIGN]
        return [_of(each, np.isin(np.char.add(f"{each.data} ", each.speakers), names)) for each in mine]

    def streams(self, change: str, seed: int) -> Streams:
        """The reference, `QUIET_UNITS` as recorded, and `MOST_UNITS` with the change ("": none)."""
        rng, pool = np.random.default_rng([seed, 3]), self.trial.pool
        mine, others = self.halves(seed % DIVISIONS)
        before = REFERENCE_UNITS + QUIET_UNITS
        parts, weekend = calendar(before + MOST_UNITS, rng)
        spans = (slice(REFERENCE_UNITS), slice(REFERENCE_UNITS, before), slice(before, None))
        rows = [pool.draw(of, parts[at], weekend[at], rng) for of, at in zip((mine, others), spans, strict=False)]
        last = (parts[spans[2]], weekend[spans[2]], rng)
        rows.append(self.trial.moved(change, others, *last) if change else pool.draw(others, *last))
        kinds = [self.rows[""], self.rows[""], self.rows[change]]
        columns = [np.concatenate([kind[i][at] for kind, at in zip(kinds, rows, strict=True)]) for i in range(4)]
        return Streams(columns[0], parts, *columns[1:])


def _of(each: MeasuredSet, rows: np.ndarray) -> MeasuredSet:
    return replace(each, **{name: getattr(each, name)[rows] for name in COLUMNS})


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


def watched(ledger: Ledger, streams: Streams, seed: int) -> tuple[Counter[str], float]:
    """What the monitor's watchers and the pipeline's triggers did: kinds of alarms, and trainings that began. And the
    streams from the change to the alarm of harm: infinite without one."""
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
    before, after = slice(REFERENCE_UNITS, REFERENCE_UNITS + QUIET_UNITS), slice(REFERENCE_UNITS + QUIET_UNITS, None)
    wers = [streams.errors[span].sum() / streams.words[span].sum() for span in (before, after)]
    is_steady = wers[1] <= wers[0] + ACCEPTED_RISE
    found[STEADY], found[FALSE] = int(is_steady), int(is_steady and HARM in found)
    delay = first_harm(ledger, model, now_s) - QUIET_UNITS
    assert (delay < np.inf) == (HARM in found)
    return found, delay


def first_harm(ledger: Ledger, model: ErrorModel, now_s: float) -> float:
    """After how many live streams the evidence was an alarm, had the watcher looked after each; infinite if never."""
    draws = Draws(ledger).of_model(NAME)
    calm = calm_until(ledger, NAME, draws)
    evidence = log_harm(draws, labels_of(ledger, NAME), now_s, accepted_rates(model, draws, calm), calm)
    return float(np.argmax(evidence >= LOG_LIMIT) + 1) if (evidence >= LOG_LIMIT).any() else np.inf


def label(
    ledger: Ledger, model: ErrorModel, rows: Sequence[VitalsRow], streams: Streams, rng: np.random.Generator
) -> None:
    """Draws utterances as the monitor does, and labels those that were drawn with the errors that were measured."""
    words = np.array([row.words for row in rows], float)
    estimate = model.estimate(np.array([row.numbers for row in rows]), words)
    scale = float(model.about["draw_scale"])
    probability = draw_probability(estimate.most, scale)
    is_drawn = rng.random(len(rows)) < probability
    draws, labels, first = [], [], REFERENCE_UNITS + 1
    for i, row in enumerate(rows):
        expected, most = min(float(estimate.errors[i]), float(estimate.most[i])), float(estimate.most[i])
        about = (NAME, RELEASE, row.stream_id, 0, row.client, "en", "", row.words, expected, most)
        draws.append(Draw(row.at_s, *about, float(probability[i]), bool(is_drawn[i]), scale, first + i))
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
        for division in range(DIVISIONS):
            known = Path(folder) / "known.npz"
            save(known, worlds.known(division))
            begin(Path(folder) / f"start{division}", known, options.accept)
        for change in options.change:
            print(line(worlds, change, range(options.seed, options.seed + options.trials), Path(folder)), flush=True)


def line(worlds: Worlds, change: str, seeds: Sequence[int], folder: Path) -> str:
    """All trials of one change, each on a copy of a ledger that `begin` made."""
    found, delays, begin_s = Counter[str](), list[float](), time.process_time()
    for seed in seeds:
        shutil.copytree(folder / f"start{seed % DIVISIONS}", folder / "trial")
        with open_ledger(folder / "trial" / "ledger.db") as ledger:
            mine, delay = watched(ledger, worlds.streams(change, seed), seed)
        found += mine
        delays.append(delay)
        shutil.rmtree(folder / "trial")
    _, _, errors, words = worlds.rows[change]
    kinds = ", ".join(f"{kind} in {found[kind]}" for kind in ("shift", HARM, "concept confirmed", "training"))
    seconds = (time.process_time() - begin_s) / len(seeds)
    wer = 100 * errors.sum() / words.sum()
    steady = f"the WER rose by {100 * ACCEPTED_RISE:g} points at most in {found[STEADY]}"
    return (
        f"{change or 'as recorded'} (WER {wer:.1f} %): of {len(seeds)} trials {kinds}; "
        f"{steady}, harm in {found[FALSE]} of these; {seconds:.2f} s each; {in_words(delays)}"
    )


def in_words(delays: Sequence[float]) -> str:
    """How soon the alarms of harm came, of all trials."""
    after = [delay for delay in delays if delay > 0]
    quantiles = np.quantile(after, [0.5, 0.9], method="higher")
    p50, p90 = (f"{at:.0f}" if at < np.inf else f"over {MOST_UNITS}" for at in quantiles)
    return f"harm after {p50} streams, 90 % within {p90}; before the change in {len(delays) - len(after)}"


if __name__ == "__main__":
    main()
