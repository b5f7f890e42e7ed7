"""Runs -> systems on the same recordings, and what differs between each two of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from eval.metrics.bootstrap import Difference, Interval
from eval.metrics.catalogue import CPU, STABLE_P95, WER, compare, ratio
from eval.metrics.edits import Edit
from eval.metrics.scored_trace import Judged
from eval.metrics.significance import Mapsswe, holm, mapsswe, smallest_difference
from eval.normalise import is_by_character
from eval.runs.folder import Run
from eval.trace import MODES, OFFLINE


@dataclass(frozen=True, slots=True)
class System:
    """One model of one run in one mode, and all that it was given. ``name`` tells it from the others."""

    name: str
    model: str
    run: str
    mode: str
    judged: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Left against right on ``utterances`` common recordings; differences are left minus right.

    ``p_holm``: of the bootstrap, adjusted for all pairs of the mode. ``smallest``: the smallest true difference in WER
    that this data could show. ``cost``: left's CPU time over right's. ``delay`` is None in a mode that has none.
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

    @property
    def clear(self) -> bool:
        """Beyond chance, with all pairs that were tried."""
        return self.p_holm is not None and self.p_holm < 0.05


def systems_of(runs: Sequence[Run]) -> tuple[System, ...]:
    """Every model of every run in every mode; a model that several runs have is told apart by its run's name."""
    found: list[System] = []
    seen = [{trace.model for trace in run.traces} for run in runs]
    for run in runs:
        for model in dict.fromkeys(trace.model for trace in run.traces):
            shared = sum(model in others for others in seen) > 1
            name = f"{model} ({run.name})" if shared else model
            for mode in MODES:
                judged = tuple(Judged(t) for t in run.traces if (t.model, t.mode) == (model, mode))
                if judged:
                    found.append(System(name, model, run.name, mode, judged))
    return tuple(found)


def on_common(systems: Sequence[System]) -> tuple[System, ...]:
    """The systems on the recordings that all of them have, in one order."""
    if not systems:
        return ()
    by_key = [{judged.key: judged for judged in system.judged} for system in systems]
    common = [key for key in by_key[0] if all(_same(key, other, by_key[0]) for other in by_key[1:])]
    return tuple(
        replace(system, judged=tuple(mine[key] for key in common)) for system, mine in zip(systems, by_key, strict=True)
    )


def comparisons(systems: Sequence[System]) -> tuple[Comparison, ...]:
    """Each two systems of one mode; Holm's correction is over the pairs of that mode."""
    found: list[Comparison] = []
    for mode in MODES:
        pairs = list(combinations([system for system in systems if system.mode == mode], 2))
        tried = [_comparison(pair, len(pairs)) for pair in pairs]
        adjusted = iter(holm([c.wer.p for c in tried if c.wer.p is not None]))
        found += [c if c.wer.p is None else replace(c, p_holm=next(adjusted)) for c in tried]
    return tuple(found)


def _comparison(pair: tuple[System, System], pairs: int) -> Comparison:
    left, right = on_common(pair)
    wer = compare(WER, left.judged, right.judged)
    return Comparison(
        mode=left.mode,
        left=left.name,
        right=right.name,
        utterances=len(left.judged),
        wer=wer,
        p_holm=None,
        smallest=None if wer.error is None else smallest_difference(wer.error, pairs),
        matched_pairs=mapsswe(list(_paired_edits(left, right))),
        cost=ratio(CPU, left.judged, right.judged),
        delay=None if left.mode == OFFLINE else compare(STABLE_P95, left.judged, right.judged),
    )


def _paired_edits(left: System, right: System) -> Iterator[tuple[Sequence[Edit], Sequence[Edit]]]:
    for a, b in zip(left.judged, right.judged, strict=True):
        yield a.edits, b.edits


def _same(key: tuple[str, str], mine: dict[tuple[str, str], Judged], theirs: dict[tuple[str, str], Judged]) -> bool:
    """In both, with the same reference: a set that was relabelled in between is not the same recording."""
    return key in mine and mine[key].trace.reference == theirs[key].trace.reference


def unit_of(judged: Sequence[Judged]) -> str:
    """Words, characters, or both."""
    kinds = {"characters" if is_by_character(j.trace.language) else "words" for j in judged}
    return " and ".join(sorted(kinds, reverse=True))
