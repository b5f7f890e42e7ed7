"""Labels that models dispute: what several of them hear otherwise than the label has it, and alike.

A model that is wrong is wrong in its own way. Where models agree with each other and not with the label, the label is
likelier to be wrong than all of them (cf. Northcutt et al. 2021, "Confident learning", where a model's own
cross-validated doubt ranks labels).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from eval.metrics.word_errors import Counts, count, total
from eval.normalise import normalise
from eval.trace import Trace


@dataclass(frozen=True, slots=True)
class ModelTranscript:
    """What one model wrote down in one mode, and its error rate against the label; None for an empty label."""

    model: str
    mode: str
    text: str
    error_rate: float | None


@dataclass(frozen=True, slots=True)
class Dispute:
    """One label and what was heard. Rates are of normalised texts; ``between`` is None where there is one hearing.

    ``against``: errors of all hearings per unit of the label; ``between``: errors of the hearings against each other.
    """

    dataset: str
    utterance: str
    label: str
    hearings: tuple[ModelTranscript, ...]
    against: float
    between: float | None

    @property
    def score(self) -> float:
        """Errors of the model nearest to the label, less the models' errors against each other; ranks disputes.

        The nearest, because one model that loops says nothing about a label that another one hears.
        """
        nearest = min(hearing.error_rate or 0.0 for hearing in self.hearings)
        return nearest - (self.between or 0.0)


def disputes(traces: Iterable[Trace], least: float = 0.2) -> tuple[Dispute, ...]:
    """The labels with a score of `least` or more, the most disputed first. Broken streams do not count.

    A model counts once, in the mode that hears best: offline where there is one, whatever else was run.
    """
    heard: dict[tuple[str, str], dict[str, Trace]] = defaultdict(dict)
    for trace in sorted(traces, key=lambda trace: trace.mode != "offline"):
        if not trace.error:
            heard[trace.dataset, trace.utterance].setdefault(trace.model, trace)
    told = (_dispute(list(models.values())) for models in heard.values())
    return tuple(sorted((d for d in told if d and d.score >= least), key=lambda d: -d.score))


def _dispute(traces: Sequence[Trace]) -> Dispute | None:
    """None for an empty label: whatever is heard there, a model may have invented."""
    first = traces[0]
    label = normalise(first.reference, first.language)
    texts = [normalise(trace.text, first.language) for trace in traces]
    against = total(count(label, text, first.language) for text in texts)
    if against.rate is None:
        return None
    between = total(_both_ways(a, b, first.language) for a, b in combinations(texts, 2)) if len(texts) > 1 else None
    hearings = tuple(
        ModelTranscript(trace.model, trace.mode, trace.text, count(label, text, first.language).rate)
        for trace, text in zip(traces, texts, strict=True)
    )
    apart = None if between is None else between.rate if between.rate is not None else 0.0
    return Dispute(first.dataset, first.utterance, first.reference, hearings, against.rate, apart)


def _both_ways(a: str, b: str, language: str) -> Counts:
    """Counts of each against the other: neither is the reference."""
    return count(a, b, language) + count(b, a, language)
