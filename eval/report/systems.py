"""Runs as systems on the same recordings, and what differs between each two of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from eval.html.formatting import p_value
from eval.metrics.bootstrap import Difference, Interval
from eval.metrics.catalogue import CPU, STABLE_P95, WER
from eval.metrics.estimates import compare, ratio
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.significance import Mapsswe, holm, mapsswe, smallest_difference
from eval.metrics.word_errors import Edit
from eval.runs.folder import Run
from eval.trace import MODES, OFFLINE

SIGNIFICANT_P = 0.05


@dataclass(frozen=True, slots=True)
class System:
    """One model of one run in one mode.

    Attributes:
        name: The model's name, with the run's where several runs have the model.
        model: The model's name.
        run: The run's name.
        mode: One of `eval.trace.MODES`.
        scored: Everything that it recognised.
    """

    name: str
    model: str
    run: str
    mode: str
    scored: tuple[ScoredTrace, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Left against right on their common recordings; differences are left minus right.

    Attributes:
        mode: The mode of both.
        left: Name of the first system.
        right: Name of the second system.
        utterances: Number of common recordings.
        wer: Difference in WER, in points.
        p_holm: The bootstrap's p-value, adjusted for all pairs of the mode; None where there is no p-value.
        smallest: The smallest true difference in WER that this data could show.
        matched_pairs: The second test (MAPSSWE); None where there is nothing to test.
        cost: Left's CPU time over right's.
        delay: Difference of the p95 of the delay, in seconds; None in a mode without delays.
        check: What the second test says of the first, for readers.
    """

    mode: str
    left: str
    right: str
    utterances: int
    wer: Difference
    p_holm: float | None
    smallest: float | None
    matched_pairs: Mapsswe | None
    cost: Interval
    delay: Difference | None
    check: str

    @property
    def is_significant(self) -> bool:
        """True where the difference in WER is beyond chance, given all pairs of the mode."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT_P


def systems_of(runs: Sequence[Run]) -> tuple[System, ...]:
    """Every model of every run in every mode."""
    systems: list[System] = []
    models = [{trace.model for trace in run.traces} for run in runs]
    for run in runs:
        for model in dict.fromkeys(trace.model for trace in run.traces):
            shared = sum(model in others for others in models) > 1
            name = f"{model} ({run.name})" if shared else model
            for mode in MODES:
                scored = tuple(ScoredTrace(t) for t in run.traces if (t.model, t.mode) == (model, mode))
                if scored:
                    systems.append(System(name, model, run.name, mode, scored))
    return tuple(systems)


def on_common(systems: Sequence[System]) -> tuple[System, ...]:
    """The systems on the recordings that all of them have, in one order."""
    if not systems:
        return ()
    by_key = [{scored.key: scored for scored in system.scored} for system in systems]
    common = [key for key in by_key[0] if all(_same(key, other, by_key[0]) for other in by_key[1:])]
    return tuple(
        replace(system, scored=tuple(mine[key] for key in common)) for system, mine in zip(systems, by_key, strict=True)
    )


def comparisons(systems: Sequence[System]) -> tuple[Comparison, ...]:
    """Each two systems of one mode; Holm's correction is over the pairs of that mode."""
    compared: list[Comparison] = []
    for mode in MODES:
        pairs = list(combinations([system for system in systems if system.mode == mode], 2))
        tested = [_comparison(pair, len(pairs)) for pair in pairs]
        adjusted = iter(holm([c.wer.p for c in tested if c.wer.p is not None]))
        compared += [c if c.wer.p is None else replace(c, p_holm=next(adjusted)) for c in tested]
    return tuple(compared)


def _comparison(pair: tuple[System, System], pairs: int) -> Comparison:
    left, right = on_common(pair)
    wer = compare(WER, left.scored, right.scored)
    matched_pairs = mapsswe(list(_paired_edits(left, right)))
    return Comparison(
        mode=left.mode,
        left=left.name,
        right=right.name,
        utterances=len(left.scored),
        wer=wer,
        p_holm=None,
        smallest=None if wer.error is None else smallest_difference(wer.error, pairs),
        matched_pairs=matched_pairs,
        cost=ratio(CPU, left.scored, right.scored),
        delay=None if left.mode == OFFLINE else compare(STABLE_P95, left.scored, right.scored),
        check=_check(wer, matched_pairs),
    )


def _check(wer: Difference, matched_pairs: Mapsswe | None) -> str:
    if matched_pairs is None:
        return "nothing to test"
    agrees = (matched_pairs.p < SIGNIFICANT_P) == (wer.p is not None and wer.p < SIGNIFICANT_P)
    return f"{p_value(matched_pairs.p)} ({'agrees' if agrees else 'disagrees'})"


def _paired_edits(left: System, right: System) -> Iterator[tuple[Sequence[Edit], Sequence[Edit]]]:
    for a, b in zip(left.scored, right.scored, strict=True):
        yield a.edits, b.edits


def _same(
    key: tuple[str, str], mine: dict[tuple[str, str], ScoredTrace], theirs: dict[tuple[str, str], ScoredTrace]
) -> bool:
    """True where both have the recording with the same reference: a relabelled recording is another one."""
    return key in mine and mine[key].trace.reference == theirs[key].trace.reference
