"""Paired differences on parts of the data: an average over sets may hide that one model is better here, one there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from eval.metrics.estimates import units_of_traces
from eval.metrics.resampling import ALPHA, Difference
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.significance import too_few_units
from eval.metrics.summary import unit_of
from eval.report.slices import Cut, cuts_of
from eval.report.systems import System, corrected, pairs_of, part_of, wer_difference
from eval.trace import MODES

MOST_PAIRS = 3
"""Slices are compared for up to three models; for more, there would be too many tests for one to pass."""


@dataclass(frozen=True, slots=True)
class PartComparison:
    """Left against right on one part of their common recordings.

    Attributes:
        by: What the data is cut by: "data set", "length", "accent" ...
        part: The part's name.
        mode: The mode of both.
        unit: "words" or "characters".
        left: Name of the first system.
        right: Name of the second system.
        utterances: Common recordings of the part.
        speakers: Number of units that were resampled.
        wer: Left minus right, in points; its interval is corrected for ``comparisons``.
        p_holm: Its p-value, adjusted for all parts and pairs; None where there is none.
        comparisons: The number of comparisons for which the interval is corrected.
    """

    by: str
    part: str
    mode: str
    unit: str
    left: str
    right: str
    utterances: int
    speakers: int
    wer: Difference
    p_holm: float | None
    comparisons: int

    @property
    def is_significant(self) -> bool:
        """True where the difference is beyond chance, given all parts and pairs."""
        return self.p_holm is not None and self.p_holm <= ALPHA

    @property
    def has_too_few_speakers(self) -> bool:
        """True where no result of these speakers could have been beyond chance."""
        return too_few_units(self.speakers, self.comparisons)


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
