"""The data definition: what sets of labelled recordings are, what is suspicious in them, what they share."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import numpy as np

from eval.audit.acoustics import Vad
from eval.audit.characters import character_findings
from eval.audit.disputed_labels import Dispute, disputes
from eval.audit.findings import Finding
from eval.audit.label_forms import label_findings, without_text
from eval.audit.leaks import Leak, leaks, split_of
from eval.audit.numbers_acronyms import spoken_findings
from eval.audit.recordings import MeasuredRecording, hear, sound_findings
from eval.data.problems import kind_of, tally
from eval.data.types import Dataset, Problem, Utterance
from eval.trace import Trace

MEASURES: Mapping[str, tuple[str, Callable[[MeasuredRecording], float | None]]] = {
    "duration": ("s", lambda h: h.acoustics.duration_s),
    "speech share": ("%", lambda h: 100 * h.acoustics.speech_share),
    "loudness": ("LUFS", lambda h: h.acoustics.loudness_lufs),
    "signal to noise": ("dB", lambda h: h.acoustics.snr_db),
    "bandwidth": ("kHz", lambda h: None if h.acoustics.bandwidth_hz is None else h.acoustics.bandwidth_hz / 1000),
    "pace": ("characters/s", lambda h: h.pace),
}
"""What is counted of each recording, in which unit."""

SLICES = (
    "speaker",
    "gender",
    "age",
    "accent",
    "device",
    "orig_sample_rate",
    "noise",
    "snr_db",
    "room",
    "line",
    "notes",
)
MAX_VALUES = 40
"""Of one slice, the longest first; the rest is left out and said to be."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """How a measure is spread: of how many it is known, mean and percentiles; None where of none."""

    count: int
    mean: float | None
    p5: float | None
    p50: float | None
    p95: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class SetStatistics:
    """A set, or a slice of one. ``rates_hz``, ``channels`` and ``codecs`` count files by what their headers say."""

    name: str
    recordings: int
    audio_s: float
    speech_s: float
    speakers: int
    languages: tuple[str, ...]
    rates_hz: Mapping[int, int]
    channels: Mapping[int, int]
    codecs: Mapping[str, int]
    spreads: Mapping[str, Distribution]


@dataclass(frozen=True, slots=True)
class SetSlices:
    """The parts of one set by one attribute; ``left_out`` counts values that are not shown."""

    dataset: str
    attribute: str
    parts: tuple[SetStatistics, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Audit:
    """All of it. ``found`` counts the utterances that were listed, ``heard`` those that could be decoded."""

    found: int
    heard: tuple[MeasuredRecording, ...]
    problems: tuple[Problem, ...]
    parts: tuple[SetStatistics, ...]
    slices: tuple[SetSlices, ...]
    findings: tuple[Finding, ...]
    leaks: tuple[Leak, ...]
    disputes: tuple[Dispute, ...]


def audit(
    datasets: Sequence[Dataset],
    traces: Iterable[Trace],
    vad: Vad,
    on_heard: Callable[[Utterance], None] = lambda _: None,
) -> Audit:
    """Hears everything once; `on_heard` is told each utterance as it is done."""
    utterances = [utterance for dataset in datasets for utterance in dataset.utterances]
    results: list[MeasuredRecording | Problem] = []
    for utterance, result in zip(utterances, hear(utterances, vad), strict=True):
        results.append(result)
        on_heard(utterance)
    heard = tuple(result for result in results if isinstance(result, MeasuredRecording))
    told = tuple(problem for dataset in datasets for problem in dataset.problems)
    return Audit(
        found=len(utterances) + len(told),
        heard=heard,
        problems=told + tuple(result for result in results if isinstance(result, Problem)),
        parts=tuple(part(name, same) for name, same in by_set(heard).items()),
        slices=slices(heard),
        findings=findings(utterances, heard),
        leaks=leaks(utterances, {(h.utterance.dataset, h.utterance.id): h.acoustics.sound_sha256 for h in heard}),
        disputes=disputes(traces),
    )


def findings(utterances: Sequence[Utterance], heard: Sequence[MeasuredRecording]) -> tuple[Finding, ...]:
    """What is suspicious, the grave first."""
    found = [
        *sound_findings(heard),
        *character_findings(utterances),
        *without_text(utterances),
        *spoken_findings(utterances),
        *label_findings(utterances),
    ]
    return tuple(sorted(found, key=lambda finding: not finding.grave))


def by_set(heard: Iterable[MeasuredRecording]) -> dict[str, list[MeasuredRecording]]:
    """By data set, and by split where one holds several."""
    sets: dict[str, list[MeasuredRecording]] = defaultdict(list)
    for h in heard:
        sets[split_of(h.utterance)].append(h)
    return sets


def part(name: str, heard: Sequence[MeasuredRecording]) -> SetStatistics:
    """A set or slice in numbers."""
    return SetStatistics(
        name=name,
        recordings=len(heard),
        audio_s=sum(h.acoustics.duration_s for h in heard),
        speech_s=sum(h.acoustics.speech_s for h in heard),
        speakers=len({h.utterance.speaker for h in heard if h.utterance.speaker}),
        languages=tuple(sorted({h.utterance.language for h in heard if h.utterance.language})),
        rates_hz=_counted(h.header.rate_hz for h in heard),
        channels=_counted(h.header.channels for h in heard),
        codecs=_counted(h.header.codec for h in heard),
        spreads={name: spread(told(h) for h in heard) for name, (_, told) in MEASURES.items()},
    )


def spread(values: Iterable[float | None]) -> Distribution:
    """Of the values that are known. Percentiles lie between two values as numpy's do."""
    known = [value for value in values if value is not None]
    if not known:
        return Distribution(0, None, None, None, None, None, None)
    p5, p50, p95 = (float(p) for p in np.percentile(known, (5, 50, 95)))
    return Distribution(len(known), mean(known), p5, p50, p95, min(known), max(known))


