"""`asr eval run`, from the command line to the report, with a scripted engine or a scripted server."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from markupsafe import escape

from asr.config import SAMPLE_RATE_HZ
from asr.errors import ConfigError
from asr.events import Final
from eval.runs.folder import UnsupportedLanguage, read_run
from eval.trace import read_traces
from tests.eval.fakes import ScriptedEngine
from tests.server.scripted_server import answer, listening

pytestmark = pytest.mark.slow


def test_a_run_writes_its_traces_and_its_report(asr, data: Path, tmp_path: Path, capsys) -> None:
    """Each recording in each mode; the broken one is left out and reported."""
    out = tmp_path / "out"
    assert asr("eval", "run", "--data", data, "--out", out, "--mode", "offline,replay") == 0
    traces = list(read_traces(out / "traces.jsonl"))
    assert [(t.utterance, t.mode) for t in traces] == [(u, m) for u in "ac" for m in ("offline", "replay")]
    report = json.loads((out / "report.json").read_text())
    assert len(report["left_out"]) == 1
    assert "b.wav" in report["left_out"][0]
    counts = report["dataset_figures"][0]["counts"]
    assert (counts["hits"], counts["substitutions"]) == (4, 2)
    assert report["streamed"][0]["minus_offline_points"] == 0.0
    assert report["signature"]["models"][0]["weights_sha256"] == "0" * 64
    shown = capsys.readouterr()
    assert "33.33 %" in shown.out
    assert "b.wav" in shown.err


@pytest.mark.parametrize("name", ["$x^$", "[bold]", ":smile:", "_x", "a|b", "<b>&", "中文"])
def test_a_data_set_may_have_any_name(asr, data: Path, tmp_path: Path, capsys, name: str) -> None:
    """Neither formula nor markup: the name stands in the table and in the report as it is."""
    data = data.rename(tmp_path / name)
    assert asr("eval", "run", "--data", data, "--out", tmp_path / "out", "--mode", "offline,replay") == 0
    shown = capsys.readouterr()
    assert f"│ {name} " in shown.out
    assert f"{name}/b.wav" in shown.err
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count(escape(name)) >= 2


def test_an_interrupted_run_continues(asr, engine, data: Path, tmp_path: Path, capsys) -> None:
    """Complete lines are kept, the rest is run, nothing twice."""
    out, arguments = tmp_path / "out", ["eval", "run", "--data", data, "--mode", "offline,replay", "--out"]
    assert asr(*arguments, out) == 0
    whole = (out / "traces.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (out / "traces.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:100])
    engine.opened.clear()
    assert asr(*arguments, out) == 0
    assert len(engine.opened) == 2
    again = (out / "traces.jsonl").read_bytes().splitlines(keepends=True)
    assert again[:2] == lines[:2]
    assert [(t.utterance, t.mode, t.text) for t in read_traces(out / "traces.jsonl")] == [
        (u, m, "red green blue") for u in "ac" for m in ("offline", "replay")
    ]
    assert "2 of 6 are done" in capsys.readouterr().err


def test_more_repeats_go_on_in_the_same_folder(asr, engine, data: Path, tmp_path: Path, capsys) -> None:
    """So that two runs can be made in turns; tables count each recording once."""
    arguments = ["eval", "run", "--data", data, "--mode", "replay", "--out", tmp_path / "out", "--repeats"]
    for repeats in (1, 3):
        assert asr(*arguments, repeats) == 0
    assert len(engine.opened) == 6
    run = read_run(tmp_path / "out")
    assert [trace.utterance for trace in run.traces] == ["a", "c"]
    assert [(trace.utterance, trace.repeat) for trace in run.repeats] == [("a", 1), ("c", 1), ("a", 2), ("c", 2)]
    assert json.loads((tmp_path / "out" / "report.json").read_text())["dataset_figures"][0]["utterances"] == 2


def test_another_model_is_first_in_each_repeat(
    asr, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the place in the order is worth, in memory too, is no difference between the models."""
    loaded: list[str] = []

    def load(name: str, *_: object) -> ScriptedEngine:
        loaded.append(name)
        return ScriptedEngine(name=name)

    monkeypatch.setattr("eval.runs.command.load_engine", load)
    models = ["--model", "one", "--model", "other", "--repeats", 3]
    assert asr("eval", "run", "--data", data, "--mode", "replay", "--out", tmp_path / "out", *models) == 0
    traces = list(read_traces(tmp_path / "out" / "traces.jsonl"))
    first = [next(t.model for t in traces if (t.utterance, t.repeat) == ("a", repeat)) for repeat in range(3)]
    assert first == ["one", "other", "one"]
    assert loaded[-8:] == ["other", "one"] * 2 + ["one", "other"] * 2  # each alone for its memory, then both


