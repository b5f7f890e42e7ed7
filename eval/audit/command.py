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
from eval.runs.setup import console
from eval.runs.signature import commit, versions
from eval.trace import Trace, read_traces

PACKAGES = ("steadyword", "numpy", "silero-vad", "pyloudnorm", "whisper-normalizer", "jiwer", "num2words")
TRACES, TABLE, PAGE = "traces.jsonl", "audit.json", "audit.html"


def run(data: Sequence[Path], out: Path, traces: Sequence[Path], limit: int | None, embed_mb: float) -> None:
    """Raises `CallerError` for data of which nothing can be used and for traces that are none."""
    datasets = _told_apart([_cut(load_dataset(path), limit) for path in data], data)
    utterances = [utterance for dataset in datasets for utterance in dataset.utterances]
    if not utterances:
        problems = [str(problem) for dataset in datasets for problem in dataset.problems]
        raise ConfigError(f"no usable recording in {', '.join(map(str, data))}; the first problem: {problems[:1]}")
    heard_by_models = list(_placed(_traces(traces), utterances))
    with progress("audit", sum(utterance.duration_s for utterance in utterances)) as bar:
        done = audit(datasets, heard_by_models, silero(), lambda utterance: bar.advance(utterance.duration_s))
    told = _told(datasets)
    out.mkdir(parents=True, exist_ok=True)
    table = {"made_of": told} | table_of(done)
    (out / TABLE).write_text(json.dumps(table, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    html = page(done, utterances, out, round(embed_mb * 1_000_000), told)
    (out / PAGE).write_text(html, encoding="utf-8")
    for line in [*verdict(done), f"More: {out / PAGE}"]:
        console().print(line, markup=False, highlight=False, soft_wrap=True)


def _cut(dataset: Dataset, limit: int | None) -> Dataset:
    return replace(dataset, utterances=dataset.utterances[:limit])


def _told_apart(datasets: Sequence[Dataset], paths: Sequence[Path]) -> tuple[Dataset, ...]:
    """Sets of one name get the name of the folder above as well; the same path twice is refused."""
    if len({path.resolve() for path in paths}) < len(paths):
        raise ConfigError(f"found the same data twice in {', '.join(map(str, paths))}, wanted each once")
    names = [dataset.name for dataset in datasets]
    told = [_longer(path, name) if names.count(name) > 1 else name for path, name in zip(paths, names, strict=True)]
    return tuple(_renamed(dataset, name) for dataset, name in zip(datasets, told, strict=True))


def _longer(path: Path, name: str) -> str:
    folder = path.resolve() if path.is_dir() else path.resolve().parent
    above = folder.parent if folder.name == name else folder
    return f"{above.name}/{name}"


def _renamed(dataset: Dataset, name: str) -> Dataset:
    utterances = tuple(replace(utterance, dataset=name) for utterance in dataset.utterances)
    return Dataset(name, utterances, dataset.problems)


def _traces(runs: Sequence[Path]) -> Iterator[Trace]:
    """Of each run's folder, or of a file of traces."""
    for run_ in runs:
        file = run_ / TRACES if run_.is_dir() else run_
        if not file.is_file():
            raise ConfigError(f"found no {TRACES} at {run_}, wanted the folder of a run")
        yield from read_traces(file)


def _placed(traces: Iterator[Trace], utterances: Sequence[Utterance]) -> Iterator[Trace]:
    """The traces of these utterances as they were recorded, under the names that their sets have here."""
    places = {(utterance.dataset.rsplit("/", 1)[-1], utterance.id): utterance.dataset for utterance in utterances}
    for trace in traces:
        place = places.get((trace.dataset.rsplit("/", 1)[-1], trace.utterance))
        if place is not None:
            yield replace(trace, dataset=place)


def _told(datasets: Sequence[Dataset]) -> dict[str, str]:
    """What the page was made of."""
    data = {f"data {dataset.name}": data_sha256(dataset.utterances)[:12] for dataset in datasets}
    return data | {"commit": commit() or "unknown"} | versions(PACKAGES)
