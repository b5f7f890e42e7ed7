"""Builds the report of runs: every metric with its interval, every comparison, every table."""

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from asr.normalisation.normalise import base_language, how_compared, normaliser_signature
from eval.html.formatting import p_value, plain
from eval.html.plots import colour_of
from eval.metrics.catalogue import BY_KEY, COVERAGE, CPU, METRICS, WER, Metric
from eval.metrics.estimates import estimate_of_rounds, measured, peak_memory_bytes, unit_of, units_of_traces, value_of
from eval.metrics.resampling import SEED, SPLITS
from eval.metrics.significance import too_few_units
from eval.metrics.summary import group, streamed_losses, summaries
from eval.metrics.word_errors import total
from eval.metrics.word_times import end_source
from eval.report.capacity_plan import Level, Plan, Wanted, levels_of, plan
from eval.report.parts import set_comparisons, slice_comparisons
from eval.report.slices import (
    NOT_SLICED,
    Row,
    Slice,
    by_dataset,
    changed_confusions,
    common_confusions,
    slices,
)
from eval.report.systems import Comparison, System, comparisons, metric_difference, on_common, systems_of
from eval.report.tables import (
    Changed,
    ChangedSide,
    Common,
    DataRow,
    DatasetCell,
    DatasetRow,
    DatasetTable,
    Definition,
    EditCounts,
    FailedStream,
    FigureCell,
    FigureGroup,
    FigureRow,
    Matrix,
    MatrixCell,
    MatrixRow,
    Report,
    RunSignature,
    SystemConfusions,
    SystemFigures,
    SystemHead,
)
from eval.report.verdict import PREFERRED, preferred_mode, verdict
from eval.runs.folder import Run, UnsupportedLanguage
from eval.runs.signature import Signature
from eval.trace import OFFLINE, Trace

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("accuracy", ("wer", "wer_raw", "cer", "perfect", "made_up", "made_up_share")),
    (
        "accuracy by kind",
        ("number_wer", "name_wer", "keyword_wer", "made_up_in_speech", "loops", "punctuation", "case"),
    ),
    (
        "delay, computing included",
        (
            *("first_p50", "first_p95", "stable_p50", "stable_p90", "stable_p95", "stable_p99"),
            *("settled_p95", "committed_p95", "endpoint_p50", "endpoint_p95", "premature_ends", "lag_p95"),
            *("laal", "stream_laal", "reference_coverage"),
        ),
    ),
    (
        "turns: from the end of speech",
        (
            *("ttfs_p50", "ttfs_p95", "ttfs_p99", "first_final_p50", "first_final_p95", "wer_first_final"),
            *("first_message_p50", "first_message_p95", "wer_first_message", "cut_turns"),
        ),
    ),
    ("when the client ends the stream", ("finalisation_p50", "finalisation_p95")),
    (
        "delay, computing left out",
        ("stable_audio_p50", "stable_audio_p95", "lag_audio_p95", "laal_audio", "stream_laal_audio"),
    ),
    ("stability", ("changed", "flicker", "changed_aligned", "flicker_aligned")),
    ("cost", ("cpu", "rtfx")),
)
"""The metrics of a report's first table, in order, by their keys. All other metrics stand below it."""


