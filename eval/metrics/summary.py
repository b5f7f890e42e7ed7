"""Every metric of a group of traces as one value: what the printed table, `asr bench` and `report.json` list by set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asr.normalisation.normalise import is_by_character, normalise, units
from eval.metrics.catalogue import METRICS, WER, Metric
from eval.metrics.estimates import peak_memory_bytes, unit_of, value_of
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.word_errors import Counts, total
from eval.metrics.word_times import end_source
from eval.trace import OFFLINE, Trace

LAST_UNITS = 3
"""A last word within this many words of the end of the streamed text is there: the words behind it may differ."""


Key = tuple[str, str, str]
"""Model, data set and mode."""
Groups = Mapping[Key, Sequence[ScoredTrace]]
"""Traces that are summarised together."""


@dataclass(frozen=True, slots=True)
class Summary:
    """All metrics of one model in one mode on one group of recordings.

    Attributes:
        model: Name of the model.
        dataset: Name of the data set, or of another group.
        mode: One of `eval.trace.MODES`.
        utterances: Number of recordings.
        failed: Number of those whose stream broke; what was recognised by then is scored.
        audio_s: Seconds of audio.
        unit: What the counts count: "words", "characters", or both where languages are mixed.
        end_source: Where the ends of words come from, from which delays are counted; "" in mode offline.
        raw_counts: Edits of the texts as written.
        counts: Edits of the normalised texts.
        figures: Value by the metric's key, in the metric's unit; None where it does not apply or was not measured.
        peak_memory_bytes: The largest resident memory; None where not measured.
    """

    model: str
    dataset: str
    mode: str
    utterances: int
    failed: int
    audio_s: float
    unit: str
    end_source: str
    raw_counts: Counts
    counts: Counts
    figures: Mapping[str, float | None]
    peak_memory_bytes: int | None

    def value(self, metric: Metric) -> float | None:
        """The value of one metric, in its unit."""
        return self.figures[metric.key]


@dataclass(frozen=True, slots=True)
class LostEnd:
    """An utterance whose last offline word is missing at the end of the streamed text."""

    utterance: str
    offline_end: str
    streamed_end: str


@dataclass(frozen=True, slots=True)
class StreamedLoss:
    """What one model loses on one data set by streaming, against its own offline transcripts.

    Attributes:
        model: Name of the model.
        dataset: Name of the data set.
        mode: The streaming mode.
        minus_offline_points: WER streamed minus WER offline, in points; None where a WER is missing
            or words would be added to characters.
        lost_ends: The utterances that lost their last word.
    """

    model: str
    dataset: str
    mode: str
    minus_offline_points: float | None
    lost_ends: tuple[LostEnd, ...]


def group(scored: Iterable[ScoredTrace], model: str = "") -> Groups:
    """The traces by model, data set and mode, in the order of their first traces; ``model`` names them all if given."""
    groups: dict[Key, list[ScoredTrace]] = {}
    for each in scored:
        trace = each.trace
        groups.setdefault((model or trace.model, trace.dataset, trace.mode), []).append(each)
    return groups


def summaries(groups: Groups) -> tuple[Summary, ...]:
    """The summary of every group, in order."""
    return tuple(summarise(scored, *key) for key, scored in groups.items())


def summarise(scored: Sequence[ScoredTrace], model: str, dataset: str, mode: str) -> Summary:
    """All metrics of one group under these names."""
    return Summary(
        model=model,
        dataset=dataset,
        mode=mode,
        utterances=len(scored),
        failed=sum(bool(s.trace.error) for s in scored),
        audio_s=sum(s.trace.duration_s for s in scored),
        unit=unit_of(scored),
        end_source="" if mode == OFFLINE else end_source(s.trace for s in scored),
        raw_counts=total(s.raw_counts for s in scored),
        counts=total(s.counts for s in scored),
        figures={metric.key: value_of(metric, scored) for metric in METRICS},
        peak_memory_bytes=peak_memory_bytes(scored),
    )


def streamed_losses(groups: Groups) -> tuple[StreamedLoss, ...]:
    """For every streamed group whose model ran the same data set offline as well."""
    losses = []
    for (model, dataset, mode), streamed in groups.items():
        offline = groups.get((model, dataset, OFFLINE))
        if mode != OFFLINE and offline is not None:
            loss = points(value_of(WER, streamed), value_of(WER, offline))
            losses.append(StreamedLoss(model, dataset, mode, loss, lost_ends(offline, streamed)))
    return tuple(losses)


def points(left: float | None, right: float | None) -> float | None:
    """The error rate of left minus that of right, in points; None where one is missing."""
    return None if left is None or right is None else left - right


def lost_ends(offline: Iterable[ScoredTrace], streamed: Iterable[ScoredTrace]) -> tuple[LostEnd, ...]:
    """Utterances that lost their last word, of those in both; texts are compared normalised."""
    texts = {scored.trace.utterance: _units(scored.trace) for scored in offline}
    lost = []
    for scored in streamed:
        whole, text = texts.get(scored.trace.utterance, ()), _units(scored.trace)
        if whole and whole[-1] not in text[-LAST_UNITS:]:
            lost.append(LostEnd(scored.trace.utterance, _end(whole, scored.trace), _end(text, scored.trace)))
    return tuple(lost)


def _units(trace: Trace) -> tuple[str, ...]:
    return units(normalise(trace.text, trace.language), trace.language)


def _end(text: Sequence[str], trace: Trace) -> str:
    return ("" if is_by_character(trace.language) else " ").join(text[-2 * LAST_UNITS :])
