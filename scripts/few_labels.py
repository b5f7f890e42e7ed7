"""Few drawn labels beside many uniform ones: how often the truth is inside at every look, and how wide the interval is.

    python -m scripts.few_labels LEDGER_FOLDER/drift/NAME.conditions.npz --worlds 1000

The utterances are real recordings under conditions (`asr drift conditions`). Their speakers come again: a session is a
speaker under one condition who says several recordings in a row, and a world has but a few speakers. The estimate of
each comes from a model that saw neither its speaker nor its condition. Two ways to label: drawn with the probability
that `asr monitor` uses, with the estimate as prediction; and uniformly, without an estimate.

The interval is looked at after each utterance, and misses a world where it leaves the truth out at any look. There are
two truths: the WER of all that was said so far, which the interval is about, and that of all recordings of all
speakers, which the luck of who speaks hides from every interval that does not know the speakers.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.betting import CLIP_WORDS, Audit, audit_scores, draw_probability, rate_sequence
from eval.estimate import MOST_ERRORS, Labelled, fit, folds, labelled_of, most_errors, unseen_conditions
from eval.measured_vitals import load
from ops.quality import ALPHA, RATES


@dataclass(frozen=True, slots=True)
class Way:
    """How utterances are labelled: ``expected`` and ``most`` errors of each recording ``(n,)``, and the scale."""

    name: str
    expected: np.ndarray
    most: np.ndarray
    scale: float

    def rates(self, of: Labelled, rows: np.ndarray) -> np.ndarray:
        """Errors a word up to each of these recordings ``(n,)``, counted as the sequence counts them."""
        sure = np.ones(len(rows))
        known = audit(of, rows, self, sure, sure > 0)
        errors, at_one = (audit_scores(known, rate, self.scale)[0] for rate in (0.0, 1.0))
        return np.asarray(np.cumsum(errors) / np.cumsum(errors - at_one))


def ways(of: Labelled, conditions: tuple[str, ...], utterances: int, labels: tuple[int, int]) -> list[Way]:
    """Drawn and uniform labels, each with the scale that gives this number of labels."""
    model = fit(of, conditions, {})
    expected = unseen_conditions(of, folds(of.speaker, 0))
    most = most_errors(expected, np.sqrt(model.dispersion * expected))
    nothing, full = np.zeros(len(of.errors)), np.full(len(of.errors), CLIP_WORDS)
    return [
        Way("drawn", np.minimum(expected, most), most, scale_for(most, labels[0] / utterances)),
        Way("uniform", nothing, full, scale_for(full, labels[1] / utterances)),
    ]


def scale_for(most: np.ndarray, share: float) -> float:
    """At which so large a share is drawn."""
    low, high = 1.0, MOST_ERRORS / share
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if draw_probability(most, middle).mean() > share else (low, middle)
    return high


def audit(of: Labelled, rows: np.ndarray, way: Way, probability: np.ndarray, is_drawn: np.ndarray) -> Audit:
    """These recordings as utterances ``(n,)``, one after the other. What was drawn has its label."""
    labels = (np.where(is_drawn, each[rows], np.nan) for each in (of.errors, of.words))
    return Audit(of.recognised[rows], way.expected[rows], way.most[rows], probability, is_drawn, *labels)


def sessions(of: Labelled, utterances: int, speakers: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """Recordings in order ``(utterances,)``: sessions of about ``length`` by speakers who come again.

    A session keeps to one condition. A recording may be said again, as each speaker has but a few.
    """
    mine = rng.choice(np.unique(of.speaker), speakers, replace=False)
    weight = rng.dirichlet(np.ones(speakers))
    rows = list[int]()
    while len(rows) < utterances:
        own = np.flatnonzero(of.speaker == rng.choice(mine, p=weight))
        own = own[of.condition[own] == of.condition[rng.choice(own)]]
        rows += rng.choice(own, rng.geometric(1 / length)).tolist()
    return np.array(rows[:utterances])


def main() -> None:
    """Runs the worlds, and prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--utterances", type=int, default=600)
    parser.add_argument("--speakers", type=int, default=20, help="of a world")
    parser.add_argument("--session", type=int, default=10, help="utterances of a session on average")
    parser.add_argument("--labels", type=int, nargs=2, default=(60, 150), help="drawn, uniform")
    options = parser.parse_args()
    of, conditions = labelled_of([each for each in load(options.measured) if each.is_own])
    print(f"{len(of.errors)} recordings, WER {100 * of.wer:.1f} %, {options.utterances} utterances a world")
    for way in ways(of, conditions, options.utterances, tuple(options.labels)):
        population = float(way.rates(of, np.arange(len(of.errors)))[-1])
        missed, hidden, labels, widths = 0, 0, list[int](), list[float]()
        for world in range(options.worlds):
            rng = np.random.default_rng(world)
            rows = sessions(of, options.utterances, options.speakers, options.session, rng)
            probability = draw_probability(way.most[rows], way.scale)
            found = audit(of, rows, way, probability, rng.random(len(rows)) < probability)
            low, high = rate_sequence(found, way.scale, ALPHA, RATES)
            so_far = way.rates(of, rows)
            missed += bool(((low > 0) & (so_far <= low) | (so_far >= high)).any())
            hidden += bool(((population <= low) | (population >= high)).any())
            labels.append(int(found.is_drawn.sum()))
            widths.append(min(1.0, high[-1]) - low[-1])
        print(
            f"{way.name}: {np.mean(labels):.0f} labels, {100 * np.mean(widths):.1f} points wide at the end; "
            f"of {options.worlds} worlds {missed} leave the WER so far out at some look, "
            f"{hidden} the {100 * population:.1f} % of all speakers"
        )


if __name__ == "__main__":
    main()