def report_of(runs: Sequence[Run], wanted: Wanted, systems: Sequence[System] | None = None) -> Report:
    """The report of one run or more. Takes a while: every metric of every system has its interval.

    ``systems`` are those of the runs, which remember what was computed of their traces; None: new ones are made.
    """
    everything = systems_of(runs) if systems is None else systems
    common = on_common(everything)
    systems = common if common and common[0].scored else everything
    compared, by_set = comparisons(everything), set_comparisons(everything)
    models = list(dict.fromkeys(system.name for system in everything))
    levels = levels_of(runs)
    figures = tuple(_figures(system, models) for system in systems)
    groups = {key: traces for system in everything for key, traces in group(system.scored, system.name).items()}
    return Report(
        runs=tuple(run.name for run in runs),
        verdict=verdict(runs, everything, compared, by_set),
        common=_common(systems),
        timed=any(system.mode != OFFLINE for system in systems),
        end_source=end_source(s.trace for system in systems for s in system.scored if s.is_streamed),
        coverage=_coverage(systems),
        systems=figures,
        table=tuple(_group(name, keys, figures, systems, compared) for name, keys in GROUPS),
        measures=tuple(_definition(metric) for metric in METRICS if _has_value(metric, figures)),
        comparisons=compared,
        matrices=tuple(_matrices(compared)),
        all_systems=tuple(_head(system, models) for system in everything),
        datasets=_datasets(by_dataset(everything), everything, [item for run in runs for item in run.not_taken]),
        dataset_figures=summaries(groups),
        streamed=streamed_losses(groups),
        slices=slices(systems),
        set_comparisons=by_set,
        slice_comparisons=slice_comparisons(systems, preferred_mode(systems)),
        levels=levels,
        plans=_plans(runs, everything, levels, wanted),
        wanted=wanted,
        confusions=_confusions(systems, models),
        changed=_changed(compared, everything),
        data=_data(everything),
        compared_texts=_compared_texts(everything),
        scored_by=normaliser_signature(tuple(sorted(_languages(everything)))),
        left_out=tuple(dict.fromkeys(reason for run in runs for reason in run.left_out)),
        not_taken=tuple(item for run in runs for item in run.not_taken),
        failed=_failed(everything),
        signature=runs[0].signature,
        signatures=tuple(RunSignature(run=run.name, **_fields(run.signature)) for run in runs),
        resamples=SPLITS,
        seed=SEED,
    )


def _head(system: System, models: Sequence[str]) -> SystemHead:
    return SystemHead(system.name, system.model, system.run, system.mode, colour_of(system.name, models))


def _figures(system: System, models: Sequence[str]) -> SystemFigures:
    unit = unit_of(system.scored)
    return SystemFigures(
        name=system.name,
        model=system.model,
        run=system.run,
        mode=system.mode,
        colour=colour_of(system.name, models),
        utterances=len(system.scored),
        unit=unit,
        repeats=len(system.rounds),
        figures={metric.key: estimate_of_rounds(metric, system.rounds) for metric in METRICS},
        measured={m.key: measured(m, system.scored) for m in METRICS},
        peak_memory_bytes=peak_memory_bytes([scored for each in system.rounds for scored in each]),
        counts=None if " and " in unit else _edit_counts(system),
    )


def _edit_counts(system: System) -> EditCounts:
    counts = total(scored.counts for scored in system.scored)
    return EditCounts(counts.substitutions, counts.deletions, counts.insertions, counts.reference_length)


def _common(systems: Sequence[System]) -> Common:
    scored = systems[0].scored if systems else ()
    units = units_of_traces(scored)
    return Common(len(scored), sum(s.trace.duration_s for s in scored) / 60, units.note, too_few_units(units.count))


def _coverage(systems: Sequence[System]) -> str:
    values = [value_of(COVERAGE, system.scored) for system in systems if system.mode != OFFLINE]
    shares = [value for value in values if value is not None]
    return f"At least {plain(min(shares), 0)} % of the words have a known end." if shares else ""


def _definition(metric: Metric) -> Definition:
    return Definition(metric.key, metric.title, metric.unit, metric.what, metric.digits)


def _has_value(metric: Metric, systems: Sequence[SystemFigures]) -> bool:
    return any(system.figures[metric.key].value is not None for system in systems)


def _group(
    name: str,
    keys: Sequence[str],
    figures: Sequence[SystemFigures],
    systems: Sequence[System],
    compared: Sequence[Comparison],
) -> FigureGroup:
    metrics = [BY_KEY[key] for key in keys if _has_value(BY_KEY[key], figures)]
    rows = (
        FigureRow(**_fields(_definition(metric)), cells=_cells(metric, figures, systems, compared))
        for metric in metrics
    )
    return FigureGroup(name, tuple(rows))


