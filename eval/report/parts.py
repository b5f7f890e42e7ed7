"""Paired differences on parts of the data: an average over sets may hide that one model is better here, one there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from eval.metrics.estimates import unit_of, units_of_traces
from eval.metrics.scored_trace import ScoredTrace
from eval.report.slices import Cut, cuts_of
from eval.report.systems import ErrorComparison, System, corrected, pairs_of, part_of, wer_difference
from eval.trace import MODES

MOST_PAIRS = 3
"""Slices are compared for up to three models; for more, there would be too many tests for one to pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartComparison(ErrorComparison):
    """Two systems on one part of their common recordings; corrected for all parts and pairs.

    Attributes:
        by: What the data is cut by: "data set", "length", "accent" ...
        part: The part's name.
    """

    by: str
    part: str


def set_comparisons(systems: Sequence[System]) -> tuple[PartComparison, ...]:
    """Each pair of each mode on each data set; the correction is over the sets and pairs of the mode."""
    cuts: list[Cut] = [("data set", lambda scored: scored.trace.dataset)]
    return tuple(part for mode in MODES for part in _compared(cuts, pairs_of(systems, mode)))


def slice_comparisons(systems: Sequence[System], mode: str) -> tuple[PartComparison, ...]:
    """Each pair of one mode on each slice; the correction is over all of them. Empty for more than `MOST_PAIRS`."""
    pairs = pairs_of(systems, mode)
    return tuple(_compared(cuts_of(systems), pairs)) if len(pairs) <= MOST_PAIRS else ()


def _compared(cuts: Sequence[Cut], pairs: Sequence[Sequence[System]]) -> list[PartComparison]:
    parts = [(by, *part) for by, cut in cuts for part in _parts(cut, pairs)]
    tested = corrected([pair for *_, pair in parts], wer_difference)
    return [
        PartComparison(
            by=by,
            part=name,
            mode=pair[0].mode,
            unit=unit_of(pair[0].scored),
            left=pair[0].name,
            right=pair[1].name,
            utterances=len(pair[0].scored),
            speakers=units_of_traces(pair[0].scored).count,
            wer=wer,
            p_holm=p_holm,
            comparisons=comparisons,
        )
        for (by, name, pair), (wer, p_holm, comparisons) in zip(parts, tested, strict=True)
    ]


def _parts(
    cut: Callable[[ScoredTrace], str], pairs: Sequence[Sequence[System]]
) -> Iterator[tuple[str, tuple[System, ...]]]:
    """Each part of each pair that has at least two parts."""
    for pair in pairs:
        keys: dict[str, set[tuple[str, str]]] = {}
        for scored in pair[0].scored:
            keys.setdefault(cut(scored), set()).add(scored.key)
        if len(keys) > 1:
            yield from ((name, tuple(part_of(system, mine) for system in pair)) for name, mine in keys.items())
