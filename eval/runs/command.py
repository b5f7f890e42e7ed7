"""`asr eval run`: data sets through models in several modes -> a run's folder, its report, a table."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.cli import say
from asr.config import SessionSettings
from asr.errors import ConfigError
from eval.data.apply_conditions import Conditions, apply_conditions
from eval.data.types import Dataset, Utterance
from eval.normalise import base_language
from eval.progress import progress
from eval.report.command import ReportOptions, compare
from eval.report.terminal import print_summary
from eval.runs.align_references import align_references
from eval.runs.capacity import run_levels
from eval.runs.folder import RunFolder, UnsupportedLanguage, open_folder
from eval.runs.live import Target
from eval.runs.process_usage import reset_peak_memory
from eval.runs.runner import TraceCollector, parse_modes, read_recordings, run_in_process, run_live
from eval.runs.setup import (
    engine_model,
    load_datasets,
    load_engine,
    load_settings,
    parse_counts,
    server_at,
    sign_run,
    utterances_of,
)
from eval.runs.signature import Model
from eval.trace import LIVE, read_traces

if TYPE_CHECKING:
    from asr.engine import Engine

NOT_SIGNED = ("data", "out", "models", "settings_file", "url", "pid")
"""Options that do not change a number, or whose meaning (hashes, settings) is signed itself."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line asked for."""

    data: tuple[Path, ...]
    out: Path
    models: tuple[str, ...]
    mode: str
    limit: int | None
    join_s: float | None
    settings_file: Path | None
    precision: str
    threads: int | None
    url: str | None
    pid: int | None
    streams: int
    capacity: str
    conditions: Conditions
    align: bool
    aligner: str

    def signed(self) -> dict[str, Any]:
        """Those that change numbers, as JSON can hold them."""
        signed = {key: value for key, value in asdict(self).items() if key not in NOT_SIGNED}
        return signed | {"conditions": self.conditions.plain()}


@dataclass(frozen=True, slots=True)
class RequestedModel:
    """A model as it was asked for and as it was found; ``languages`` is empty where it does not say."""

    asked: str
    model: Model
    languages: tuple[str, ...] = ()

    def takes(self, utterance: Utterance) -> bool:
        language = base_language(utterance.language)
        return not language or not self.languages or language in self.languages


@dataclass(slots=True)
class EngineSlot:
    """One engine at a time: the models' memory is measured, and two would be in each other's."""

    options: RunOptions
    engine: "Engine | None" = None
    name: str = ""

    def get(self, name: str) -> "Engine":
        if self.engine is None or self.name != name:
            self.drop()
            reset_peak_memory()
            self.engine, self.name = load_engine(name, self.options.precision, self.options.threads), name
        return self.engine

    def drop(self) -> None:
        self.engine = None

    def identity(self, name: str) -> RequestedModel:
        engine = self.get(name)
        return RequestedModel(name, engine_model(engine, self.options.threads), tuple(getattr(engine, "languages", ())))


def run(options: RunOptions, shown: ReportOptions) -> None:
    """Raises `CallerError` for wrong options, unusable data, and when every stream failed."""
    modes, settings = parse_modes(options.mode), load_settings(options.settings_file)
    levels = parse_counts(options.capacity, "--capacity") if options.capacity else ()
    _check(options, modes, levels)
    datasets = apply_conditions(
        load_datasets(options.data, limit=options.limit, join_s=options.join_s), options.conditions
    )
    engines = EngineSlot(options)
    identities = [_identity(name, options, modes, engines) for name in dict.fromkeys(options.models)]
    in_process = settings if set(modes) != {LIVE} else None
    models = tuple(identity.model for identity in identities)
    signature = sign_run(datasets, models, in_process, options.signed())
    folder = open_folder(options.out, signature, _not_taken(identities, datasets))
    with _stoppable(options.out):
        collector = _run_all(options, modes, settings, datasets, identities, engines, folder)
        if levels:
            run_levels(models, levels, _for_all(identities, datasets), options.threads, folder)
    collector.check()
    print_summary(collector.traces, signature)
    compare([options.out], options.out, shown)