def _cells(
    metric: Metric, figures: Sequence[SystemFigures], systems: Sequence[System], compared: Sequence[Comparison]
) -> tuple[FigureCell, ...]:
    """The best of each mode is marked where it is better than each other one of the mode beyond chance."""
    best = {mode: _best_of(metric, mode, figures, systems, compared) for mode in {each.mode for each in figures}}
    return tuple(
        FigureCell(each.figures[metric.key], each.name == best[each.mode], each.measured[metric.key])
        for each in figures
    )


def _best_of(
    metric: Metric,
    mode: str,
    figures: Sequence[SystemFigures],
    systems: Sequence[System],
    compared: Sequence[Comparison],
) -> str:
    """The name of the best system of a mode; "" where the difference from another one is not beyond chance."""
    mine = {s.name: value for s in figures if s.mode == mode and (value := s.figures[metric.key].value) is not None}
    if len(mine) < 2 or not metric.better:
        return ""
    best = (max if metric.better == "higher" else min)(mine, key=lambda name: mine[name])
    rivals = [name for name in mine if name != best]
    by_name = {system.name: system for system in systems if system.mode == mode}
    pairs = len(by_name) * (len(by_name) - 1) / 2
    ahead = (
        round(mine[rival], metric.digits) != round(mine[best], metric.digits)
        and _differ(metric, by_name[best], by_name[rival], compared, pairs)
        for rival in rivals
    )
    return best if all(ahead) else ""


def _differ(metric: Metric, left: System, right: System, compared: Sequence[Comparison], pairs: float) -> bool:
    """True where the difference is beyond chance, as the verdict has it for what the verdict is about."""
    pair = next((p for p in compared if {p.left, p.right} == {left.name, right.name} and p.mode == left.mode), None)
    if pair is not None and metric in (WER, CPU):
        return pair.is_significant if metric is WER else pair.cost.excludes(1)
    return metric_difference(metric, left, right, pairs).excludes_zero


def _matrices(compared: Sequence[Comparison]) -> Iterator[tuple[str, Matrix]]:
    """Each mode's matrix; where some recordings are counted in characters, one for each unit."""
    mixed = len({pair.unit for pair in compared}) > 1
    for mode, unit in dict.fromkeys((pair.mode, pair.unit) for pair in compared):
        pairs = [pair for pair in compared if (pair.mode, pair.unit) == (mode, unit)]
        yield f"{mode}, errors in {unit}" if mixed else mode, _matrix(pairs)


def _matrix(pairs: Sequence[Comparison]) -> Matrix:
    names = tuple(dict.fromkeys(name for pair in pairs for name in (pair.left, pair.right)))
    return Matrix(names, tuple(MatrixRow(row, tuple(_cell(row, column, pairs) for column in names)) for row in names))


def _cell(row: str, column: str, pairs: Sequence[Comparison]) -> MatrixCell | None:
    pair = next((p for p in pairs if {p.left, p.right} == {row, column} and row != column), None)
    if pair is None or pair.wer.value is None:
        return None
    sign = 1 if pair.left == row else -1
    ends = [sign * end for end in (pair.wer.low, pair.wer.high) if end is not None]
    value = sign * pair.wer.value
    return MatrixCell(
        value=value,
        interval=f"{plain(min(ends))} to {plain(max(ends))}" if ends else "no interval",
        p=p_value(pair.p_holm),
        check=pair.check,
        smallest=pair.smallest,
        utterances=pair.utterances,
        mark=("better" if value < 0 else "worse") if pair.is_significant else "",
    )


def _datasets(cut: Slice, systems: Sequence[System], not_taken: Sequence[UnsupportedLanguage]) -> DatasetTable:
    return DatasetTable(tuple(_dataset_row(row, systems, not_taken) for row in cut.rows))


def _dataset_row(row: Row, systems: Sequence[System], not_taken: Sequence[UnsupportedLanguage]) -> DatasetRow:
    cells = []
    for system, wer in zip(systems, row.wer, strict=True):
        refused = {item.language for item in not_taken if (item.model, item.dataset) == (system.model, row.name)}
        why = f"does not take {', '.join(sorted(refused))}" if refused else "not run"
        if wer is not None and wer.value is None:
            mine = [scored for scored in system.scored if scored.trace.dataset == row.name]
            why = f"{sum(scored.counts.insertions for scored in mine)} made up"
        cells.append(DatasetCell(wer, why))
    return DatasetRow(row.name, row.utterances, row.words, tuple(cells), row.has_too_few_speakers)


