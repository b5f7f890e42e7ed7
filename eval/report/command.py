"""The commands `asr eval compare`, `asr eval gate` and `asr eval sweep`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asr.errors import ConfigError
from asr.languages import knows
from asr.normalisation.normalise import is_by_character
from asr.text_files import lines_of
from eval.data.types import Dataset
from eval.html.formatting import listed, significant
from eval.metrics.resampling import ALPHA
from eval.metrics.scored_trace import ScoredTrace
from eval.progress import Bar, progress
from eval.report.capacity_plan import Wanted
from eval.report.gate import Check, GateError, Limits, checks, junit_xml
from eval.report.html import PageOptions, write_report
from eval.report.looks import LEDGER, Ledger, look_name
from eval.report.mlflow import log_report
from eval.report.sweep import (
    Combination,
    combinations_of,
    front_table,
    mark_front,
    point_of,
    session_settings,
    write_front,
)
from eval.runs.folder import TRACES, Run, open_folder, read_run
from eval.runs.runner import TraceCollector, run_in_process
from eval.runs.setup import console, engine_model, load_datasets, load_engine, sign_run, utterances_of
from eval.trace import KEYWORDS, OFFLINE, REPLAY, Trace, read_traces


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What the command line asked for.

    Attributes:
        plan_streams: Streams at the same time that are planned for.
        plan_p95_s: 95 % of the words are to be stable within this.
        audio_mb: Megabytes of recordings that the page may hold.
        mlflow: An MLflow tracking store; "" for none.
        keywords: A text file of words and phrases whose errors are counted, one a line; None for none.
    """

    plan_streams: int
    plan_p95_s: float
    audio_mb: float
    mlflow: str
    keywords: Path | None = None


def compare(paths: Sequence[Path], out: Path, options: ReportOptions) -> None:
    """`asr eval compare`: writes the report of these runs, prints its verdict and logs it.

    Raises `ConfigError` where a folder holds no run, or no run has a trace.
    """
    runs = [_with_keywords(read_run(path), options.keywords) for path in paths]
    if not any(run.traces for run in runs):
        raise ConfigError(f"found no traces in {', '.join(map(str, paths))}; wanted a run that has begun")
    if len({run.name for run in runs}) < len(runs):
        raise ConfigError("two runs have the same name; rename the folder of one")
    page = PageOptions(Wanted(options.plan_streams, options.plan_p95_s), options.audio_mb)
    report = write_report(runs, out, page)
    for sentence in (report.verdict.headline, *report.verdict.reasons, *report.verdict.caveats):
        console().print(sentence, markup=False, highlight=False)
    console().print(f"report: {out / 'report.html'}", markup=False, highlight=False)
    if options.mlflow:
        console().print(f"MLflow run {log_report(options.mlflow, report, out)}", markup=False, highlight=False)


def _with_keywords(run: Run, file: Path | None) -> Run:
    """The run with these keywords added to those of each recording. Raises `ConfigError` for a file without any."""
    if file is None:
        return run
    try:
        keywords = [line.strip().replace(",", " ") for line in lines_of(file.read_bytes()) if line.strip()]
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}); name a file of keywords, one a line") from None
    if not keywords:
        raise ConfigError(f"{file} has no keywords; wanted one a line")

    def added(trace: Trace) -> Trace:
        attributes = dict(trace.attributes)
        listed = [attributes[KEYWORDS]] if KEYWORDS in attributes else []
        return replace(trace, attributes=tuple(sorted((attributes | {KEYWORDS: ",".join(listed + keywords)}).items())))

    return replace(run, traces=tuple(map(added, run.traces)))


@dataclass(frozen=True, slots=True)
class GateFiles:
    """The files of `asr eval gate`.

    Attributes:
        run: The folder of the run.
        baseline: The folder of the run to compare with.
        ledger: Where looks are recorded; None: beside the baseline.
        junit: Where the checks go as JUnit XML; None: nowhere.
    """

    run: Path
    baseline: Path
    ledger: Path | None = None
    junit: Path | None = None


