"""Runs -> everything that a report shows, as one table of plain values: `report.json`, of which the pages are made."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from eval.html.formatting import memory, p_value, plain
from eval.html.plots import colour_of
from eval.metrics.bootstrap import RESAMPLES, SEED
from eval.metrics.catalogue import BY_KEY, MEASURES, Measure, estimate, note, peak_memory_bytes
from eval.metrics.word_times import end_source
from eval.report.capacity_plan import Level, Plan, levels_of, plan
from eval.report.slices import UNTOLD, Row, Slice, by_dataset, changed_confusions, common_confusions, slices
from eval.report.systems import Comparison, System, comparisons, on_common, systems_of, unit_of
from eval.report.verdict import PREFERRED, check_sentence, verdict
from eval.runs.folder import Run, UnsupportedLanguage
from eval.trace import MODES, OFFLINE, Trace

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("accuracy", ("wer", "wer_raw", "cer", "made_up", "made_up_share")),
    (
        "delay, computing included",
        (
            *(
                "first_p50",
                "first_p95",
                "stable_p50",
                "stable_p90",
                "stable_p95",
                "stable_p99",
                "settled_p95",
                "committed_p95",
            ),
            *("finalisation_p95", "endpoint_p50", "lag_p95", "laal"),
        ),
    ),
    ("delay, computing left out", ("stable_audio_p50", "stable_audio_p95", "lag_audio_p95", "laal_audio")),
    ("stability", ("changed", "flicker")),
    ("cost", ("cpu", "rtfx")),
)
"""What the first table shows, in its order; all figures stand below it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plan is made for."""

    streams: int = 100
    p95_s: float = 2.0


def report_table(runs: Sequence[Run], wanted: Wanted) -> dict[str, Any]:
    """All figures of all runs. Computes for a while: each has its interval."""
    everything = systems_of(runs)
    common = on_common(everything)
    systems = common if common and common[0].judged else everything
    compared = comparisons(everything)
    models = list(dict.fromkeys(system.name for system in everything))
    levels = levels_of(runs)
    shown = [_system(system, models) for system in systems]
    return {
        "runs": [run.name for run in runs],
        "verdict": asdict(verdict(runs, everything, compared)),
        "common": _common(systems),
        "timed": any(system.mode != OFFLINE for system in systems),
        "end_source": end_source(j.trace for s in systems for j in s.judged if s.mode != OFFLINE),
        "coverage": _coverage(systems),
        "systems": shown,
        "table": [_group(name, keys, shown) for name, keys in GROUPS],
        "measures": [_definition(measure) for measure in MEASURES if _known(measure, shown)],
        "comparisons": [asdict(pair) | {"check": check_sentence(pair)} for pair in compared],
        "matrices": [(mode, _matrix(mode, compared)) for mode in MODES if any(c.mode == mode for c in compared)],
        "all_systems": [_head(system, models) for system in everything],
        "datasets": _datasets(by_dataset(everything), everything, [item for run in runs for item in run.not_taken]),
        "slices": [asdict(cut) for cut in slices(systems)],
        "levels": [asdict(level) for level in levels],
        "plans": [_plan(plan) for plan in _plans(runs, everything, levels, wanted)],
        "wanted": asdict(wanted),
        "confusions": _confusions(systems, models),
        "changed": _changed(compared, everything),
        "data": _data(everything),
        "left_out": list(dict.fromkeys(reason for run in runs for reason in run.left_out)),
        "not_taken": [asdict(item) for run in runs for item in run.not_taken],
        "failed": _failed(everything),
        "signatures": [{"run": run.name} | asdict(run.signature) for run in runs],
        "resamples": RESAMPLES,
        "seed": SEED,
    }


def _head(system: System, models: Sequence[str]) -> dict[str, Any]:
    told = {"name": system.name, "model": system.model, "run": system.run, "mode": system.mode}
    return told | {"colour": colour_of(system.name, models)}


def _system(system: System, models: Sequence[str]) -> dict[str, Any]:
    found = {measure.key: asdict(estimate(measure, system.judged)) for measure in MEASURES}
    counts = [j.counts for j in system.judged]
    return _head(system, models) | {
        "utterances": len(system.judged),
        "unit": unit_of(system.judged),
        "figures": found,
        "peak_memory_bytes": peak_memory_bytes(system.judged),
        "counts": {
            "substitutions": sum(c.substitutions for c in counts),
            "deletions": sum(c.deletions for c in counts),
            "insertions": sum(c.insertions for c in counts),
            "reference_length": sum(c.reference_length for c in counts),
        },
    }


def _common(systems: Sequence[System]) -> dict[str, Any]:
    judged = systems[0].judged if systems else ()
    minutes = sum(j.trace.duration_s for j in judged) / 60
    return {"utterances": len(judged), "minutes": minutes, "note": note(judged)}


def _coverage(systems: Sequence[System]) -> str:
    found = [estimate(BY_KEY["coverage"], s.judged).value for s in systems if s.mode != OFFLINE]
    known = [value for value in found if value is not None]
    return f"{plain(min(known), 0)} % of the words or more have a known end." if known else ""


def _definition(measure: Measure) -> dict[str, Any]:
    told = {"key": measure.key, "title": measure.title, "unit": measure.unit, "what": measure.what}
    return told | {"digits": measure.digits}


def _known(measure: Measure, systems: Sequence[dict[str, Any]]) -> bool:
    return any(system["figures"][measure.key]["value"] is not None for system in systems)


def _group(name: str, keys: Sequence[str], systems: Sequence[dict[str, Any]]) -> dict[str, Any]:
    measures = [BY_KEY[key] for key in keys if _known(BY_KEY[key], systems)]
    return {"name": name, "rows": [_definition(m) | {"cells": _cells(m, systems)} for m in measures]}


def _cells(measure: Measure, systems: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The best of each mode is marked, where there are two and they differ as shown."""
    cells = []
    for system in systems:
        found = system["figures"][measure.key]
        rivals = [s["figures"][measure.key]["value"] for s in systems if s["mode"] == system["mode"]]
        known = [round(value, measure.digits) for value in rivals if value is not None]
        leads = max(known, default=0) if measure.better == "higher" else min(known, default=0)
        best = found["value"] is not None and round(found["value"], measure.digits) == leads
        cells.append({"found": found, "best": best and known.count(leads) == 1 and len(known) > 1})
    return cells


