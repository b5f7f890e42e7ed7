"""Logs a report to MLflow: one run per system with its parameters and metrics, under one run that holds the report."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from asr.errors import CallerError, ConfigError
from asr.installing import install_extra
from eval.report.tables import Report, RunSignature, SystemFigures

EXPERIMENT = "steadyword"
FILES = ("report.html", "report.md", "report.json")
LONGEST_KEY, LONGEST_VALUE = 250, 500
"""MLflow's own limits for a parameter, in characters."""


def check_installed() -> None:
    """Raises `ConfigError` without MLflow: before a run of an hour, not after it."""
    if find_spec("mlflow") is None:
        raise ConfigError(f"MLflow is not installed; {install_extra('mlops')}")


def log_report(uri: str, report: Report, folder: Path) -> str:
    """Logs every system of a report, and the files in `folder`; returns the id of the run that holds them.

    `uri` is a tracking store: a server's address, ``sqlite:///FILE``, or a folder. Raises `ConfigError` where MLflow is
    not installed, `CallerError` where the store cannot be used.
    """
    check_installed()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=store_address(uri))
        parent = client.create_run(_experiment(client, uri), run_name=", ".join(report.runs))
        _log(client, parent.info.run_id, _parameters(report.signatures[0]), {})
        client.set_tag(parent.info.run_id, "verdict", report.verdict.headline)
        for file in FILES:
            client.log_artifact(parent.info.run_id, str(folder / file))
        for system in report.systems:
            _log_system(client, parent, system, report)
        client.set_terminated(parent.info.run_id)
    except (MlflowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        wanted = "wanted a server's address, sqlite:///FILE or a folder"
        raise CallerError(f"MLflow's store {uri} cannot be used ({reason}); {wanted}") from None
    run_id: str = parent.info.run_id
    return run_id


def metrics_of(system: SystemFigures) -> dict[str, float]:
    """Each known metric and the ends of its interval: ``wer``, ``wer.low``, ``wer.high``."""
    metrics: dict[str, float] = {}
    for key, interval in system.figures.items():
        values = {key: interval.value, f"{key}.low": interval.low, f"{key}.high": interval.high}
        metrics |= {name: float(value) for name, value in values.items() if value is not None}
    if system.peak_memory_bytes is not None:
        metrics["peak_memory_bytes"] = float(system.peak_memory_bytes)
    return metrics


def _log_system(client: Any, parent: Any, system: SystemFigures, report: Report) -> None:
    tags = {"mlflow.parentRunId": parent.info.run_id, "mode": system.mode}
    run = client.create_run(parent.info.experiment_id, run_name=f"{system.name}, {system.mode}", tags=tags)
    signature = next(s for s in report.signatures if s.run == system.run)
    model = next((asdict(m) for m in signature.models if m.name == system.model), {"name": system.model})
    parameters = {f"model.{key}": value for key, value in model.items()} | {"mode": system.mode}
    _log(client, run.info.run_id, parameters | _parameters(signature), metrics_of(system))
    client.set_terminated(run.info.run_id)


def _log(client: Any, run_id: str, parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(_key(key), str(value)[:LONGEST_VALUE]) for key, value in parameters.items()]
    client.log_batch(run_id, params=params, metrics=[Metric(key, value, 0, 0) for key, value in metrics.items()])


def _key(name: str) -> str:
    """A name as MLflow allows it: a data set's may have any character."""
    return re.sub(r"[^A-Za-z0-9_\-. ]", "_", name)[:LONGEST_KEY]


def _parameters(signature: RunSignature) -> dict[str, Any]:
    parameters = {"commit": signature.commit, "normaliser": signature.normaliser}
    parameters |= {f"data.{name}": sha256 for name, sha256 in signature.data.items()}
    machine = asdict(signature.machine)
    return parameters | dict(_flat("settings", signature.settings)) | dict(_flat("machine", machine))


def _flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a nested table by their path, joined with dots: MLflow's names allow few other signs."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value


def store_address(uri: str) -> str:
    """The store's address. A folder becomes an SQLite store inside it: MLflow no longer develops plain files."""
    if urlsplit(uri).scheme:
        return uri
    folder = Path(uri).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _experiment(client: Any, uri: str) -> str:
    """The id of our experiment, which is created where it is missing. Files of an SQLite store lie beside it."""
    experiment = client.get_experiment_by_name(EXPERIMENT)
    if experiment is not None:
        existing: str = experiment.experiment_id
        return existing
    store = store_address(uri)
    beside = Path(store.removeprefix("sqlite:///")).resolve().parent if store.startswith("sqlite:///") else None
    location = None if beside is None else (beside / "artifacts").as_uri()
    created: str = client.create_experiment(EXPERIMENT, artifact_location=location)
    return created
