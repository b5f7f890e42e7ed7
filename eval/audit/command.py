"""`asr eval audit`: labelled recordings -> audit.html for people, audit.json for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from asr.errors import ConfigError
from eval.audit.acoustics import silero
from eval.audit.audit import audit, table_of, verdict
from eval.audit.html import page
from eval.data.dataset import data_sha256, load_dataset
from eval.data.types import Dataset, Utterance
from eval.progress import progress
from eval.runs.folder import TRACES
from eval.runs.setup import console
from eval.runs.signature import commit, versions
from eval.trace import Trace, read_traces

PACKAGES = ("steadyword", "numpy", "silero-vad", "pyloudnorm", "whisper-normalizer", "jiwer", "num2words")
TABLE, PAGE = "audit.json", "audit.html"


def run(data: Sequence[Path], out: Path, traces: Sequence[Path], limit: int | None, embed_mb: float) -> None:
    """Raises `CallerError` if no recording can be used, or `traces` names no traces."""
    datasets = _unique_names([_first(load_dataset(path), limit) for path in data], data)
    utterances = [utterance for dataset in datasets for utterance in dataset.utterances]
    if not utterances:
        problems = [str(problem) for dataset in datasets for problem in dataset.problems]
        raise ConfigError(f"no usable recording in {', '.join(map(str, data))}; the first problem: {problems[:1]}")
    matching = list(_matching(_read_runs(traces), utterances))
    with progress("audit", sum(utterance.duration_s for utterance in utterances)) as bar:
        result = audit(datasets, matching, silero(), lambda utterance: bar.advance(utterance.duration_s))
    sources = _sources(datasets)
    out.mkdir(parents=True, exist_ok=True)
    table = {"made_of": sources} | table_of(result)
    (out / TABLE).write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    html = page(result, utterances, out, round(embed_mb * 1_000_000), sources)
    (out / PAGE).write_text(html, encoding="utf-8")
    for line in [*verdict(result), f"More: {out / PAGE}"]:
        console().print(line, markup=False, highlight=False, soft_wrap=True)


def _first(dataset: Dataset, limit: int | None) -> Dataset:
    return replace(dataset, utterances=dataset.utterances[:limit])


def _unique_names(datasets: Sequence[Dataset], paths: Sequence[Path]) -> tuple[Dataset, ...]:
    """Sets with the same name are prefixed with their parent folder. Raises `ConfigError` if a path repeats."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError(f"found the same data twice in {', '.join(map(str, paths))}, wanted each once")
    names = [dataset.name for dataset in datasets]
    unique = [_prefixed(path, name) if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]
    return tuple(_renamed(dataset, name) for dataset, name in zip(datasets, unique, strict=True))


def _prefixed(path: Path, name: str) -> str:
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    above = folder.parent if folder.name == name else folder
    return f"{above.name}/{name}"


def _renamed(dataset: Dataset, name: str) -> Dataset:
    utterances = tuple(replace(utterance, dataset=name) for utterance in dataset.utterances)
    return Dataset(name, utterances, dataset.problems)


def _read_runs(runs: Sequence[Path]) -> Iterator[Trace]:
    """The traces of run folders or trace files. Raises `ConfigError` if one has none."""
    for run_ in runs:
        file = run_ / TRACES if run_.is_dir() else run_
        if not file.is_file():
            raise ConfigError(f"found no {TRACES} at {run_}, wanted the folder of a run")
        yield from read_traces(file)


def _matching(traces: Iterator[Trace], utterances: Sequence[Utterance]) -> Iterator[Trace]:
    """The traces of these utterances without conditions, with the data sets' names of this audit."""
    datasets = {(utterance.dataset.rsplit("/", 1)[-1], utterance.id): utterance.dataset for utterance in utterances}
    for trace in traces:
        dataset = datasets.get((trace.dataset.rsplit("/", 1)[-1], trace.utterance))
        if dataset is not None:
            yield replace(trace, dataset=dataset)


def _sources(datasets: Sequence[Dataset]) -> dict[str, str]:
    """The hashes of the data, the commit and the versions behind the numbers."""
    data = {f"data {dataset.name}": data_sha256(dataset.utterances)[:12] for dataset in datasets}
    return data | {"commit": commit() or "unknown"} | versions(PACKAGES)