def _plans(runs: Sequence[Run], systems: Sequence[System], levels: Sequence[Level], wanted: Wanted) -> tuple[Plan, ...]:
    """One plan for each model of each run, from the mode nearest to real use."""
    plans = []
    for run in runs:
        for model in run.signature.models:
            mine = [s for s in systems if (s.model, s.run) == (model.name, run.name)]
            nearest = min(mine, key=lambda s: PREFERRED.index(s.mode), default=None)
            if nearest is not None:
                everything = [scored for each in nearest.rounds for scored in each]
                plans.append(plan(model, levels, everything, wanted, run.signature.machine.cores))
    return tuple(plans)


def _confusions(systems: Sequence[System], models: Sequence[str]) -> tuple[SystemConfusions, ...]:
    """Of the mode nearest to real use: one model has much the same confusions in all modes."""
    mode = preferred_mode(systems)
    mine = [system for system in systems if system.mode == mode]
    return tuple(SystemConfusions(_head(s, models), common_confusions(s)) for s in mine)


def _changed(compared: Sequence[Comparison], systems: Sequence[System]) -> Changed | None:
    """Between the first two systems of the mode nearest to real use."""
    pairs = sorted(compared, key=lambda pair: PREFERRED.index(pair.mode))
    if not pairs or not pairs[0].utterances:
        return None
    mode, names = pairs[0].mode, (pairs[0].left, pairs[0].right)
    by_name = {system.name: system for system in systems if system.mode == mode}
    left, right = on_common([by_name[name] for name in names])
    errors = [(a.counts.errors, b.counts.errors) for a, b in zip(left.scored, right.scored, strict=True)]
    return Changed(
        mode=mode,
        left=left.name,
        right=right.name,
        utterances=len(errors),
        left_better=sum(a < b for a, b in errors),
        right_better=sum(a > b for a, b in errors),
        same=sum(a == b for a, b in errors),
        sides=tuple(
            ChangedSide(worse.name, better.name, changed_confusions(worse, better))
            for worse, better in ((left, right), (right, left))
        ),
    )


def _data(systems: Sequence[System]) -> tuple[DataRow, ...]:
    """Every data set once, with the recordings that any system ran."""
    traces = list({scored.key: scored.trace for system in systems for scored in system.scored}.values())
    names = dict.fromkeys(trace.dataset for trace in traces)
    return tuple(_data_row(name, [trace for trace in traces if trace.dataset == name]) for name in names)


def _languages(systems: Sequence[System]) -> set[str]:
    return {scored.trace.language for system in systems for scored in system.scored}


def _compared_texts(systems: Sequence[System]) -> tuple[tuple[str, str], ...]:
    """How the texts of each language are compared."""
    codes = sorted({base_language(language) for language in _languages(systems)})
    return tuple((code or "not given", how_compared(code)) for code in codes)


def _data_row(name: str, traces: Sequence[Trace]) -> DataRow:
    lengths = [trace.duration_s for trace in traces]
    attributes = {key.replace("_", " ") for trace in traces for key, _ in trace.attributes if key not in NOT_SLICED}
    return DataRow(
        name=name,
        utterances=len(traces),
        minutes=sum(lengths) / 60,
        median_s=statistics.median(lengths),
        longest_s=max(lengths),
        speakers=len({trace.speaker for trace in traces} - {""}),
        silent=sum(not trace.reference.strip() for trace in traces),
        languages=tuple(sorted({trace.language for trace in traces} - {""})),
        attributes=tuple(sorted(attributes)),
    )


def _failed(systems: Sequence[System]) -> tuple[FailedStream, ...]:
    traces = [scored.trace for system in systems for scored in system.scored if scored.trace.error]
    return tuple(FailedStream(t.utterance, t.mode, t.model, t.error) for t in traces)


def _fields(value: Definition | Signature) -> dict[str, Any]:
    """The fields of a dataclass, for a dataclass that extends it; unlike `asdict` their values stay as they are."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
