"""`asr eval run`: runs data sets through models in several modes -> a run's folder, its report, a printed table."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.cli import say
from asr.config import SessionSettings, load_session_settings
from asr.errors import ConfigError
from asr.languages import knows
from eval.data.apply_conditions import Conditions, apply_conditions
from eval.data.types import Dataset, Utterance
from eval.metrics.estimates import peak_memory_bytes
from eval.metrics.scored_trace import ScoredTrace
from eval.progress import Bar, progress
from eval.report.command import ReportOptions, compare
from eval.report.mlflow import check_installed
from eval.report.terminal import print_summary
from eval.runs.align_references import align_references
from eval.runs.capacity import run_levels
from eval.runs.folder import RunFolder, UnsupportedLanguage, open_folder
from eval.runs.live import Target
from eval.runs.process_usage import reset_peak_memory
from eval.runs.runner import TraceCollector, Turn, parse_modes, read_recordings, run_in_process, run_in_turns, run_live
from eval.runs.setup import (
    engine_model,
    load_datasets,
    load_engine,
    parse_counts,
    server_at,
    service_key,
    sign_run,
    utterances_of,
)
from eval.runs.signature import Model
from eval.runs.uploads import run_uploads
from eval.trace import LIVE, OFFLINE, Trace, read_traces

if TYPE_CHECKING:
    from asr.engine import Engine

DEEPGRAM, OPENAI = WIRES = ("deepgram", "openai")
"""What the server at --url speaks: live streams over a WebSocket, or uploads of whole recordings."""
NOT_SIGNED = ("data", "out", "models", "settings_file", "url", "pid", "key_env", "repeats")
"""Options that change no number, or whose content (hashes, settings) the signature has."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The command line's options."""

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
    wire: str = DEEPGRAM
    key_env: str = ""
    repeats: int = 1

    @property
    def key(self) -> str:
        """The service's key, from the environment variable `key_env`. Raises `ConfigError` where it is empty."""
        return service_key(self.key_env)

    @property
    def remote_only(self) -> bool:
        """True if every mode runs at `url`, so that no model is loaded here."""
        return bool(self.url) and (self.wire == OPENAI or set(parse_modes(self.mode)) == {LIVE})

    def signed(self) -> dict[str, Any]:
        """The options that can change a number, as JSON values."""
        signed = {key: value for key, value in asdict(self).items() if key not in NOT_SIGNED}
        if self.wire == DEEPGRAM:
            del signed["wire"]  # as in older runs, which had no other
        return signed | {"conditions": self.conditions.plain()}


@dataclass(frozen=True, slots=True)
class RequestedModel:
    """A model by the name on the command line. ``languages`` is empty if the model does not list its languages."""

    name: str
    model: Model
    languages: tuple[str, ...] = ()

    def supports(self, utterance: Utterance) -> bool:
        """True if the model takes the utterance's language, or either is unknown."""
        return knows(self.languages, utterance.language)


