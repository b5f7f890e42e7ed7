"""Describes a set of recordings, or a slice of one, in numbers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from eval.audit.leaks import split_of
from eval.audit.recordings import MeasuredRecording
from eval.data.types import Utterance

MEASURES: Mapping[str, tuple[str, Callable[[MeasuredRecording], float | None]]] = {
    "duration": ("s", lambda r: r.acoustics.duration_s),
    "speech share": ("%", lambda r: 100 * r.acoustics.speech_share),
    "loudness": ("LUFS", lambda r: r.acoustics.loudness_lufs),
    "signal to noise": ("dB", lambda r: r.acoustics.snr_db),
    "bandwidth": ("kHz", lambda r: None if r.acoustics.bandwidth_hz is None else r.acoustics.bandwidth_hz / 1000),
    "pace": ("characters/s", lambda r: r.pace),
}
"""Name of a measure -> its unit, and its value for one recording; None if unknown."""

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
"""Attributes by which sets are sliced."""
MAX_VALUES = 40
"""Values shown per attribute, those with the most audio first. The number of the others is reported."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Mean, percentiles and extremes of a measure over ``count`` known values; None if there are none."""

    count: int
    mean: float | None
    p5: float | None
    p50: float | None
    p95: float | None
    least: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class SetStatistics:
    """A set, or a slice of one. ``rates_hz``, ``channels`` and ``codecs`` count files by their headers."""

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
    """One set sliced by one attribute; ``left_out`` counts the values that are not shown."""

    dataset: str
    attribute: str
    parts: tuple[SetStatistics, ...]
    left_out: int


def by_set(recordings: Iterable[MeasuredRecording]) -> dict[str, list[MeasuredRecording]]:
    """The recordings of each data set, or of each of its splits if it holds several."""
    sets: dict[str, list[MeasuredRecording]] = defaultdict(list)
    for recording in recordings:
        sets[split_of(recording.utterance)].append(recording)
    return sets


def set_statistics(name: str, recordings: Sequence[MeasuredRecording]) -> SetStatistics:
    """The statistics of these recordings, under a name."""
    return SetStatistics(
        name=name,
        recordings=len(recordings),
        audio_s=sum(r.acoustics.duration_s for r in recordings),
        speech_s=sum(r.acoustics.speech_s for r in recordings),
        speakers=len({r.utterance.speaker for r in recordings if r.utterance.speaker}),
        languages=tuple(sorted({r.utterance.language for r in recordings if r.utterance.language})),
        rates_hz=_counts(r.header.rate_hz for r in recordings),
        channels=_counts(r.header.channels for r in recordings),
        codecs=_counts(r.header.codec for r in recordings),
        spreads={name: distribution(value(r) for r in recordings) for name, (_, value) in MEASURES.items()},
    )


def distribution(values: Iterable[float | None]) -> Distribution:
    """The distribution of the known values. Percentiles are interpolated as numpy does."""
    known = [value for value in values if value is not None]
    if not known:
        return Distribution(0, None, None, None, None, None, None)
    p5, p50, p95 = (float(p) for p in np.percentile(known, (5, 50, 95)))
    return Distribution(len(known), mean(known), p5, p50, p95, min(known), max(known))


def slices(recordings: Sequence[MeasuredRecording]) -> tuple[SetSlices, ...]:
    """Each set by each attribute of `SLICES` that has several values in it."""
    sliced = []
    for name, members in by_set(recordings).items():
        for attribute in SLICES:
            values: dict[str, list[MeasuredRecording]] = defaultdict(list)
            for recording in members:
                values[attribute_of(recording.utterance, attribute)].append(recording)
            if len(values) > 1:
                parts = [set_statistics(value or "(not known)", same) for value, same in values.items()]
                parts.sort(key=lambda part: -part.audio_s)
                left_out = max(0, len(parts) - MAX_VALUES)
                sliced.append(SetSlices(name, attribute, tuple(parts[:MAX_VALUES]), left_out))
    return tuple(sliced)


def attribute_of(utterance: Utterance, attribute: str) -> str:
    """The utterance's value of an attribute or its speaker; "" if unknown."""
    return utterance.speaker if attribute == "speaker" else dict(utterance.attributes).get(attribute, "")


def _counts(values: Iterable[Any]) -> dict[Any, int]:
    return dict(Counter(values).most_common())