def slices(heard: Sequence[MeasuredRecording]) -> tuple[SetSlices, ...]:
    """Each set by each attribute that has more than one value in it."""
    found = []
    for name, same in by_set(heard).items():
        for attribute in SLICES:
            values: dict[str, list[MeasuredRecording]] = defaultdict(list)
            for h in same:
                values[value_of(h.utterance, attribute)].append(h)
            if len(values) > 1:
                parts = sorted((part(v or "(not told)", hs) for v, hs in values.items()), key=lambda p: -p.audio_s)
                found.append(SetSlices(name, attribute, tuple(parts[:MAX_VALUES]), max(0, len(parts) - MAX_VALUES)))
    return tuple(found)


def value_of(utterance: Utterance, attribute: str) -> str:
    return utterance.speaker if attribute == "speaker" else dict(utterance.attributes).get(attribute, "")


def verdict(done: Audit) -> list[str]:
    """What the data is and what is wrong with it, in sentences, the worst first."""
    minutes, sets = sum(part.audio_s for part in done.parts) / 60, len(done.parts)
    said = [f"{_many(len(done.heard), 'recording')} in {_many(sets, 'set')}, {minutes:.1f} minutes of audio."]
    if done.problems:
        said.append(f"{len(done.problems)} of {done.found} could not be used: {tally(done.problems)}.")
    else:
        said.append("Every recording that is listed could be used.")
    grave = [finding.sentence for finding in done.findings if finding.grave]
    said += grave
    said += [leak_sentence(leak) for leak in done.leaks]
    if done.disputes:
        said.append(f"Labels that the models dispute: {len(done.disputes)}.")
    if not (grave or done.leaks or done.disputes):
        said.append("Nothing was found that makes scores wrong.")
    blurred = [finding.kind for finding in done.findings if not finding.grave]
    return [*said, f"To look at: {', '.join(blurred)}."] if blurred else said


def leak_sentence(leak: Leak) -> str:
    shared = {"recording": "recording", "file name": "file name", "text": "text", "speaker": "speaker"}
    what = _many(leak.shared, shared.get(leak.kind, "text"))
    inside = " as a part of a longer text" if leak.kind not in shared else ""
    return f"{leak.sets[0]} and {leak.sets[1]} share {what}{inside} ({leak.left} and {leak.right} recordings)."


def table_of(done: Audit) -> dict[str, Any]:
    """All of it as plain values, as `audit.json` has it."""
    return {
        "verdict": verdict(done),
        "sets": [asdict(part) for part in done.parts],
        "slices": [asdict(one) for one in done.slices],
        "findings": [asdict(finding) for finding in done.findings],
        "leaks": [_leak_table(leak) for leak in done.leaks],
        "disputes": [asdict(dispute) | {"score": dispute.score} for dispute in done.disputes],
        "left_out": [{"where": str(p.file), "line": p.line, "kind": kind_of(p), "what": p.what} for p in done.problems],
        "recordings": [_recording_table(h) for h in done.heard],
    }


def _leak_table(leak: Leak) -> dict[str, Any]:
    pairs = [[{"id": u.id, "text": u.text[:400], "speaker": u.speaker} for u in pair] for pair in leak.pairs]
    counts = {"shared": leak.shared, "left": leak.left, "right": leak.right}
    return {"kind": leak.kind, "sets": list(leak.sets), **counts, "pairs": pairs}


def _recording_table(h: MeasuredRecording) -> dict[str, Any]:
    told = {"set": split_of(h.utterance), "id": h.utterance.id, "audio": str(h.utterance.clips[0].audio)}
    return told | {"text": h.utterance.text, "pace": h.pace} | asdict(h.header) | asdict(h.acoustics)


def _counted(values: Iterable[Any]) -> dict[Any, int]:
    return dict(Counter(values).most_common())


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