@dataclass(slots=True)
class EngineSlot:
    """Holds one engine at a time: peak memory is measured, and a second engine would add to it."""

    options: RunOptions
    engine: "Engine | None" = None
    name: str = ""

    def load(self, name: str) -> "Engine":
        """The engine of this model; drops the one before."""
        if self.engine is None or self.name != name:
            self.drop()
            reset_peak_memory()
            self.engine, self.name = load_engine(name, self.options.precision, self.options.threads), name
        return self.engine

    def drop(self) -> None:
        """Frees the engine's memory."""
        self.engine = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has to do: each model, in each mode, over the utterances that it supports."""

    options: RunOptions
    modes: tuple[str, ...]
    settings: SessionSettings
    datasets: tuple[Dataset, ...]
    models: tuple[RequestedModel, ...]

    @property
    def in_process(self) -> bool:
        """True if any mode runs in this process."""
        return set(self.modes) != {LIVE} and self.options.wire != OPENAI

    def utterances(self, model: RequestedModel) -> list[Utterance]:
        """The utterances that this model supports."""
        return [utterance for utterance in utterances_of(self.datasets) if model.supports(utterance)]

    def common_speech(self) -> list[Utterance]:
        """The utterances with speech that every model supports."""
        spoken = [utterance for utterance in utterances_of(self.datasets) if utterance.text]
        return [u for u in spoken if all(model.supports(u) for model in self.models)]

    def unsupported(self) -> list[UnsupportedLanguage]:
        """The utterances that are not run, by model, data set and language."""
        skipped = []
        for model in self.models:
            for dataset in self.datasets:
                languages = [u.language for u in dataset.utterances if not model.supports(u)]
                for language in dict.fromkeys(languages):
                    count = languages.count(language)
                    skipped.append(UnsupportedLanguage(model.model.name, dataset.name, language, count))
        return skipped

    def check_languages(self, levels: Sequence[int]) -> None:
        """Raises `ConfigError` where there is nothing to run, or nothing that all models can be loaded with."""
        skipped = [f"{u.model} does not know {u.language} ({u.utterances} of {u.dataset})" for u in self.unsupported()]
        if not any(map(self.utterances, self.models)):
            raise ConfigError(f"no recording is in a language of the model: {'; '.join(skipped)}")
        if levels and not self.common_speech():
            why = f"in a language that all models know: {'; '.join(skipped)}" if skipped else "with a text"
            raise ConfigError(f"--capacity: found no recording {why}")


def run(options: RunOptions, report_options: ReportOptions) -> None:
    """Raises `CallerError` for wrong options, for unusable data, and if every stream failed."""
    if report_options.mlflow:
        check_installed()
    modes, settings = parse_modes(options.mode), load_session_settings(options.settings_file)
    levels = parse_counts(options.capacity, "--capacity") if options.capacity else ()
    _check(options, modes, levels)
    clean = load_datasets(options.data, limit=options.limit, join_s=options.join_s)
    datasets = apply_conditions(clean, options.conditions)
    engines = EngineSlot(options)
    requested = tuple(_requested(name, options, engines) for name in dict.fromkeys(options.models))
    plan = Plan(options, modes, settings, datasets, requested)
    plan.check_languages(levels)
    models = tuple(model.model for model in requested)
    signature = sign_run(datasets, models, settings if plan.in_process else None, options.signed())
    folder = open_folder(options.out, signature, plan.unsupported())
    with _hint_on_interrupt(options.out):
        collector = _run_all(plan, engines, folder)
        if levels:
            run_levels(models, levels, plan.common_speech(), options.threads, folder)
    collector.check()
    print_summary([trace for trace in collector.traces if not trace.repeat], signature)
    compare([options.out], options.out, report_options)


def _check(options: RunOptions, modes: Sequence[str], levels: Sequence[int]) -> None:
    """Raises `ConfigError` for options that would silently not apply to a part of the run."""
    if LIVE in modes and options.settings_file:
        raise ConfigError("--settings does not reach a server; start one with its own --config and give its --url")
    if LIVE in modes and options.precision != "auto":
        raise ConfigError("--precision does not reach a server; omit it, or run without --mode live")
    if options.wire not in WIRES:
        raise ConfigError(f"found --wire {options.wire!r}, wanted {' or '.join(WIRES)}")
    if options.wire == OPENAI and (not options.url or tuple(modes) != (OFFLINE,)):
        raise ConfigError("--wire openai uploads whole recordings; give --url and --mode offline with it")
    if options.key and not options.url:
        raise ConfigError("--key-env is for the service at --url; give both")
    if options.url and (len(options.models) > 1 or levels):
        raise ConfigError("--url is one server with one model; give one --model and no --capacity, or omit --url")


def _requested(name: str, options: RunOptions, engines: EngineSlot) -> RequestedModel:
    """Loads the model for its hash and languages; only its name is known if all runs at `options.url`."""
    if options.remote_only:
        return RequestedModel(name, Model(name, threads=options.threads))
    engine = engines.load(name)
    return RequestedModel(name, engine_model(engine, options.threads), tuple(getattr(engine, "languages", ())))


@contextmanager
def _hint_on_interrupt(out: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(f"stopped; the finished part is in {out}, and the same command continues there")
        raise


def _run_all(plan: Plan, engines: EngineSlot, folder: RunFolder) -> TraceCollector:
    """Runs each model in each mode, except what an earlier run left in the folder."""
    done = list(read_traces(folder.traces)) if folder.traces.exists() else []
    utterances = [utterance for model in plan.models for utterance in plan.utterances(model)]
    rounds = len(plan.modes) * plan.options.repeats
    total_s = rounds * sum(utterance.duration_s for utterance in utterances)
    with progress(", ".join(plan.options.models), total_s, sum(trace.duration_s for trace in done)) as bar:
        collector = TraceCollector(bar, folder.traces, done)
        if done:
            bar.say(f"continuing in {folder.path}: {len(done)} of {rounds * len(utterances)} are done")
        for problem in (problem for dataset in plan.datasets for problem in dataset.problems):
            collector.leave_out(problem)
        if plan.options.align:
            _align(plan, collector, bar)
        for repeat in range(plan.options.repeats):
            _run_repeat(repeat, plan, engines, collector)
        folder.left_out += [str(problem) for problem in collector.problems]
        folder.write()
    return collector


def _align(plan: Plan, collector: TraceCollector, bar: Bar) -> None:
    """Aligns the references of all utterances that are still to be run."""

    def is_due(utterance: Utterance, model: RequestedModel) -> bool:
        keys = ((mode, repeat) for mode in plan.modes for repeat in range(plan.options.repeats))
        return any(collector.lacks(utterance, mode, model.model.name, repeat) for mode, repeat in keys)

    due = [u for model in plan.models for u in plan.utterances(model) if is_due(u, model)]
    engine = load_engine(plan.options.aligner, "auto", plan.options.threads)
    collector.references = align_references(dict.fromkeys(due), engine, bar.say)


def _run_repeat(repeat: int, plan: Plan, engines: EngineSlot, collector: TraceCollector) -> None:
    """Everything once: all models in turns in this process, then each model's server.

    Another model is first in each repeat: what the place in the order is worth then stays with no model's name.
    """
    first = repeat % len(plan.models)
    plan = replace(plan, models=(*plan.models[first:], *plan.models[:first]))
    if plan.in_process:
        if repeat:
            engines.drop()  # loaded again, so that a lucky place in memory does not last through all repeats
        _run_in_turns(repeat, plan, engines, collector)
    for model in plan.models:
        if plan.options.wire == OPENAI:
            _run_uploads(model, plan.options, plan.utterances(model), collector, repeat)
        if LIVE in plan.modes:
            engines.drop()
            _run_live(model, plan.options, plan.utterances(model), collector, repeat)


def _run_in_turns(repeat: int, plan: Plan, engines: EngineSlot, collector: TraceCollector) -> None:
    """Runs the models that have something to do, together in memory where they are several."""
    modes = [mode for mode in plan.modes if mode != LIVE]
    due = {
        model.name: plan.utterances(model)
        for model in plan.models
        if any(collector.lacks(u, mode, model.model.name, repeat) for u in plan.utterances(model) for mode in modes)
    }
    if len(due) == 1:
        (name,) = due
        turns = [Turn(engines.load(name), due[name])]
    else:
        peaks = {name: _peak_memory_bytes(engines.load(name), due[name], plan) for name in due}
        engines.drop()
        loaded = {name: load_engine(name, plan.options.precision, plan.options.threads) for name in due}
        turns = [Turn(loaded[name], due[name], peaks[name]) for name in due]
    run_in_turns(turns, plan.modes, plan.settings, collector, repeat)


def _peak_memory_bytes(engine: "Engine", utterances: Sequence[Utterance], plan: Plan) -> int | None:
    """The peak memory of a model alone, on its longest recording; among others in turns it cannot be measured."""
    longest = max(utterances, key=lambda utterance: utterance.duration_s)
    with progress(f"memory of {engine.name}", len(plan.modes) * longest.duration_s) as bar:
        collector = TraceCollector(bar)
        run_in_process([longest], plan.modes, engine, plan.settings, collector)
    return peak_memory_bytes([ScoredTrace(trace) for trace in collector.traces])


def _run_live(
    model: RequestedModel,
    options: RunOptions,
    utterances: Sequence[Utterance],
    collector: TraceCollector,
    repeat: int,
) -> None:
    name = model.model.name
    recordings = list(read_recordings([u for u in utterances if collector.lacks(u, LIVE, name, repeat)], collector))
    if not recordings:
        return
    with server_at(options.url, options.pid, model.name, options.threads) as server:
        ask_model = model.name if options.url else ""  # our own server has only this model
        target = Target(server.url, name, ask_model, key=options.key)
        run_live(recordings, target, server.pid, options.streams, collector, repeat=repeat)


def _run_uploads(
    model: RequestedModel,
    options: RunOptions,
    utterances: Sequence[Utterance],
    collector: TraceCollector,
    repeat: int,
) -> None:
    name = model.model.name
    due = (utterance for utterance in utterances if collector.lacks(utterance, OFFLINE, name, repeat))
    target = Target(options.url or "", name, model.name, key=options.key)

    def add(trace: Trace) -> None:
        collector.add(replace(trace, repeat=repeat, began_s=time.time() - trace.end_wall_s))

    run_uploads(target, read_recordings(due, collector), options.streams, add)