def _check(options: RunOptions, modes: Sequence[str], levels: Sequence[int]) -> None:
    """Raises `ConfigError` for options that would silently miss a part of the run."""
    if LIVE in modes and options.settings_file:
        raise ConfigError("--settings does not reach a server; start one with its own --config and give its --url")
    if LIVE in modes and options.precision != "auto":
        raise ConfigError("--precision does not reach a server; leave it away, or run without --mode live")
    if options.url and (len(options.models) > 1 or levels):
        raise ConfigError("--url is one server with one model; give one --model and no --capacity, or leave --url away")


def _identity(name: str, options: RunOptions, modes: Sequence[str], engines: EngineSlot) -> RequestedModel:
    """Somebody else's server is known by name only."""
    if options.url and set(modes) == {LIVE}:
        return RequestedModel(name, Model(name, threads=options.threads))
    return engines.identity(name)


def _not_taken(identities: Sequence[RequestedModel], datasets: Sequence[Dataset]) -> list[UnsupportedLanguage]:
    found = []
    for identity in identities:
        for dataset in datasets:
            refused = [u.language for u in dataset.utterances if not identity.takes(u)]
            for language in dict.fromkeys(refused):
                found.append(UnsupportedLanguage(identity.model.name, dataset.name, language, refused.count(language)))
    return found


def _for_all(identities: Sequence[RequestedModel], datasets: Sequence[Dataset]) -> list[Utterance]:
    """Speech that every model takes."""
    spoken = [utterance for utterance in utterances_of(datasets) if utterance.text]
    return [u for u in spoken if all(identity.takes(u) for identity in identities)]


@contextmanager
def _stoppable(out: Path) -> Iterator[None]:
    """Ctrl-C says what to do next."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; what is done lies in {out}, and the same command goes on from there")
        raise


def _run_all(
    options: RunOptions,
    modes: Sequence[str],
    settings: SessionSettings,
    datasets: Sequence[Dataset],
    identities: Sequence[RequestedModel],
    engines: EngineSlot,
    folder: RunFolder,
) -> TraceCollector:
    """Each model in each mode. What an earlier run of the folder did is there already."""
    taken = [(i, [u for u in utterances_of(datasets) if i.takes(u)]) for i in identities]
    total_s = len(modes) * sum(u.duration_s for _, mine in taken for u in mine)
    done = list(read_traces(folder.traces)) if folder.traces.exists() else []
    with progress(", ".join(options.models), total_s, sum(trace.duration_s for trace in done)) as bar:
        collector = TraceCollector(bar, folder.traces, done)
        if done:
            bar.say(f"going on in {folder.path}: {len(done)} of {len(modes) * sum(len(m) for _, m in taken)} are done")
        for problem in (problem for dataset in datasets for problem in dataset.problems):
            collector.leave_out(problem)
        if options.align:
            due = [u for i, mine in taken for u in mine if any(collector.lacks(u, m, i.model.name) for m in modes)]
            engine = load_engine(options.aligner, "auto", options.threads)
            collector.references = align_references(dict.fromkeys(due), engine, bar.say)
        for identity, utterances in taken:
            if set(modes) != {LIVE}:
                run_in_process(utterances, modes, engines.get(identity.asked), settings, collector)
            if LIVE in modes:
                engines.drop()
                _live(identity, options, utterances, collector)
        folder.left_out += [str(problem) for problem in collector.problems]
        folder.write()
    return collector


def _live(
    identity: RequestedModel, options: RunOptions, utterances: Sequence[Utterance], collector: TraceCollector
) -> None:
    name = identity.model.name
    recordings = list(read_recordings([u for u in utterances if collector.lacks(u, LIVE, name)], collector))
    if not recordings:
        return
    with server_at(options.url, options.pid, identity.asked, options.threads) as server:
        asked = identity.asked if options.url else ""  # our own server has no other
        run_live(recordings, Target(server.url, name, asked), server.pid, options.streams, collector)
