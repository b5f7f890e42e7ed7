"""Writes a report: `report.json`, `report.md` and `report.html`, the page with pictures and every recording."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr.normalisation.normalise import is_by_character
from eval.defaults import AUDIO_MB
from eval.html.audio_embed import embed_as_mp3
from eval.html.formatting import plural
from eval.html.plots import (
    AccuracyBlock,
    AccuracyDot,
    CapacityPoint,
    DelayCurve,
    accuracy_plot,
    capacity_plot,
    delay_plot,
    themed,
)
from eval.html.render import TEMPLATES, render, script_json
from eval.metrics.scored_trace import ScoredTrace
from eval.metrics.word_errors import EQUAL, Edit
from eval.report.build import report_of
from eval.report.capacity_plan import Wanted, levels_of
from eval.report.slices import NOT_SLICED, by_dataset
from eval.report.systems import System, systems_of
from eval.report.tables import Report
from eval.runs.folder import Run
from eval.trace import OFFLINE

TIMED_WORDS = 400
"""Words of a recording whose times are put into the page: a timeline shows fewer."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What a report plans for, and how many megabytes of recordings its page may hold."""

    wanted: Wanted = field(default_factory=Wanted)
    audio_mb: float = AUDIO_MB


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one system made of a recording, as `report.js` reads it.

    Attributes:
        of: Index of the system in the page's list.
        errors: Word errors.
        words: Reference words.
        error: Why the stream broke; "" when it did not.
        edits: Per edit the text of a right word, else reference and hypothesis.
        times: Per word its text, end, first shown, stable and final; seconds of wall time.
    """

    of: int
    errors: int
    words: int
    error: str
    edits: tuple[str | tuple[str, str], ...]
    times: tuple[tuple[str, float | None, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class RecordingCard:
    """One recording with the attempts of all systems, as `report.js` reads it.

    Attributes:
        id: The utterance.
        dataset: Its data set.
        language: Its language code.
        seconds: Its length.
        speaker: Its speaker; "" where unknown.
        attributes: Its attributes in words.
        audio: The recording as a data URI; "" where it is not in the page.
        file: Its file; "" where it is not a whole one.
        joiner: What stands between two units of text.
        systems: What each system made of it.
    """

    id: str
    dataset: str
    language: str
    seconds: float
    speaker: str
    attributes: tuple[str, ...]
    audio: str
    file: str
    joiner: str
    systems: tuple[Attempt, ...]


def write_report(runs: Sequence[Run], out: Path, options: PageOptions) -> Report:
    """Writes the three files into `out`."""
    systems = systems_of(runs)
    report = report_of(runs, options.wanted, systems)
    table = asdict(report)
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(render("report.md", r=table), encoding="utf-8")
    (out / "report.html").write_text(page(runs, systems, table, options), encoding="utf-8")
    return report


def page(runs: Sequence[Run], systems: Sequence[System], table: Mapping[str, Any], options: PageOptions) -> str:
    """The page as one file that needs no other; `table` is the report as a dict."""
    models = list(dict.fromkeys(system.name for system in systems))
    players = embed_as_mp3(_worst_first(systems), round(options.audio_mb * 1e6))
    curves = _delay_curves(systems)
    points = [CapacityPoint(level.model, level.streams, level.p95) for level in levels_of(runs)]
    plots = {
        "accuracy": accuracy_plot(_accuracy_blocks(systems), models),
        "delays": delay_plot(curves, models) if curves else "",
        "capacity": capacity_plot(points, models, options.wanted.p95_s) if points else "",
    }
    cards = recording_cards(systems, players)
    data = {
        "systems": [
            {"name": s["name"], "mode": s["mode"], "colour": themed(s["colour"])} for s in table["all_systems"]
        ],
        "order": [_order(card) for card in cards],
    }
    return render(
        "report.html",
        r=table,
        audio_note=_audio_note(len(players), len({s.key for system in systems for s in system.scored})),
        plots=plots,
        utterances=script_json(data),
        recordings="\n".join(script_json(asdict(card)) for card in cards),
        css=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        js=(TEMPLATES / "report.js").read_text(encoding="utf-8"),
    )


def _accuracy_blocks(systems: Sequence[System]) -> list[AccuracyBlock]:
    """Each data set on which a system has a WER."""
    blocks = []
    for row in by_dataset(systems).rows:
        pairs = zip(systems, row.wer, strict=True)
        dots = [AccuracyDot(s.name, s.mode, wer) for s, wer in pairs if wer is not None and wer.value is not None]
        if dots:
            blocks.append(AccuracyBlock(row.name, tuple(dots)))
    return blocks


def _delay_curves(systems: Sequence[System]) -> list[DelayCurve]:
    """Each streamed system with the delays of its words."""
    curves = []
    for system in (system for system in systems if system.mode != OFFLINE):
        delays = (word.delay_s("stable") for scored in system.scored for word in scored.word_times)
        curves.append(DelayCurve(system.name, system.mode, tuple(delay for delay in delays if delay is not None)))
    return curves


def recording_cards(systems: Sequence[System], players: Mapping[tuple[str, str], str]) -> list[RecordingCard]:
    """Each recording once, with what every system made of it; `players` holds data URIs by data set and utterance."""
    attempts: dict[tuple[str, str], list[tuple[int, ScoredTrace]]] = {}
    for index, system in enumerate(systems):
        for scored in system.scored:
            attempts.setdefault(scored.key, []).append((index, scored))
    return [_card(mine, players) for mine in attempts.values()]


def _order(card: RecordingCard) -> tuple[str, int, float, int, float]:
    """What a recording is listed by: data set, errors, error rate, difference of the systems, latest word."""
    errors = [attempt.errors for attempt in card.systems]
    rates = [attempt.errors / max(1, attempt.words) for attempt in card.systems]
    delays = [stable - end for attempt in card.systems for _, end, _, stable, _ in attempt.times if end is not None]
    return card.dataset, max(errors), round(max(rates), 4), max(errors) - min(errors), round(max(delays, default=-9), 2)


def _card(attempts: Sequence[tuple[int, ScoredTrace]], players: Mapping[tuple[str, str], str]) -> RecordingCard:
    _, first = attempts[0]
    trace = first.trace
    return RecordingCard(
        id=trace.utterance,
        dataset=trace.dataset,
        language=trace.language,
        seconds=round(trace.duration_s, 2),
        speaker=trace.speaker,
        attributes=tuple(
            f"{key.replace('_', ' ')} {value}" for key, value in trace.attributes if key not in NOT_SLICED
        ),
        audio=players.get(first.key, ""),
        file=trace.audio,
        joiner="" if is_by_character(trace.language) else " ",
        systems=tuple(_attempt(index, scored) for index, scored in attempts),
    )


def _attempt(index: int, scored: ScoredTrace) -> Attempt:
    return Attempt(
        of=index,
        errors=scored.counts.errors,
        words=scored.counts.reference_length,
        error=scored.trace.error,
        edits=tuple(_edit(edit) for edit in scored.edits),
        times=_times(scored) if scored.is_streamed else (),
    )


def _edit(edit: Edit) -> str | tuple[str, str]:
    return edit.reference if edit.kind == EQUAL else (edit.reference, edit.hypothesis)


def _times(scored: ScoredTrace) -> tuple[tuple[str, float | None, float, float, float], ...]:
    return tuple(
        (
            word.text,
            None if word.end_s is None else round(word.end_s, 2),
            round(word.shown.wall_s, 2),
            round(word.stable.wall_s, 2),
            round(word.committed.wall_s, 2),
        )
        for word in scored.word_times[:TIMED_WORDS]
    )


def _worst_first(systems: Sequence[System]) -> list[ScoredTrace]:
    everything = [scored for system in systems for scored in system.scored]
    return sorted(everything, key=lambda scored: -scored.counts.errors)


def _audio_note(players: int, recordings: int) -> str:
    if not players:
        return "Recordings are linked to their files; none is in this page"
    embedded = f"{plural(players, 'recording')} of {recordings}, those with the most errors, can be played in this page"
    return f"{embedded}; the others are linked to their files"
