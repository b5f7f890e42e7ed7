"""Finds pairs of recordings whose labels were swapped: by one model's transcripts, or by the length of speech."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log
from statistics import median

from asr.normalisation.normalise import base_language, normalise, units
from eval.audit.findings import Example, Finding, example, of_examples
from eval.audit.recordings import RELIABLE_S, MeasuredRecording
from eval.metrics.word_errors import Counts, count
from eval.trace import Trace

AREA = "labels"

LIKE_OTHER, UNLIKE_OWN = 0.6, 0.8
"""A transcript is of another label if its error rate against that one is at most the first, against its own at least
the second. Both transcripts of a pair must say so, which a bad model does not do by chance."""
_CANDIDATES = 3

FAR, NEAR = 2.5, 1.0
"""A label is too long or too short for its speech from the first number of robust deviations on; after a swap both must
be within the second."""
MIN_PACES = 20


@dataclass(frozen=True, slots=True)
class _Heard:
    trace: Trace
    label: str
    text: str

    def rate(self, label: str) -> float:
        return _rate(count(label, self.text, self.trace.language))


def swapped_by_transcripts(traces: Iterable[Trace]) -> list[Finding]:
    """Pairs in one data set whose transcripts fit each other's labels and not their own; one model is enough."""
    by_set: dict[tuple[str, str], dict[str, Trace]] = defaultdict(dict)
    for trace in sorted(traces, key=lambda trace: trace.mode != "offline"):
        if not trace.error and trace.reference.strip():
            by_set[trace.dataset, trace.model].setdefault(trace.utterance, trace)
    pairs = {key: pair for members in by_set.values() for key, pair in _pairs(list(members.values())).items()}
    shown = tuple(_example(a.trace, b.trace.utterance, b.trace.reference) for a, b in pairs.values())
    return _finding(shown)


def swapped_neighbours(recordings: Sequence[MeasuredRecording]) -> list[Finding]:
    """Neighbours in a data set, one label too long and one too short for its speech, that fit after a swap.

    Only neighbours: among all pairs of a large set some would fit by chance.
    """
    shown: list[Example] = []
    by_language: dict[tuple[str, str], list[MeasuredRecording]] = defaultdict(list)
    for r in recordings:
        if r.pace is not None and r.acoustics.duration_s >= RELIABLE_S:
            by_language[r.utterance.dataset, base_language(r.utterance.language)].append(r)
    for members in by_language.values():
        shown += _misfits(members)
    return _finding(tuple(shown))


def _finding(shown: tuple[Example, ...]) -> list[Finding]:
    what = "pairs of recordings with each other's label"
    return of_examples(AREA, "swapped labels", what, shown, "listen to both, and swap the labels", grave=True)


def _example(trace: Trace, other: str, other_text: str) -> Example:
    note = f"with {other}: {other_text[:80]}"
    return Example(trace.dataset, trace.utterance, trace.reference, note, trace.language)


def _pairs(traces: Sequence[Trace]) -> dict[frozenset[tuple[str, str]], tuple[_Heard, _Heard]]:
    heard = [_Heard(t, normalise(t.reference, t.language), normalise(t.text, t.language)) for t in traces]
    wrong = [h for h in heard if h.text and h.rate(h.label) >= UNLIKE_OWN]
    labels: dict[str, list[int]] = defaultdict(list)
    for i, h in enumerate(wrong):
        for unit in set(units(h.label, h.trace.language)):
            labels[unit].append(i)
    likest = {i: _likest(i, h, wrong, labels) for i, h in enumerate(wrong)}
    return {
        frozenset((h.trace.dataset, h.trace.utterance) for h in (wrong[i], wrong[other])): (wrong[i], wrong[other])
        for i, other in likest.items()
        if other is not None and i < other and likest.get(other) == i
    }


def _likest(i: int, heard: _Heard, others: Sequence[_Heard], labels: dict[str, list[int]]) -> int | None:
    """The place of the label that the transcript is of; candidates share words with it."""
    shared = Counter(k for unit in set(units(heard.text, heard.trace.language)) for k in labels.get(unit, ()))
    shared.pop(i, None)
    rates = {k: heard.rate(others[k].label) for k, _ in shared.most_common(_CANDIDATES)}
    best = min(rates, key=rates.__getitem__, default=None)
    return best if best is not None and rates[best] <= LIKE_OTHER else None


def _rate(counts: Counts) -> float:
    return 1.0 if counts.rate is None else counts.rate


def _misfits(recordings: Sequence[MeasuredRecording]) -> list[Example]:
    paces = [log(r.pace or 1.0) for r in recordings]
    middle = median(paces)
    spread = 1.4826 * median(abs(pace - middle) for pace in paces)
    if len(paces) < MIN_PACES or not spread:
        return []

    def deviations(text: str, r: MeasuredRecording) -> float:
        return (log(len("".join(text.split())) / r.acoustics.speech_s) - middle) / spread

    shown = []
    for a, b in pairwise(recordings):
        own = [deviations(r.utterance.text, r) for r in (a, b)]
        swapped = [deviations(b.utterance.text, a), deviations(a.utterance.text, b)]
        if min(own) <= -FAR and max(own) >= FAR and max(map(abs, swapped)) <= NEAR:
            note = f"with {b.utterance.id}: {b.utterance.text[:80]}"
            shown.append(example(a.utterance, note))
    return shown
