"""A report in a real MLflow store on this machine."""

from pathlib import Path

import pytest

from asr.cli import run as asr
from eval.report.mlflow import EXPERIMENT
from tests.eval.run_folders import spoken, write_run

pytestmark = pytest.mark.slow

mlflow = pytest.importorskip("mlflow", reason="the extra mlops is not installed")


@pytest.mark.parametrize("store", ["folder", "sqlite"])
def test_a_report_is_logged_with_its_figures(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """One run a system under one that holds the report; a second time into the same experiment; read back by MLflow."""
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run", [*spoken("worse", every=4), *spoken("better")])
    uri = f"sqlite:///{tmp_path / 'own.db'}" if store == "sqlite" else str(tmp_path / "store")
    for _ in range(2):
        assert asr(["eval", "compare", str(run), "--out", str(tmp_path / "report"), "--mlflow", uri]) == 0
    shown = capsys.readouterr().out
    client = mlflow.MlflowClient(uri if store == "sqlite" else f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert len(runs) == 6
    systems = {r.info.run_name: r for r in runs if "mlflow.parentRunId" in r.data.tags}
    worse = systems["worse, replay"].data
    assert worse.metrics["wer"] == pytest.approx(100 * (14 + 10) / 320)
    assert worse.metrics["wer.low"] < worse.metrics["wer"] < worse.metrics["wer.high"]
    assert worse.params["model.weights_sha256"] == "0" * 64
    assert worse.params["data.d"] == "0" * 64
    parent = client.get_run(systems["worse, replay"].data.tags["mlflow.parentRunId"])
    assert parent.info.status == "FINISHED"
    assert parent.info.run_id in shown
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {
        "report.html",
        "report.json",
        "report.md",
    }
    assert not (tmp_path / "mlruns").exists()


def test_a_data_set_may_have_any_name(asr, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's own names allow few characters; others become "_"."""
    monkeypatch.chdir(tmp_path)
    data = data.rename(tmp_path / "$x^$|é")
    uri = f"sqlite:///{tmp_path / 'own.db'}"
    out = tmp_path / "out"
    assert asr("eval", "run", "--data", data, "--out", out, "--mode", "offline,replay", "--mlflow", uri) == 0
    client = mlflow.MlflowClient(uri)
    runs = client.search_runs([client.get_experiment_by_name(EXPERIMENT).experiment_id])
    assert all("data._x____" in run.data.params for run in runs)


def test_a_store_that_cannot_be_used_is_one_sentence(tmp_path: Path, capsys) -> None:
    """After the report is written: nothing is lost."""
    run = write_run(tmp_path / "run", spoken("m"))
    out = tmp_path / "report"
    (tmp_path / "no folder").write_text("")
    uri = str(tmp_path / "no folder")
    assert asr(["eval", "compare", str(run), "--out", str(out), "--mlflow", uri]) == 1
    assert "cannot be used" in capsys.readouterr().err
    assert (out / "report.html").exists()
