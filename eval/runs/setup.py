"""Loads what the commands need (data sets, settings, an engine, a server), signs their results and prints them."""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from asr.config import SessionSettings
from asr.errors import ConfigError
from asr.normalisation.normalise import normaliser_signature
from eval.data.dataset import data_sha256, join, load_dataset
from eval.data.types import Dataset, Utterance
from eval.runs.local_server import RunningServer, serving
from eval.runs.signature import PACKAGES, Model, Signature, sign
from eval.trace import Trace
from server.client.protocol import CHUNK_S

if TYPE_CHECKING:
    from asr.engine import Engine


def load_datasets(
    paths: Sequence[Path], *, limit: int | None = None, minutes: float | None = None, join_s: float | None = None
) -> tuple[Dataset, ...]:
    """Each set cut to `limit` utterances and about `minutes`, then joined into clips of about `join_s`.

    Raises `ConfigError` if no recording is left, or two sets have the same name.
    """
    datasets = tuple(_used(load_dataset(path), limit, minutes, join_s) for path in paths)
    if not any(dataset.utterances for dataset in datasets):
        problems = [str(problem) for dataset in datasets for problem in dataset.problems]
        first = f"; the first problem: {problems[0]}" if problems else ""
        raise ConfigError(f"no usable recording in {', '.join(map(str, paths))}{first}")
    names = [dataset.name for dataset in datasets]
    if len(set(names)) < len(names):
        raise ConfigError(f"two data sets have the same name ({', '.join(names)}); rename one's folder")
    return datasets


def utterances_of(datasets: Sequence[Dataset]) -> tuple[Utterance, ...]:
    """The utterances of all data sets, in order."""
    return tuple(utterance for dataset in datasets for utterance in dataset.utterances)


def load_engine(name: str, precision: str = "auto", threads: int | None = None) -> "Engine":
    """Loads the model. Imports torch, which takes seconds. Raises `CallerError` for an unknown model."""
    from asr.engine import Engine

    return Engine.load(name, precision=precision, threads=threads)


def engine_model(engine: "Engine", threads: int | None) -> Model:
    """The engine's model, for the signature."""
    return Model(engine.name, engine.weights_sha256, engine.precision, threads)


def live_model(name: str, threads: int | None, traces: Sequence[Trace]) -> Model:
    """The model of a server, for the signature; its weights hash as the server reported it in the traces."""
    return Model(name, next((trace.weights_sha256 for trace in traces if trace.weights_sha256), ""), "", threads)


def server_at(
    url: str | None, pid: int | None, model: str, threads: int | None = None, workers: int | None = None
) -> AbstractContextManager[RunningServer]:
    """The server at `url`, or one that we start and stop with the context."""
    options = () if workers is None else ("--workers", str(workers))
    return nullcontext(RunningServer(url, pid)) if url else serving(model, threads, options)


def service_key(variable: str) -> str:
    """A service's key, from this environment variable; "" for none. Raises `ConfigError` where it is empty."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if variable and not key:
        raise ConfigError(f"the environment variable {variable} is empty; wanted the service's key in it")
    return key


def sign_run(
    datasets: Sequence[Dataset],
    model: Model | tuple[Model, ...],
    settings: SessionSettings | None,
    options: dict[str, Any],
    packages: tuple[str, ...] = PACKAGES,
) -> Signature:
    """The signature of a run over these data sets; `settings` None: the server had its own."""
    languages = tuple(sorted({utterance.language for utterance in utterances_of(datasets)}))
    data = {dataset.name: data_sha256(dataset.utterances) for dataset in datasets}
    models = model if isinstance(model, tuple) else (model,)
    more = {"chunk_s": CHUNK_S, "options": options}
    return sign(data, normaliser_signature(languages), models, settings, more, packages)


def parse_counts(text: str, option: str = "--streams") -> tuple[int, ...]:
    """Numbers above 0, separated by commas. Raises `ConfigError`."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"found {option} {text!r}, wanted numbers above 0 such as 1,4,8")
    return tuple(int(part) for part in parts)


def console() -> Console:
    """A console on standard output; 180 columns wide if that is not a terminal, so that tables fit."""
    return Console(width=None if sys.stdout.isatty() else 180, markup=False, emoji=False)


def _used(dataset: Dataset, limit: int | None, minutes: float | None, join_s: float | None) -> Dataset:
    utterances = _first_minutes(dataset.utterances[:limit], minutes)
    return Dataset(dataset.name, utterances if join_s is None else join(utterances, join_s), dataset.problems)


def _first_minutes(utterances: Sequence[Utterance], minutes: float | None) -> tuple[Utterance, ...]:
    """The first utterances that together last about `minutes`; at least one."""
    taken: list[Utterance] = []
    for utterance in utterances:
        if minutes is not None and taken and sum(u.duration_s for u in taken) >= 60 * minutes:
            break
        taken.append(utterance)
    return tuple(taken)
