"""The gate: what stops a build and what does not."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from asr.cli import run as asr
from eval.trace import Trace
from tests.eval.run_folders import repeated, spoken, write_run

LEDGERS = itertools.count()


@pytest.fixture
def baseline(tmp_path: Path) -> str:
    return str(write_run(tmp_path / "baseline", repeated(spoken("m"))))


def code(*arguments: str) -> int:
    """The exit code; each call is the only look, unless it names a ledger."""
    ledger = Path(arguments[arguments.index("--baseline") + 1]) / f"{next(LEDGERS)}.jsonl"
    once = () if "--ledger" in arguments else ("--ledger", str(ledger), "--looks", "1")
    return asr(["eval", "gate", *once, *arguments])


def gated(traces: list[Trace], baseline: str, *options: str) -> int:
    """The gate's exit code for a run of these traces."""
    run = write_run(Path(baseline).parent / "run", traces)
    return code(str(run), "--baseline", baseline, *options)


WER = ("--max-wer-rise", "0.3")
LIMITS = (*WER, "--max-p95-rise", "0.2", "--max-cost-rise", "0.1")


def test_the_same_run_passes(baseline: str, capsys) -> None:
    """Nothing differs, which does not show how little would have been seen."""
    assert gated(repeated(spoken("m"), began_s=100), baseline, *LIMITS) == 0
    shown = capsys.readouterr().out
    assert shown.count("ok   ") == 3
    assert shown.count("the same in both runs; how small a rise would be caught is unknown") == 3
    assert "machines" not in shown


@pytest.mark.parametrize(
    ("change", "figure"),
    [({"every": 4}, "WER"), ({"late_s": 0.5}, "p95 of the delay"), ({"cost": 1.5}, "CPU time")],
)
def test_what_is_worse_beyond_chance_stops_the_build(change, figure, baseline: str, capsys) -> None:
    """In accuracy, in delay, in cost; one sentence says which and by how much; only that one."""
    assert gated(repeated(spoken("m", **change), began_s=100), baseline, *LIMITS) == 1
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1
    assert figure in shown.err
    assert shown.out.count("WORSE") == 1


def test_each_check_says_what_it_could_have_caught(baseline: str, capsys) -> None:
    """Where something differs."""
    assert gated(spoken("m", every=20), baseline, *WER) == 0
    assert "is caught in 4 of 5 cases" in capsys.readouterr().out


def test_what_may_be_chance_passes_and_is_said(baseline: str, tmp_path: Path, capsys) -> None:
    """One word of 320 more is 0.31 points, above the limit, but one speaker's."""
    unlucky = write_run(tmp_path / "unlucky", spoken("m", every=40))
    assert code(str(unlucky), "--baseline", baseline, "--max-wer-rise", "0.3", "--junit", str(tmp_path / "x")) == 0
    shown = capsys.readouterr().out
    assert "chance?  m replay: WER" in shown
    assert "it rose by more than the limit of 0.30 points, which chance may explain" in shown
    assert "passed, but not shown to be as good: WER of m replay rose by more than allowed" in shown
    assert "which chance may explain" in (tmp_path / "x").read_text()
    assert code(str(unlucky), "--baseline", baseline, "--max-wer-rise", "1") == 0
    assert "passed: no figure rose by more than its limit" in capsys.readouterr().out
    assert code(str(unlucky), "--baseline", baseline, "--max-wer-rise", "0.3", "--non-inferior") == 1


def test_what_is_allowed_passes(baseline: str, tmp_path: Path) -> None:
    """A rise of 3.1 points where 4 are allowed."""
    worse = write_run(tmp_path / "worse", spoken("m", every=4))
    assert code(str(worse), "--baseline", baseline, "--max-wer-rise", "4") == 0


def test_another_model_may_take_the_place_of_the_old_one(baseline: str, tmp_path: Path) -> None:
    """One model in each run: they are compared, whatever they are called."""
    new = write_run(tmp_path / "new", spoken("n", every=4))
    assert code(str(new), "--baseline", baseline, "--max-wer-rise", "0.3") == 1


