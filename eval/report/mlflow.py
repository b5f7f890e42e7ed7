"""Runs -> MLflow: one run a system with its parameters and figures, under one that holds the report."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from asr.errors import CallerError, ConfigError

EXPERIMENT = "steadyword"
FILES = ("report.html", "report.md", "report.json")
LONGEST_VALUE = 500
"""MLflow's own limit for a parameter."""


def log_report(uri: str, table: Mapping[str, Any], folder: Path) -> str:
    """Logs every system of a report and its files; the id of the run that holds them.

    `uri` is a tracking store: a server's address, ``sqlite:///FILE``, or a folder. Raises `ConfigError` where MLflow is
    not installed, `CallerError` where the store cannot be used.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise ConfigError("MLflow is not installed; run: pip install 'steadyword[mlops]'") from None
    try:
        client = MlflowClient(tracking_uri=_store(uri))
        parent = client.create_run(_experiment(client, uri), run_name=", ".join(table["runs"]))
        _log(client, parent.info.run_id, _parameters(table["signatures"][0]), {})
        client.set_tag(parent.info.run_id, "verdict", table["verdict"]["headline"])
        for file in FILES:
            client.log_artifact(parent.info.run_id, str(folder / file))
        for system in table["systems"]:
            _log_system(client, parent, system, table)
        client.set_terminated(parent.info.run_id)
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        wanted = "wanted a server's address, sqlite:///FILE or a folder"
        raise CallerError(f"MLflow's store {uri} cannot be used ({reason}); {wanted}") from None
    run_id: str = parent.info.run_id
    return run_id


def figures(system: Mapping[str, Any]) -> dict[str, float]:
    """Each figure that is known, and the ends of its interval: ``wer``, ``wer.low``, ``wer.high``."""
    found: dict[str, float] = {}
    for key, interval in system["figures"].items():
        told = {key: interval["value"], f"{key}.low": interval["low"], f"{key}.high": interval["high"]}
        found |= {name: float(value) for name, value in told.items() if value is not None}
    if system["peak_memory_bytes"] is not None:
        found["peak_memory_bytes"] = float(system["peak_memory_bytes"])
    return found


def _log_system(client: Any, parent: Any, system: Mapping[str, Any], table: Mapping[str, Any]) -> None:
    tags = {"mlflow.parentRunId": parent.info.run_id, "mode": system["mode"]}
    name = f"{system['name']}, {system['mode']}"
    run = client.create_run(parent.info.experiment_id, run_name=name, tags=tags)
    signature = next(s for s in table["signatures"] if s["run"] == system["run"])
    model = next((m for m in signature["models"] if m["name"] == system["model"]), {"name": system["model"]})
    told = {f"model.{key}": value for key, value in model.items()} | {"mode": system["mode"]}
    _log(client, run.info.run_id, told | _parameters(signature), figures(system))
    client.set_terminated(run.info.run_id)


def _log(client: Any, run_id: str, parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    from mlflow.entities import Metric, Param

    listed = [Param(key, str(value)[:LONGEST_VALUE]) for key, value in parameters.items()]
    client.log_batch(run_id, params=listed, metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()])


def _parameters(signature: Mapping[str, Any]) -> dict[str, Any]:
    told = {"commit": signature["commit"], "normaliser": signature["normaliser"]}
    told |= {f"data.{name}": sha256 for name, sha256 in signature["data"].items()}
    return told | dict(_flat("settings", signature["settings"])) | dict(_flat("machine", signature["machine"]))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A table's leaves by their path; MLflow's names take no other signs than these."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def _store(uri: str) -> str:
    """A folder is a store in SQLite inside it: MLflow's plain files are no longer developed."""
    if urlsplit(uri).scheme:
        return uri
    folder = Path(uri).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _experiment(client: Any, uri: str) -> str:
    """Ours, made where it is not there; the files of a store in SQLite lie beside it."""
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is not None:
        found: str = known.experiment_id
        return found
    store = _store(uri)
    beside = Path(store.removeprefix("sqlite:///")).resolve().parent if store.startswith("sqlite:///") else None
    location = None if beside is None else (beside / "artifacts").as_uri()
    made: str = client.create_experiment(EXPERIMENT, artifact_location=location)
    return made