def test_a_finished_run_is_not_run_again(asr, engine, data: Path, tmp_path: Path) -> None:
    """The same command reads its traces and reports."""
    for opened in (2, 2):
        assert asr("eval", "run", "--data", data, "--out", tmp_path / "out", "--mode", "replay") == 0
        assert len(engine.opened) == opened


def test_a_run_with_anything_else_is_refused(asr, data: Path, tmp_path: Path, capsys) -> None:
    """Numbers of two settings, two data sets or two models do not mix; the sentence names what differs."""
    arguments = ["eval", "run", "--out", tmp_path / "out", "--mode", "replay"]
    assert asr(*arguments, "--data", data) == 0
    (tmp_path / "s.toml").write_text("[stream]\nupdate_ms = 400\n")
    assert asr(*arguments, "--data", data, "--settings", tmp_path / "s.toml") == 2
    assert "another settings stream update_ms (there 0, now 400)" in capsys.readouterr().err
    (data / "a.txt").touch()
    with (data / "manifest.jsonl").open("a") as manifest:
        manifest.write('\n{"audio_filepath": "a.wav", "text": "more", "duration": 1.5}')
    assert asr(*arguments, "--data", data) == 2
    assert "another data spoken" in capsys.readouterr().err


def test_unsupported_languages_are_skipped(asr, engine, data: Path, tmp_path: Path) -> None:
    """The run records them by language and count, and continues with the others."""
    engine.languages = ("en",)
    with (data / "manifest.jsonl").open("a") as manifest:
        manifest.write('\n{"audio_filepath": "a.wav", "text": "xin chào", "duration": 1.5, "language": "vi"}')
    assert asr("eval", "run", "--data", data, "--out", tmp_path / "out", "--mode", "replay") == 0
    run = read_run(tmp_path / "out")
    assert [trace.language for trace in run.traces] == ["en", "en"]
    assert run.not_taken == (UnsupportedLanguage("scripted", "spoken", "vi", 1),)


def test_a_run_without_any_language_of_the_model_is_refused_in_a_sentence(asr, engine, data: Path, capsys) -> None:
    """Nothing would be recognised; the sentence names model, language and number."""
    engine.languages = ("de", "vi")
    for command in (("run",), ("run", "--mode", "replay,offline", "--capacity", "1")):
        assert asr("eval", *command, "--data", data, "--out", data / "out") == 2
        assert "scripted does not know en (3 of spoken)" in " ".join(capsys.readouterr().err.split())
    assert asr("eval", "sweep", "--data", data, "--out", data / "sweep", "--grid", "stream.update_ms=400") == 1
    assert "none of the recordings is in a language of the model" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["English", "eng", "en-GB", "EN_us"])
def test_a_language_may_have_any_of_its_names(asr, engine, data: Path, tmp_path: Path, name: str) -> None:
    """In a manifest as on the command line."""
    engine.languages = ("en",)
    manifest = data / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"en"', f'"{name}"'))
    assert asr("eval", "run", "--data", data, "--out", tmp_path / "out", "--mode", "replay") == 0
    assert [trace.text for trace in read_run(tmp_path / "out").traces] == ["red green blue"] * 2


def test_a_run_can_be_read_before_it_is_whole(asr, data: Path, tmp_path: Path) -> None:
    """What it was made with stands there before the first trace."""
    out = tmp_path / "out"
    assert asr("eval", "run", "--data", data, "--out", out, "--mode", "replay") == 0
    (out / "traces.jsonl").unlink()
    run = read_run(out)
    assert run.traces == ()
    assert run.signature.models[0].name == "scripted"
    with pytest.raises(ConfigError, match=r"found no run\.json"):
        read_run(tmp_path)