def test_a_gate_without_a_limit_is_wrong_use(baseline: str, capsys) -> None:
    """The sentence names the options."""
    assert code(baseline, "--baseline", baseline) == 2
    assert "wanted one of --max-wer-rise, --max-p95-rise" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("traces", "options", "sentence"),
    [
        (spoken("m", "offline"), WER, "the baseline has m replay, the run does not"),
        (spoken("m")[:10], WER, "m replay: the run has 10 of the 40 recordings of the baseline"),
        ([replace(t, entries=()) for t in spoken("m")], ("--max-p95-rise", "1"), "p95 of the delay was not measured"),
        ([replace(t, cpu_s=None) for t in spoken("m")], ("--max-cost-rise", "1"), "CPU time was not measured in both"),
        (spoken("m"), ("--max-cost-rise", "1"), "CPU time cannot be judged: the machine's noise is unknown"),
        (spoken("m"), ("--max-wall-p95-rise", "1"), "wanted 3 repeats of both, made in turns"),
        ([replace(spoken("m")[0], error="closed"), *spoken("m")[1:]], WER, "1 stream of the run broke (u0: closed)"),
    ],
)
def test_what_cannot_be_checked_does_not_pass(traces, options, sentence: str, baseline: str, capsys) -> None:
    """Exit 2 with one sentence; it stands in JUnit's file as an error."""
    junit = Path(baseline).parent / "gate.xml"
    assert gated(traces, baseline, *options, "--junit", str(junit)) == 2
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert shown.err.count("\n") == 1
    assert "missing " in shown.out
    suite = ElementTree.parse(junit).getroot()
    assert int(suite.get("errors") or 0) == len(suite.findall("testcase/error")) >= 1


def test_a_model_of_the_baseline_must_be_in_the_run(tmp_path: Path, capsys) -> None:
    """Also where the other model passes."""
    two = str(write_run(tmp_path / "two", [*spoken("m"), *spoken("n")]))
    assert gated(spoken("m"), two, *WER) == 2
    shown = capsys.readouterr()
    assert "the baseline has n replay, the run does not" in shown.err
    assert "ok       m replay: WER" in shown.out


def test_offline_runs_have_no_delay_to_check(tmp_path: Path, capsys) -> None:
    """It passed without a word: a run in mode offline only."""
    offline = str(write_run(tmp_path / "offline", spoken("m", "offline")))
    assert gated(spoken("m", "offline"), offline, "--max-p95-rise", "0") == 2
    assert "p95 of the delay cannot be checked: no streamed mode in both runs" in capsys.readouterr().err


def test_other_audio_under_the_same_names_is_no_comparison(baseline: str, capsys) -> None:
    """The same ids and texts, another hash."""
    run = write_run(Path(baseline).parent / "run", spoken("m"))
    table = json.loads((run / "run.json").read_text())
    table["signature"]["data"]["d"] = "1" * 64
    (run / "run.json").write_text(json.dumps(table))
    assert code(str(run), "--baseline", baseline, *WER) == 2
    assert "data set d of the baseline: the run has other audio or labels" in capsys.readouterr().err


def test_few_speakers_pass_nothing(tmp_path: Path, capsys) -> None:
    """Nothing that three speakers say can be beyond chance."""
    few = str(write_run(tmp_path / "few", spoken("m", speakers=3)))
    assert gated(spoken("m", speakers=3, every=2), few, *WER) == 2
    assert "too few speakers (3)" in capsys.readouterr().err


def test_costs_of_runs_that_were_not_made_in_turns_are_not_judged(baseline: str, capsys) -> None:
    """All of one run after all of the other: the hour of the day is between them."""
    assert gated(repeated(spoken("m"), began_s=10_000), baseline, "--max-cost-rise", "0.1") == 2
    assert "made in turns" in capsys.readouterr().err


def test_the_machines_noise_is_no_rise(baseline: str) -> None:
    """9 % more CPU time on every recording, but repeats differ by as much."""
    noisy = repeated(spoken("m", cost=1.09), noise=(0.9, 1.1, 1.0), began_s=100)
    assert gated(noisy, baseline, "--max-cost-rise", "0") == 0


def test_non_inferiority_passes_only_what_is_shown(baseline: str, capsys) -> None:
    """One word more may be chance; that it is less than 0.3 points is not shown. It is less than 4."""
    unlucky = spoken("m", every=40)
    assert gated(unlucky, baseline, *WER, "--non-inferior") == 1
    assert "is not shown to be as good as" in capsys.readouterr().err
    run = str(Path(baseline).parent / "run")
    assert code(run, "--baseline", baseline, "--max-wer-rise", "4", "--non-inferior") == 0


def test_each_of_several_planned_looks_is_stricter(tmp_path: Path) -> None:
    """Six speakers, all a little worse: p is 0.047, enough for one look. With two they are too few."""
    few = str(write_run(tmp_path / "few", spoken("m", speakers=6, utterances=12)))
    worse = spoken("m", speakers=6, utterances=12, every=1)
    assert gated(worse, few, "--max-wer-rise", "0") == 1
    run = str(tmp_path / "run")
    assert code(run, "--baseline", few, "--max-wer-rise", "0", "--looks", "2") == 2