def _matrix(mode: str, compared: Sequence[Comparison]) -> dict[str, Any]:
    pairs = [pair for pair in compared if pair.mode == mode]
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.left, pair.right)))
    rows = [{"name": row, "cells": [_cell(row, column, pairs) for column in names]} for row in names]
    return {"names": names, "rows": rows}


def _cell(row: str, column: str, pairs: Sequence[Comparison]) -> dict[str, Any] | None:
    pair = next((p for p in pairs if {p.left, p.right} == {row, column} and row != column), None)
    if pair is None or pair.wer.value is None:
        return None
    sign = 1 if pair.left == row else -1
    ends = [sign * end for end in (pair.wer.low, pair.wer.high) if end is not None]
    value = sign * pair.wer.value
    return {
        "value": value,
        "interval": f"{plain(min(ends))} to {plain(max(ends))}" if ends else "no interval",
        "p": p_value(pair.p_holm),
        "check": check_sentence(pair),
        "smallest": pair.smallest,
        "utterances": pair.utterances,
        "mark": ("better" if value < 0 else "worse") if pair.clear else "",
    }


def _datasets(cut: Slice, systems: Sequence[System], not_taken: Sequence[UnsupportedLanguage]) -> dict[str, Any]:
    return {"rows": [_dataset_row(row, systems, not_taken) for row in cut.rows]}


def _dataset_row(row: Row, systems: Sequence[System], not_taken: Sequence[UnsupportedLanguage]) -> dict[str, Any]:
    cells = []
    for system, found in zip(systems, row.wer, strict=True):
        refused = {item.language for item in not_taken if (item.model, item.dataset) == (system.model, row.name)}
        why = f"does not take {', '.join(sorted(refused))}" if refused else "not run"
        if found is not None and found.value is None:
            mine = [j for j in system.judged if j.trace.dataset == row.name]
            why = f"{sum(j.counts.insertions for j in mine)} made up"
        cells.append({"found": None if found is None else asdict(found), "why": why})
    return {"name": row.name, "utterances": row.utterances, "words": row.words, "cells": cells}


