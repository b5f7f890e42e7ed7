"""The report of made-up runs: what it says, and that it stands alone."""

import json
import re
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import jiwer
import pytest

from asr.cli import run as asr
from eval.report.html import PageOptions, write_report
from eval.report.systems import comparisons, systems_of
from eval.report.tables import report_of
from eval.report.verdict import verdict
from eval.runs.folder import Run, UnsupportedLanguage
from tests.eval.fakes import said
from tests.eval.run_folders import run_of, spoken, write_run


@pytest.fixture(scope="module")
def run() -> Run:
    """A worse, dearer and slower model beside a better one, offline and streamed, with noise and another language."""
    told = (("device", "telephone"),)
    traces = [replace(t, attributes=told) if i % 2 else t for i, t in enumerate(spoken("worse", every=4, cost=2.0))]
    traces += [*spoken("better"), *spoken("worse", "offline", every=4), *spoken("better", "offline")]
    for model in ("worse", "better"):
        noise = said("thank you" if model == "worse" else "", reference="", model=model, dataset="noise", utterance="n")
        traces.append(replace(noise, duration_s=60.0))
    traces.append(
        said("xin <b>chào</b>", reference="xin chao", model="better", dataset="vi", language="vi", utterance="v")
    )
    left_out = ("data/manifest.jsonl:3: no audio file",)
    return run_of("made-up", traces, left_out=left_out, not_taken=(UnsupportedLanguage("worse", "vi", "vi", 1),))


def headline(*traces) -> str:
    systems = systems_of([run_of("r", [t for some in traces for t in some])])
    return verdict([run_of("r", [])], systems, comparisons(systems)).headline


def test_the_verdict_says_who_is_better_by_how_much_and_at_what_cost() -> None:
    """Ten words of 320: 3.1 points; half of the CPU; 0.5 s earlier."""
    told = headline(spoken("worse", every=4, late_s=0.5, cost=2.0), spoken("better"))
    assert told.startswith("better is better than worse by 3.1 points of WER, replay, 95 % interval ")
    assert told.endswith("better costs 0.5 times the CPU; its words are stable 0.50 s earlier (p95).")


def test_the_verdict_does_not_claim_what_may_be_chance() -> None:
    """It says how large a difference would have been seen."""
    told = headline(spoken("a", every=40), spoken("b"))
    assert told.startswith("No difference in WER is shown between a and b, replay: 0.3 points")
    assert "this data could show" in told
    assert "no difference in delay is shown" in told


def test_the_best_of_three_is_named_with_whom_it_beats() -> None:
    """Beyond chance only."""
    told = headline(spoken("a"), spoken("b", every=2), spoken("c", every=40))
    assert (
        told
        == "a has the lowest WER, 4.4 %, replay; it is better than b beyond chance; against c no difference is shown."
    )


def test_one_model_is_described() -> None:
    """With its interval; nothing is compared."""
    assert headline(spoken("a")).startswith("a, replay: WER 4.4 % (95 % interval ")


def test_the_report_holds_what_a_page_shows(run: Run) -> None:
    """WER as jiwer counts it, every part with its size, what was left out and not taken."""
    report = report_of([run], PageOptions().wanted)
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
    report = report_of([run], PageOptions().wanted)
    figures = {(s.model, s.dataset, s.mode): s.figures["wer"] for s in report.dataset_figures}
    compared = 0
    for row in report.datasets.rows:
        for system, cell in zip(report.all_systems, row.cells, strict=True):
            if cell.found is not None:
                assert figures[system.name, row.name, system.mode] == cell.found.value
                compared += 1
    assert compared == len(figures) == 7
    assert not {"scores", "accuracy"} & set(asdict(report))


def test_the_page_is_one_file_that_asks_for_nothing(run: Run, tmp_path: Path) -> None:
    """No address in it leads out; texts of labels and models cannot become markup."""
    write_report([run], tmp_path, PageOptions())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>v" not in page
    assert "<b>audio" not in page
    namespaces = re.sub(r"http://www\.w3\.org/\d{4}/\w+", "", page)
    for outward in (r"https?://", r"@import", r"url\((?!#)", r"<link", r"href=\"(?!#)", r"<[^>]+ src="):
        assert not re.search(outward, namespaces), outward
    assert page.count("<svg") >= 2
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# better is better than worse by 3.")


def test_runs_are_compared_from_the_command_line(tmp_path: Path, capsys) -> None:
    """Two runs of one model are told apart by their names; a folder that is no run is wrong use."""
    old = write_run(tmp_path / "old", spoken("m", every=4))
    new = write_run(tmp_path / "new", spoken("m"))
    assert asr(["eval", "compare", str(old), str(new), "--out", str(tmp_path / "report")]) == 0
    assert "m (new) is better than m (old) by 3.1 points" in " ".join(capsys.readouterr().out.split())
    assert asr(["eval", "compare", str(tmp_path), "--out", str(tmp_path / "report")]) == 2


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
def test_the_page_works_from_a_file_at_both_widths(run: Run, tmp_path: Path) -> None:
    """In a real browser, without a server: recordings are listed, ordered and searched, a timeline opens, nothing is
    wider than the window, no script fails and nothing is fetched."""
    from playwright.sync_api import sync_playwright

    write_report([run], tmp_path, PageOptions())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width in (1280, 400):
            page = browser.new_page(viewport={"width": width, "height": 900})
            failures, fetched = [], []
            page.on("pageerror", lambda error, failures=failures: failures.append(str(error)))
            page.on("request", lambda request, fetched=fetched: fetched.append(request.url))
            page.goto((tmp_path / "report.html").as_uri())
            assert page.locator("article").count() == 12
            page.locator("#find").fill("chào")
            assert page.locator("article").count() == 1
            page.locator("#find").fill("u4")
            page.locator("article details summary").first.click()
            page.locator("article .timeline svg").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert failures == []
            assert len(fetched) == 1
        browser.close()