def test_looks_are_counted_beside_the_baseline(baseline: str, tmp_path: Path, capsys) -> None:
    """Each run is a look; the same run again is the same look; each later one is stricter."""
    for number, every in enumerate((8, 9, 10, 9), start=1):
        run = tmp_path / f"run{every}"
        if not run.exists():
            write_run(run, spoken("m", every=every))
        assert asr(["eval", "gate", str(run), "--baseline", baseline, "--max-wer-rise", "5"]) == 0
        look = number if number < 4 else 2
        assert (
            f"look {look} at this data: wrong alarms in {(3.0, 0.76, 0.34)[look - 1]} % of" in capsys.readouterr().out
        )
    assert len((Path(baseline) / "looks.jsonl").read_text().splitlines()) == 3


def test_a_grown_set_is_the_same_set(tmp_path: Path, capsys) -> None:
    """Two baselines, the second with more recordings, and one ledger."""
    ledger = str(tmp_path / "looks.jsonl")
    for number, utterances in enumerate((40, 80), start=1):
        old = write_run(tmp_path / f"old{number}", spoken("m", utterances=utterances))
        new = write_run(tmp_path / f"new{number}", spoken("m", utterances=utterances, every=20))
        assert code(str(new), "--baseline", str(old), "--max-wer-rise", "5", "--ledger", ledger) == 0
        assert f"look {number} at this data" in capsys.readouterr().out


def test_planned_looks_are_no_more_than_planned(baseline: str, tmp_path: Path, capsys) -> None:
    """The third of two passes nothing: exit 2."""
    ledger = str(tmp_path / "looks.jsonl")
    for every, wanted in ((8, 0), (9, 0), (10, 2)):
        run = write_run(tmp_path / f"run{every}", spoken("m", every=every))
        options = ("--baseline", baseline, "--max-wer-rise", "5", "--ledger", ledger, "--looks", "2")
        assert code(str(run), *options) == wanted
    assert "2 planned looks at this data were taken" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["[]\n", "no json\n", '{"look": 1}\n'])
def test_a_ledger_that_is_none_is_named(text: str, baseline: str, tmp_path: Path, capsys) -> None:
    """One sentence; nothing is overwritten."""
    ledger = tmp_path / "looks.jsonl"
    ledger.write_text(text)
    assert code(baseline, "--baseline", baseline, *WER, "--ledger", str(ledger)) == 2
    assert f"{ledger} is no ledger of looks" in capsys.readouterr().err
    assert ledger.read_text() == text


def test_what_cannot_be_checked_is_no_look(baseline: str, tmp_path: Path) -> None:
    """Nothing was compared."""
    ledger = tmp_path / "looks.jsonl"
    run = write_run(tmp_path / "run", spoken("m"))
    assert code(str(run), "--baseline", baseline, "--max-cost-rise", "0.1", "--ledger", str(ledger)) == 2
    assert not ledger.exists()


def test_checks_share_one_chance_of_five_per_cent(tmp_path: Path) -> None:
    """Six speakers, all a little worse: p is 0.047, enough for one check, not for two; where the other check is beyond
    chance as well, it is no longer counted (Holm): seven speakers, p 0.023 each."""
    few = str(write_run(tmp_path / "few", spoken("m", speakers=6, utterances=12)))
    worse = spoken("m", speakers=6, utterances=12, every=1)
    assert gated(worse, few, "--max-wer-rise", "0") == 1
    assert code(str(tmp_path / "run"), "--baseline", few, "--max-wer-rise", "0", "--max-p95-rise", "0") == 2
    seven = write_run(tmp_path / "seven", spoken("m", speakers=7, utterances=14))
    both = write_run(tmp_path / "both", spoken("m", speakers=7, utterances=14, every=1, late_s=0.5))
    assert code(str(both), "--baseline", str(seven), "--max-wer-rise", "0", "--max-p95-rise", "0") == 1


def test_build_servers_read_the_outcome(baseline: str, tmp_path: Path) -> None:
    """JUnit's element names, with one failure of three."""
    junit = tmp_path / "gate.xml"
    worse = repeated(spoken("m", every=4), began_s=100)
    assert gated(worse, baseline, *LIMITS, "--junit", str(junit)) == 1
    suite = ElementTree.parse(junit).getroot()
    assert (suite.tag, suite.get("tests"), suite.get("failures")) == ("testsuite", "3", "1")
    assert [case.get("name") for case in suite.findall("testcase") if case.find("failure") is not None] == ["WER"]
    assert all(case.findtext("system-out") for case in suite.findall("testcase") if case.find("failure") is None)
