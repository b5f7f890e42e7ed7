"""Few drawn labels beside many uniform ones: how often the truth is inside at every look, and how wide the interval is.

    python scripts/few_labels.py LEDGER_FOLDER/drift/NAME.conditions.npz --worlds 1000

The utterances are real recordings under conditions (`asr drift conditions`), drawn with replacement; their rate of
errors is known, as all of them have a text. The estimate of each comes from a model that saw neither its speaker nor
its condition. Two ways to label: drawn with the probability that `asr monitor` uses, with the estimate as prediction;
and uniformly, without an estimate. One interval is looked at after each utterance. It misses a world where it leaves
the rate out at any look.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.betting import CLIP_WORDS, Audit, audit_scores, draw_probability, log_wealth_of_small_bets, rate_sequence
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

    def rate(self, of: Labelled) -> float:
        """Errors a word of all recordings, counted as the sequence counts them."""
        sure = np.ones(len(of.errors))
        all_drawn = audit(of, np.arange(len(of.errors)), self, sure, sure > 0)
        low, high = 0.0, 1.0
        for _ in range(50):  # the mean score falls as the rate grows
            middle = (low + high) / 2
            is_low = audit_scores(all_drawn, middle, self.scale)[0].mean() > 0
            low, high = (middle, high) if is_low else (low, middle)
        return low


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


def leaves_out(found: Audit, rate: float, scale: float) -> bool:
    """Whether the sequence leaves the rate out at any look."""
    low, high, below, above = audit_scores(found, rate, scale)
    wealths = [log_wealth_of_small_bets(low, below).max(), log_wealth_of_small_bets(-high, above).max()]
    return bool(max(wealths) >= np.log(2 / ALPHA))


def main() -> None:
    """Runs the worlds, and prints a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--widths", type=int, default=30, help="worlds whose interval is measured")
    parser.add_argument("--utterances", type=int, default=600)
    parser.add_argument("--labels", type=int, nargs=2, default=(60, 150), help="drawn, uniform")
    options = parser.parse_args()
    of, conditions = labelled_of([each for each in load(options.measured) if each.is_own])
    print(f"{len(of.errors)} recordings, WER {100 * of.wer:.1f} %, {options.utterances} utterances a world")
    for way in ways(of, conditions, options.utterances, tuple(options.labels)):
        rate = way.rate(of)
        missed, labels, widths = 0, [], []
        for world in range(options.worlds):
            rng = np.random.default_rng(world)
            rows = rng.integers(len(of.errors), size=options.utterances)
            probability = draw_probability(way.most[rows], way.scale)
            found = audit(of, rows, way, probability, rng.random(len(rows)) < probability)
            missed += leaves_out(found, rate, way.scale)
            labels.append(int(found.is_drawn.sum()))
            if world < options.widths:
                low, high = rate_sequence(found, way.scale, ALPHA, RATES)
                widths.append(min(1.0, high[-1]) - low[-1])
        print(
            f"{way.name}: {np.mean(labels):.0f} labels, {100 * np.mean(widths):.1f} points wide at the end; "
            f"{missed} of {options.worlds} worlds leave {100 * rate:.1f} % out at some look"
        )


if __name__ == "__main__":
    main()