def _plans(runs: Sequence[Run], systems: Sequence[System], levels: Sequence[Level], wanted: Wanted) -> list[Plan]:
    """One a model: of its most telling mode."""
    found = []
    for run in runs:
        for model in run.signature.models:
            mine = [s for s in systems if (s.model, s.run) == (model.name, run.name)]
            best = min(mine, key=lambda s: PREFERRED.index(s.mode), default=None)
            if best is not None:
                cores = run.signature.machine.cores
                found.append(plan(model, levels, best.judged, wanted.streams, wanted.p95_s, cores))
    return found


def _plan(found: Plan) -> dict[str, Any]:
    asked = f"{found.streams} streams at a p95 of {found.p95_s:g} s"
    if found.cores is None:
        headline = f"{found.model}: no plan for {asked}."
    else:
        room = f" and {memory(found.memory_bytes)}" if found.memory_bytes else ""
        headline = f"{found.model}: {found.cores} cores{room} for {asked}."
    return asdict(found) | {"headline": headline, "rest": f"Assumed: {found.assumption}."}


def _confusions(systems: Sequence[System], models: Sequence[str]) -> list[dict[str, Any]]:
    """Of the most telling mode: the modes of one model confuse alike."""
    mode = next((mode for mode in PREFERRED if any(s.mode == mode for s in systems)), "")
    mine = [system for system in systems if system.mode == mode]
    return [{"system": _head(s, models), "rows": [asdict(c) for c in common_confusions(s)]} for s in mine]


def _changed(compared: Sequence[Comparison], systems: Sequence[System]) -> dict[str, Any] | None:
    """Between the first two of the most telling mode."""
    pairs = sorted(compared, key=lambda pair: PREFERRED.index(pair.mode))
    if not pairs or not pairs[0].utterances:
        return None
    mode, names = pairs[0].mode, (pairs[0].left, pairs[0].right)
    by_name = {system.name: system for system in systems if system.mode == mode}
    left, right = on_common([by_name[name] for name in names])
    errors = [(a.counts.errors, b.counts.errors) for a, b in zip(left.judged, right.judged, strict=True)]
    sides = []
    for worse, better in ((left, right), (right, left)):
        rows = [asdict(confusion) | {"there": there} for confusion, there in changed_confusions(worse, better)]
        sides.append({"worse": worse.name, "better": better.name, "rows": rows})
    return {
        "mode": mode,
        "left": left.name,
        "right": right.name,
        "utterances": len(errors),
        "left_better": sum(a < b for a, b in errors),
        "right_better": sum(a > b for a, b in errors),
        "same": sum(a == b for a, b in errors),
        "sides": sides,
    }


def _data(systems: Sequence[System]) -> list[dict[str, Any]]:
    """Every set once, of the recordings that any system had."""
    traces = {judged.key: judged.trace for system in systems for judged in system.judged}.values()
    found = []
    for name in dict.fromkeys(trace.dataset for trace in traces):
        mine = [trace for trace in traces if trace.dataset == name]
        lengths = [trace.duration_s for trace in mine]
        found.append(
            {
                "name": name,
                "utterances": len(mine),
                "minutes": sum(lengths) / 60,
                "median_s": statistics.median(lengths),
                "longest_s": max(lengths),
                "speakers": len({trace.speaker for trace in mine} - {""}),
                "silent": sum(not trace.reference.strip() for trace in mine),
                "languages": sorted({trace.language for trace in mine} - {""}),
                "attributes": _told(mine),
            }
        )
    return found


def _told(traces: Sequence[Trace]) -> list[str]:
    return sorted({key.replace("_", " ") for trace in traces for key, _ in trace.attributes if key not in UNTOLD})


def _failed(systems: Sequence[System]) -> list[dict[str, Any]]:
    traces = [judged.trace for system in systems for judged in system.judged if judged.trace.error]
    return [{"utterance": t.utterance, "mode": t.mode, "model": t.model, "error": t.error} for t in traces]


def wer_rows(systems: Sequence[System]) -> list[tuple[str, list[tuple[str, str, Any]]]]:
    """For the picture: each data set with each system's WER, where it has one."""
    found = []
    for row in by_dataset(systems).rows:
        pairs = [(s.name, s.mode, wer) for s, wer in zip(systems, row.wer, strict=True) if wer is not None]
        known = [item for item in pairs if item[2].value is not None]
        found += [(row.name, known)] if known else []
    return found