def test_a_live_run_makes_the_same_report(asr, data: Path, tmp_path: Path) -> None:
    """Real sockets; who recognised is known by name only."""
    with listening(answer) as url:
        arguments = ["--data", data, "--out", tmp_path / "out", "--mode", "live", "--url", url, "--limit", "1"]
        assert asr("eval", "run", *arguments) == 0
    (told,) = read_traces(tmp_path / "out" / "traces.jsonl")
    assert (told.mode, told.text) == ("live", "red green")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["dataset_figures"][0]["figures"]["coverage"] == 100.0
    assert report["dataset_figures"][0]["figures"]["stable_p50"] is not None


def test_a_run_whose_every_stream_failed_fails(asr, data: Path, tmp_path: Path, capsys) -> None:
    """There is nothing to score; the first error is printed."""
    arguments = ["--data", data, "--out", tmp_path / "out", "--mode", "live", "--url", "ws://127.0.0.1:9"]
    assert asr("eval", "run", *arguments) == 1
    assert "all 2 streams failed" in capsys.readouterr().err


def test_settings_do_not_silently_miss_the_server(asr, data: Path, tmp_path: Path, capsys) -> None:
    """A run in several modes with settings that only one of them has would compare apples with pears."""
    (tmp_path / "s.toml").write_text("[stream]\nupdate_ms = 800\n")
    arguments = ["--data", data, "--out", tmp_path / "out", "--mode", "live", "--settings", tmp_path / "s.toml"]
    assert asr("eval", "run", *arguments) == 2
    assert "does not reach a server" in capsys.readouterr().err


def test_settings_reach_the_engine_and_the_signature(asr, engine, data: Path, tmp_path: Path) -> None:
    """A number without its settings cannot be had again."""
    (tmp_path / "s.toml").write_text("[stream]\nupdate_ms = 800\n")
    out = tmp_path / "out"
    assert asr("eval", "run", "--data", data, "--out", out, "--mode", "replay", "--settings", tmp_path / "s.toml") == 0
    assert engine.opened[0]["settings"].stream.update_ms == 800
    report = json.loads((out / "report.json").read_text())
    assert report["signature"]["settings"]["stream"]["update_ms"] == 800


def test_live_and_replay_and_offline_agree_on_what_was_said(asr, data: Path, tmp_path: Path) -> None:
    """One definition of every metric: all modes end in finals."""
    out = tmp_path / "out"
    assert asr("eval", "run", "--data", data, "--out", out) == 0
    for told in read_traces(out / "traces.jsonl"):
        assert any(isinstance(entry.event, Final) for entry in told.entries)
        assert told.text == "red green blue"


def test_a_run_under_conditions_scores_each_as_a_data_set(asr, data: Path, tmp_path: Path) -> None:
    """The same utterances under their own names; signature and traces say which conditions; a broken file counts once
    in each."""
    soundfile.write(tmp_path / "hiss.wav", np.random.default_rng(0).standard_normal(16_000) / 10, SAMPLE_RATE_HZ)
    out = tmp_path / "out"
    noise = ["--noise", tmp_path / "hiss.wav", "--snr", "10,0"]
    assert asr("eval", "run", "--data", data, "--out", out, "--mode", "offline", *noise) == 0
    traces = list(read_traces(out / "traces.jsonl"))
    names = ["spoken", "spoken+hiss@10dB", "spoken+hiss@0dB"]
    assert [(t.dataset, t.utterance) for t in traces] == [(name, u) for name in names for u in "ac"]
    assert dict(traces[-1].attributes) == {"noise": "hiss", "snr_db": "0"}
    signature = json.loads((out / "report.json").read_text())["signature"]
    assert set(signature["data"]) == set(names)
    assert signature["settings"]["options"]["conditions"]["snr_db"] == "10,0"


def test_a_missing_mlflow_is_named_before_the_work(
    asr, engine, data: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.report.mlflow.find_spec", lambda name: None)
    assert asr("eval", "run", "--data", data, "--out", tmp_path / "out", "--mlflow", str(tmp_path / "store")) != 0
    assert "MLflow is not installed" in capsys.readouterr().err
    assert not engine.opened
    assert not (tmp_path / "out").exists()
