"""Ranks labels that the models of a run contradict.

Models make different mistakes. If several agree with each other but not with the label, the label is probably wrong
(cf. Northcutt et al. 2021, "Confident learning", which ranks labels by one model's cross-validated confidence).
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from asr.normalisation.normalise import normalise
from eval.metrics.word_errors import Counts, count, total
from eval.trace import Trace

MIN_MODELS = 2


@dataclass(frozen=True, slots=True)
class ModelTranscript:
    """What one model recognised in one mode, and its error rate against the label; None for an empty label."""

    model: str
    mode: str
    text: str
    error_rate: float | None


@dataclass(frozen=True, slots=True)
class Dispute:
    """A label and the models' transcripts of its recording. Rates are of normalised texts.

    ``against``: errors of all transcripts per unit of the label. ``between``: errors of the transcripts against each
    other.
    """

    dataset: str
    utterance: str
    label: str
    hearings: tuple[ModelTranscript, ...]
    against: float
    between: float
    language: str

    @property
    def score(self) -> float:
        """Error rate of the model nearest to the label, minus the models' error rate against each other.

        The nearest model, because one model that loops says nothing about a label that another model confirms.
        """
        nearest = min(transcript.error_rate or 0.0 for transcript in self.hearings)
        return nearest - self.between


def disputes(traces: Iterable[Trace], min_score: float = 0.2) -> tuple[Dispute, ...]:
    """The labels with a score of at least `min_score`, the highest first. Failed streams are ignored.

    One model makes no dispute: where it is weak, it contradicts every label (a model of 50 % WER disputed 26 of 28 good
    ones). Each model counts once, in its most accurate mode: offline if there is such a trace, otherwise any other.
    """
    by_label: dict[tuple[str, str], dict[str, Trace]] = defaultdict(dict)
    for trace in sorted(traces, key=lambda trace: trace.mode != "offline"):
        if not trace.error:
            by_label[trace.dataset, trace.utterance].setdefault(trace.model, trace)
    candidates = (_dispute(list(models.values())) for models in by_label.values())
    return tuple(sorted((d for d in candidates if d and d.score >= min_score), key=lambda d: -d.score))


def _dispute(traces: Sequence[Trace]) -> Dispute | None:
    """None for an empty label: a model may invent text where nothing is said. None for one model alone."""
    if len(traces) < MIN_MODELS:
        return None
    first = traces[0]
    label = normalise(first.reference, first.language)
    texts = [normalise(trace.text, first.language) for trace in traces]
    against = total(count(label, text, first.language) for text in texts)
    if against.rate is None:
        return None
    between = total(_both_ways(a, b, first.language) for a, b in combinations(texts, 2))
    transcripts = tuple(
        ModelTranscript(trace.model, trace.mode, trace.text, count(label, text, first.language).rate)
        for trace, text in zip(traces, texts, strict=True)
    )
    rates = against.rate, between.rate or 0.0
    return Dispute(first.dataset, first.utterance, first.reference, transcripts, *rates, first.language)


def _both_ways(a: str, b: str, language: str) -> Counts:
    """Counts of each text against the other, because neither is the reference."""
    return count(a, b, language) + count(b, a, language)
