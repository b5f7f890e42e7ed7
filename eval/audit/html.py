"""Renders an audit as one page that opens without a network: `audit.html`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from eval.audit.audit import Audit, leak_sentence, verdict
from eval.audit.findings import Finding
from eval.audit.recordings import MeasuredRecording
from eval.audit.statistics import MEASURES, by_set
from eval.data.types import Utterance
from eval.html.audio_embed import Players
from eval.html.histogram import Scale, histogram, scale_of
from eval.html.render import render

AREAS: Mapping[str, str] = {
    "labels": "Labels",
    "characters": "Characters",
    "audio": "Sound",
}
DISPUTES = 40
"""Disputed labels shown, the highest score first."""


def page(
    audit: Audit, utterances: Iterable[Utterance], folder: Path, budget_bytes: int, sources: Mapping[str, str]
) -> str:
    """The page's HTML, to be written into `folder`, with at most `budget_bytes` of audio embedded.

    ``sources`` stands in the footer: hashes, versions, commit.
    """
    players = Players(utterances, folder, budget_bytes)
    return render(
        "audit.html",
        title=", ".join(part.name for part in audit.sets),
        verdict=verdict(audit),
        audit=audit,
        measures={name: unit for name, (unit, _) in MEASURES.items()},
        histograms=_histograms(audit.recordings),
        areas=[(title, _of(audit.findings, area)) for area, title in AREAS.items() if _of(audit.findings, area)],
        disputes=audit.disputes[:DISPUTES],
        player=players.key,
        counts=_counts,
        sentence=leak_sentence,
        sounds=players.sounds,
        sources=sources,
    )


def _of(findings: Sequence[Finding], area: str) -> list[Finding]:
    return [finding for finding in findings if finding.area == area]


def _histograms(recordings: Sequence[MeasuredRecording]) -> dict[str, dict[str, Markup]]:
    """Measure -> set -> histogram. All sets share one scale, so that they can be compared."""
    sets = by_set(recordings)
    histograms: dict[str, dict[str, Markup]] = {}
    for measure, (unit, _) in MEASURES.items():
        values = {name: _values(members, measure) for name, members in sets.items()}
        scale: Scale = scale_of([value for one_set in values.values() for value in one_set])
        histograms[measure] = {name: histogram(one_set, scale, unit) for name, one_set in values.items()}
    return histograms


def _values(recordings: Sequence[MeasuredRecording], measure: str) -> list[float]:
    values = (MEASURES[measure][1](recording) for recording in recordings)
    return [value for value in values if value is not None]


def _counts(counts: Mapping[Any, int]) -> str:
    """Values and their counts on one line; without the count if there is only one value."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{value} ({count})" for value, count in counts.items())
