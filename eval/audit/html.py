"""An audit as one page that opens without a network: `audit.html`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from eval.audit.audit import MEASURES, Audit, by_set, leak_sentence, verdict
from eval.audit.findings import Finding
from eval.audit.recordings import MeasuredRecording
from eval.data.types import Utterance
from eval.html.histogram import Scale, histogram, number, scale_of
from eval.html.sounds import Players

AREAS: Mapping[str, str] = {
    "labels": "Labels",
    "characters": "Characters",
    "audio": "Sound",
}
DISPUTES = 40
"""Shown, the most disputed first."""


def page(done: Audit, utterances: Iterable[Utterance], folder: Path, budget_bytes: int, told: Mapping[str, str]) -> str:
    """The page, to be written into `folder`. ``told``: what stands at its foot (hashes, versions, commit)."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "html" / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "minutes": _minutes, "counted": _counted, "sentence": leak_sentence}
    players = Players(utterances, folder, budget_bytes)
    return environment.get_template("audit.html").render(
        title=", ".join(part.name for part in done.parts),
        verdict=verdict(done),
        done=done,
        measures={name: unit for name, (unit, _) in MEASURES.items()},
        histograms=_histograms(done.heard),
        areas=[(title, _of(done.findings, area)) for area, title in AREAS.items() if _of(done.findings, area)],
        disputes=done.disputes[:DISPUTES],
        player=players.key,
        sounds=players.sounds,
        told=told,
    )


def _of(findings: Sequence[Finding], area: str) -> list[Finding]:
    return [finding for finding in findings if finding.area == area]


def _histograms(heard: Sequence[MeasuredRecording]) -> dict[str, dict[str, Markup]]:
    """By measure and set; one scale for all sets, so that they can be compared."""
    sets = by_set(heard)
    pictures: dict[str, dict[str, Markup]] = {}
    for measure, (unit, _) in MEASURES.items():
        values = {name: _values(same, measure) for name, same in sets.items()}
        scale: Scale = scale_of([value for known in values.values() for value in known])
        pictures[measure] = {name: histogram(known, scale, unit) for name, known in values.items()}
    return pictures


def _values(heard: Sequence[MeasuredRecording], measure: str) -> list[float]:
    told = (MEASURES[measure][1](h) for h in heard)
    return [value for value in told if value is not None]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _counted(counts: Mapping[Any, int]) -> str:
    """A table of counts in one line; the number is left out where there is only one kind."""
    if len(counts) == 1:
        return str(next(iter(counts)))
    return ", ".join(f"{value} ({count})" for value, count in counts.items())
