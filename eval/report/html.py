"""`report.html`, `report.md` and `report.json` of runs: the table of figures, put into templates."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eval.html.formatting import memory, p_value, plain, plural
from eval.html.players import embedded
from eval.html.plots import accuracy_plot, capacity_plot, delay_plot
from eval.metrics.edits import EQUAL, Edit
from eval.metrics.scored_trace import Judged
from eval.normalise import is_by_character
from eval.report.capacity_plan import levels_of
from eval.report.slices import UNTOLD
from eval.report.systems import System, systems_of
from eval.report.tables import Wanted, report_table, wer_rows
from eval.runs.folder import Run
from eval.trace import OFFLINE

TEMPLATES = Path(__file__).parents[1] / "html" / "templates"
TIMED_WORDS = 400
"""Words of a recording whose times are put into the page: a timeline shows fewer."""


@dataclass(frozen=True, slots=True)
class PageOptions:
    """How the page is made: what is planned for, and how much audio it may hold."""

    wanted: Wanted = field(default_factory=Wanted)
    audio_mb: float = 4.0


def write_report(runs: Sequence[Run], out: Path, options: PageOptions, more: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the three files into `out`; `more` goes into the JSON as well. The table."""
    table = report_table(runs, options.wanted)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(more) | table, ensure_ascii=False, indent=1)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    (out / "report.md").write_text(render("report.md", r=table), encoding="utf-8")
    (out / "report.html").write_text(page(runs, table, options), encoding="utf-8")
    return table


def page(runs: Sequence[Run], table: Mapping[str, Any], options: PageOptions) -> str:
    """The report as one file that needs no other."""
    systems = systems_of(runs)
    models = list(dict.fromkeys(system.name for system in systems))
    players = embedded(_worst_first(systems), round(options.audio_mb * 1e6))
    timed = [system for system in systems if system.mode != OFFLINE]
    plots = {
        "accuracy": accuracy_plot(wer_rows(systems), models),
        "delays": delay_plot(timed, models) if timed else "",
        "capacity": capacity_plot(levels_of(runs), models, options.wanted.p95_s) if table["levels"] else "",
    }
    told = {"audio_note": _audio_note(len(players), len({j.key for s in systems for j in s.judged}))}
    data = {
        "systems": [{key: s[key] for key in ("name", "mode", "colour")} for s in table["all_systems"]],
        "utterances": utterances(systems, players),
    }
    parts = {name: (TEMPLATES / f"report.{name}").read_text(encoding="utf-8") for name in ("css", "js")}
    return render("report.html", r=dict(table) | told, plots=plots, utterances=script_json(data), **parts)


def render(template: str, **values: Any) -> str:
    """A template with values, which are escaped in HTML."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=template.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=template.endswith(".md"),
    )
    words = {"plain": plain, "plural": plural, "memory": memory, "p_value": p_value}
    return environment.get_template(template).render(**values, **words)


def script_json(data: Any) -> str:
    """JSON that may stand in a script element: no text in it can end the element."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def utterances(systems: Sequence[System], players: Mapping[tuple[str, str], str]) -> list[dict[str, Any]]:
    """Each recording once, with what every system made of it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for index, system in enumerate(systems):
        for judged in system.judged:
            entry = found.setdefault(judged.key, _utterance(judged, players))
            entry["systems"].append(_heard(index, judged))
    return list(found.values())


def _utterance(judged: Judged, players: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    trace = judged.trace
    return {
        "id": trace.utterance,
        "dataset": trace.dataset,
        "language": trace.language,
        "seconds": round(trace.duration_s, 2),
        "speaker": trace.speaker,
        "told": [f"{key.replace('_', ' ')} {value}" for key, value in trace.attributes if key not in UNTOLD],
        "audio": players.get(judged.key, ""),
        "file": trace.audio,
        "joiner": "" if is_by_character(trace.language) else " ",
        "systems": [],
    }


def _heard(index: int, judged: Judged) -> dict[str, Any]:
    counts = judged.counts
    return {
        "of": index,
        "errors": counts.errors,
        "words": counts.reference_length,
        "error": judged.trace.error,
        "edits": [_edit(edit) for edit in judged.edits],
        "times": _times(judged) if judged.timed else [],
    }


def _edit(edit: Edit) -> str | list[str]:
    """A word that is right stands for itself."""
    return edit.said if edit.kind == EQUAL else [edit.said, edit.heard]


def _times(judged: Judged) -> list[list[Any]]:
    """Each word with its end, first shown, for good, final; in seconds of wall time."""
    return [
        [w.text, _round(w.end_s), _round(w.shown.wall_s), _round(w.stable.wall_s), _round(w.committed.wall_s)]
        for w in judged.words[:TIMED_WORDS]
    ]


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def _worst_first(systems: Sequence[System]) -> list[Judged]:
    everything = [judged for system in systems for judged in system.judged]
    return sorted(everything, key=lambda judged: -judged.counts.errors)


def _audio_note(players: int, recordings: int) -> str:
    if not players:
        return "Recordings are linked where they lie; none is in this page"
    heard = f"{plural(players, 'recording')} of {recordings}, those with the most errors, can be heard in this page"
    return f"{heard}; the others are linked where they lie"
