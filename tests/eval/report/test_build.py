"""The report of a made-up run."""

import json
from dataclasses import asdict

import jiwer
import pytest

from eval.metrics.catalogue import METRICS
from eval.report.build import GROUPS, report_of
from eval.report.capacity_plan import Wanted
from eval.runs.folder import Run
from tests.eval.run_folders import repeated, run_of, spoken


def test_the_report_holds_what_a_page_shows(run: Run) -> None:
    """WER as jiwer counts it, every part with its size, what was left out and not taken."""
    report = report_of([run], Wanted())
    shown = {(s.name, s.mode): s.figures["wer"].value for s in report.systems}
    traces = [t for t in run.traces if (t.model, t.mode) == ("worse", "replay") and t.reference]
    by_hand = jiwer.wer([t.reference for t in traces], [t.text for t in traces])
    assert shown[("worse", "replay")] == pytest.approx(100 * by_hand)
    assert report.common.utterances == 40
    devices = next(cut for cut in report.slices if cut.by == "device")
    assert [(row.name, row.utterances) for row in devices.rows] == [("telephone", 20), ("not given", 40)]
    assert report.left_out == run.left_out
    assert "worse does not take vi (1 recording)" in " ".join(report.verdict.caveats)
    assert "could not be used (1 no audio file)" in " ".join(report.verdict.caveats)
    row = next(row for row in report.datasets.rows if row.name == "vi")
    assert {cell.why for cell in row.cells if cell.found is None} == {"does not take vi", "not run"}
    json.dumps(asdict(report))


def test_a_report_has_one_answer_to_each_metric(run: Run) -> None:
    """WER by data set is the same number in the table with intervals and in that of the terminal."""
    report = report_of([run], Wanted())
    figures = {(s.model, s.dataset, s.mode): s.figures["wer"] for s in report.dataset_figures}
    compared = 0
    for row in report.datasets.rows:
        for system, cell in zip(report.all_systems, row.cells, strict=True):
            if cell.found is not None:
                assert figures[system.name, row.name, system.mode] == cell.found.value
                compared += 1
    assert compared == len(figures) == 7
    assert not {"scores", "accuracy"} & set(asdict(report))


def test_the_best_of_each_mode_is_marked(run: Run) -> None:
    """Beyond chance only: one run does not show the machine's noise. Metrics without a value have no row."""
    report = report_of([run], Wanted())
    rows = {row.key: row for part in report.table for row in part.rows}
    assert [cell.best for cell in rows["wer"].cells] == [False, False, True, True]
    assert report.systems[1].figures["cpu"].value == pytest.approx(0.2)
    assert not any(cell.best for cell in rows["cpu"].cells)
    assert [(s.name, s.mode) for s in report.systems] == [
        ("worse", "offline"),
        ("worse", "replay"),
        ("better", "offline"),
        ("better", "replay"),
    ]
    assert "made_up" not in rows, "noise is not among the recordings that all systems have"


def test_what_may_be_chance_is_not_marked() -> None:
    """One error more in forty recordings; with three repeats the CPU time is beyond chance."""
    traces = [*repeated(spoken("a", every=40, cost=2.0)), *repeated(spoken("b"))]
    rows = {row.key: row for part in report_of([run_of("r", traces)], Wanted()).table for row in part.rows}
    values = [cell.found.value for cell in rows["wer"].cells]
    assert values[0] != values[1]
    assert [cell.best for cell in rows["wer"].cells] == [False, False]
    assert [cell.best for cell in rows["cpu"].cells] == [False, True]


def test_the_first_table_names_metrics_of_the_catalogue() -> None:
    """Each once."""
    keys = [key for _, group in GROUPS for key in group]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= {metric.key for metric in METRICS}