def gate(files: GateFiles, limits: Limits, planned_looks: int | None) -> tuple[Check, ...]:
    """`asr eval gate`: returns its checks; raises `GateError` with one sentence where a figure is worse.

    Raises `ConfigError` with one sentence where something could not be checked and nothing is worse.
    """
    new, old = read_run(files.run), read_run(files.baseline)
    ledger, data = Ledger(files.ledger or files.baseline / LEDGER), old.signature.data
    name = look_name(files.run / TRACES, files.baseline / TRACES)
    limits = replace(limits, look=ledger.look(name, data, planned_looks))
    results = checks(new, old, limits)
    if not all(check.missing for check in results):
        ledger.record(name, data)
    if files.junit:
        files.junit.write_bytes(junit_xml(results, limits.look))
    _print_checks(results, new, old, limits)
    worse = [check for check in results if check.worse]
    missing = [check for check in results if check.missing]
    if worse:
        how = "is not shown to be as good as" if limits.non_inferior else "is worse than"
        found = "; ".join(f"{c.system}: {c.sentence}" for c in worse)
        raise GateError(f"{files.run} {how} {files.baseline}: {found}")
    if missing:
        raise ConfigError("the gate could not check everything: " + "; ".join(_missing(c) for c in missing))
    return results


def _missing(check: Check) -> str:
    return check.sentence if check.system == "all" else f"{check.system}: {check.sentence}"


def _passed(results: Sequence[Check], limits: Limits) -> str:
    """What a passed gate has shown and what it has not, in one sentence."""
    if limits.non_inferior:
        return "passed: every figure is shown to be within its limit"
    rose = [check for check in results if check.rose]
    if not rose:
        return "passed: no figure rose by more than its limit; what would have been caught stands above"
    which = listed([f"{check.figure} of {check.system}" for check in rose])
    what = "more than allowed, which these data cannot tell from chance"
    return f"passed, but not shown to be as good: {which} rose by {what}; --non-inferior passes only what is shown"


def _print_checks(results: Sequence[Check], new: Run, old: Run, limits: Limits) -> None:
    for check in results:
        verdict = "WORSE" if check.worse else "missing" if check.missing else "chance?" if check.rose else "ok"
        print(f"{verdict:8} {_missing(check)}")
    if not any(check.worse or check.missing for check in results):
        print(f"verdict  {_passed(results, limits)}")
    if new.signature.machine != old.signature.machine:
        print(f"note     delay and cost are of two machines: {new.signature.machine}; {old.signature.machine}")
    chance = 100 * ALPHA / limits.look.divisor
    print(f"note     {limits.look}: wrong alarms in {significant(chance)} % of cases, in 5 % with all looks together")


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What the command line asked for; see the options of `asr eval sweep`."""

    data: tuple[Path, ...]
    out: Path
    model: str
    grid: tuple[str, ...]
    mode: str
    limit: int | None
    join_s: float | None
    threads: int | None


def sweep(options: SweepOptions) -> None:
    """`asr eval sweep`: runs every combination of settings and writes the front of those that no other beats.

    Raises `ConfigError` for an impossible grid or mode, before anything runs.
    """
    if options.mode not in (OFFLINE, REPLAY):
        raise ConfigError(f"found mode {options.mode!r}, wanted {OFFLINE} or {REPLAY}: a grid is run in process")
    combinations = combinations_of(options.grid)
    datasets = load_datasets(options.data, limit=options.limit, join_s=options.join_s)
    languages = {u.language for u in utterances_of(datasets)}
    by_character = sorted(language for language in languages if is_by_character(language))
    if by_character and len(by_character) < len(languages):
        found = f"{listed(by_character)}, counted in characters, and {len(languages) - len(by_character)} in words"
        raise ConfigError(f"found {found}, wanted one unit of errors in a sweep; name the data of one")
    total_s = len(combinations) * sum(u.duration_s for u in utterances_of(datasets))
    points = []
    with progress(f"sweep {options.model}", total_s) as bar:
        for combination in combinations:
            traces = _run_combination(combination, options, datasets, bar)
            points.append(point_of(combination.name, [ScoredTrace(trace) for trace in traces]))
    front = mark_front(points)
    console().print(front_table(front))
    console().print(f"front: {write_front(front, options.out)}", markup=False, highlight=False)


def _run_combination(
    combination: Combination, options: SweepOptions, datasets: Sequence[Dataset], bar: Bar
) -> list[Trace]:
    """The traces of one combination. Each has its own run folder, so that an interrupted sweep continues."""
    engine = load_engine(options.model, combination.precision, options.threads)
    settings = session_settings(combination)
    signed = {"mode": options.mode, "limit": options.limit, "join_s": options.join_s, "setting": combination.name}
    signature = sign_run(datasets, engine_model(engine, options.threads), settings, signed)
    folder = open_folder(options.out / combination.file_name, signature, ())
    done = list(read_traces(folder.traces)) if folder.traces.exists() else []
    collector = TraceCollector(bar, folder.traces, done)
    languages = tuple(getattr(engine, "languages", ()))
    taken = [u for u in utterances_of(datasets) if knows(languages, u.language)]
    run_in_process(taken, [options.mode], engine, settings, collector)
    collector.check()
    return collector.traces
