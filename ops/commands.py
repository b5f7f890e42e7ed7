"""The subcommands `asr monitor` and `asr labels`. Imports nothing heavy at module level: `asr --help` stays fast."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import AsrError, ConfigError
from asr.model_commands import group_of, opened
from asr.options import takes_ledger
from ops.pipeline.commands import register as pipeline_commands
from ops.quality_commands import register as quality_commands

if TYPE_CHECKING:
    from asr.ledger import Ledger
    from ops.monitor import Finding

Clips = Annotated[str, typer.Option(help="The folder of clips: that of [collect] in the server's settings.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    app.command()(takes_ledger(monitor))
    labels = typer.Typer(help="Labels of live streams: what people found wrong in the texts of releases.")
    labels.callback()(_labels)
    labels.command("import")(takes_ledger(labels_import))
    labels.command("export")(takes_ledger(labels_export))
    labels.command("serve")(takes_ledger(labels_serve))
    app.add_typer(labels, name="labels")
    data = typer.Typer(help="Audio and text of live streams that are kept by consent.")
    data.callback()(_data)
    data.command("forget")(takes_ledger(data_forget))
    data.command("sweep")(data_sweep)
    app.add_typer(data, name="data")
    moved = typer.Typer(help="Drift: which numbers of live speech moved away from a frozen reference.")
    moved.callback(invoke_without_command=True)(takes_ledger(drift))
    moved.command("reference")(takes_ledger(drift_reference))
    moved.command("conditions")(takes_ledger(drift_conditions))
    moved.command("trial")(takes_ledger(drift_trial))
    app.add_typer(moved, name="drift")
    models = group_of(app, "models")
    models.command()(takes_ledger(mirror))
    models.command("gate")(takes_ledger(models_gate))
    pipeline_commands(app)
    operations = typer.Typer(help="A page about releases, drift and quality, for this machine.")
    operations.callback()(_ops)
    operations.command("serve")(takes_ledger(ops_serve))
    app.add_typer(operations, name="ops")
    quality_commands(app)


def monitor(
    once: Annotated[bool, typer.Option("--once", help="Look once, and exit.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML that overrides configs/rollout.toml.")] = None,
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 10.0,
    metrics: Annotated[Path | None, typer.Option(help="A file for Prometheus' textfile collector.")] = None,
    as_json: AsJson = False,
    pipeline: Annotated[
        list[Path] | None, typer.Option(help="A pipeline's settings: start it when its triggers say so; repeatable.")
    ] = None,
    clips: Annotated[Path | None, typer.Option(help="The folder of clips: draw some of them for labels.")] = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Repeat past verdicts from their rows; exit 1 if one differs. Moves nothing."),
    ] = False,
) -> None:
    """Promote, stop and roll back releases by what the ledger proves. The server lives without it."""
    import json
    import time

    from ops.health import write_health
    from ops.metrics import write
    from ops.monitor import look
    from ops.policy import load_policy
    from ops.triggers import Triggers
    from ops.watchers import watchers

    book = opened(must_exist=True)
    if replay:
        return _replay(book)
    parts = (*watchers(load_policy(config), clips), *map(Triggers, pipeline or ()))
    said, failures = dict[tuple[str, str], str](), list[AsrError]()

    def report(finding: "Finding") -> None:
        line = json.dumps(finding.as_dict(), ensure_ascii=False) if as_json else str(finding)
        kind = type(finding).__name__, finding.name
        if once or said.get(kind) != line:  # a monitor that waits says so once
            typer.echo(line)
        said[kind] = line

    def failed(error: AsrError) -> None:
        failures.append(error)
        typer.echo(f"asr: {error}", err=True)

    def look_once() -> None:
        failed_before, begin_s = len(failures), time.monotonic()
        findings = look(book, parts, time.time(), report, failed)
        new = [str(error) for error in failures[failed_before:]]
        write_health(book, findings, new, time.time(), time.monotonic() - begin_s, 0.0 if once else every_s)
        if metrics is not None:
            write(metrics, findings, time.time(), book)

    _repeat(look_once, once, every_s)
    if once and failures:
        raise typer.Exit(1)


def _replay(book: "Ledger") -> None:
    """Prints whether each past verdict comes out the same, and exits with 1 where one does not."""
    from ops.monitor import replay

    results = [(move, is_same) for name in book.names() for move, is_same in replay(book, name)]
    for move, is_same in results:
        if not is_same:
            typer.echo(f"{move.name}@{move.alias}: the verdict of move {move.id} does not follow from its rows")
    different = sum(not is_same for _, is_same in results)
    typer.echo(f"{len(results)} verdicts repeated, {different} of them different")
    if different:
        raise typer.Exit(1)


def mirror(
    mlflow: Annotated[str, typer.Option(help="MLflow's registry: a server's address, sqlite:///FILE, or a folder.")],
    once: Annotated[bool, typer.Option("--once", help="Mirror once, and exit.")] = False,
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Show releases and aliases in MLflow's registry. An alias moved there passes the same gate, or is put back."""
    from ops.mlflow import synchronise

    with opened(must_exist=True) as ledger:

        def look() -> None:
            for sentence in synchronise(ledger, mlflow):
                typer.echo(sentence)

        _repeat(look, once, every_s)


def drift(
    context: typer.Context,
    explain: Annotated[bool, typer.Option("--explain", help="Show the evidence on each number.")] = False,
) -> None:
    """Show what moved in live speech: one line for each alarm, and how far the evidence is."""
    from ops.drift.report import reports

    if context.invoked_subcommand is not None:
        return
    for line in reports(opened(must_exist=True), explain):
        typer.echo(line)


def drift_reference(
    name: Annotated[str, typer.Argument(help="A model with releases, such as meetings.")],
    streams: Annotated[int, typer.Option(min=100, help="Use at most this many of the last streams.")] = 2000,
) -> None:
    """Make the last live streams the reference: speech as it should be. The evidence starts again from nothing."""
    import time

    from ops.drift.reference import freeze

    reference = freeze(opened(must_exist=True), name, time.time(), streams)
    typer.echo(f"{name}: the reference is rows {reference.after_id + 1} to {reference.until_id} of the ledger's vitals")


def drift_conditions(
    name: Annotated[str, typer.Argument(help="A model with releases; its champion is measured.")],
    data: Annotated[list[Path], typer.Option(help="A labelled set of speech as it should be; repeatable.")],
    other: Annotated[
        list[Path] | None, typer.Option(help="A labelled set of other speech: a language, an accent; repeatable.")
    ] = None,
    condition: Annotated[
        str, typer.Option(help="As asr eval run takes it. [default: telephone, codec, noise, room]")
    ] = "",
    noise: Annotated[Path | None, typer.Option(help="Recordings of noise, for noise:SNR.")] = None,
    rirs: Annotated[Path | None, typer.Option(help="Impulse responses of rooms, for reverb.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use at most this many recordings of each set.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Limit the threads of the model's libraries.")] = None,
) -> None:
    """Measure how speech under conditions looks and what it costs, so that an alarm can name the nearest one."""
    from asr.aliases import CHAMPION
    from asr.engine import Engine
    from ops.drift.measuring import Plan, keep, measured

    ledger, model = opened(must_exist=True), f"{name}@{CHAMPION}"
    plan = Plan(model, tuple(data), tuple(other or ()), condition, noise, rirs, limit)
    file = keep(ledger, name, measured(Engine.load(model, threads=threads), plan, typer.echo))
    typer.echo(f"kept in {file}")


def drift_trial(
    name: Annotated[str, typer.Argument(help="A model whose conditions are measured (asr drift conditions).")],
    trials: Annotated[int, typer.Option(min=0, help="Trials of each shift.")] = 100,
    months: Annotated[int, typer.Option(min=0, help="Months in which nothing moves.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of the first trial and month.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Keep each month there, and make none again that it has.")] = None,
) -> None:
    """Try drift on recordings: how many streams until a shift is found, and how many quiet months have an alarm."""
    from eval.measured_vitals import load
    from ops.drift.nearest import conditions_file
    from ops.drift.trial import Trial, quiet_months, summary

    trial = Trial(load(conditions_file(opened(must_exist=True), name)))
    if months:
        alarms = quiet_months(trial, range(seed, seed + months), out)
        typer.echo(f"{alarms} of {months} months in which nothing moves have an alarm")
    for each in trial.known if trials else ():
        typer.echo(str(summary(each.name, [trial.onset(each.name, seed + number) for number in range(trials)])))


def labels_import(
    file: Annotated[Path, typer.Argument(help="JSON lines of counts or of texts, or an export of Label Studio.")],
    clips: Clips = "",
    by: Annotated[str, typer.Option(help="Who labelled, where a line does not say.")] = "",
) -> None:
    """Add labels to the ledger. Lines that are there already are not added twice; bad lines are left out."""
    import time

    from ops.labelling.exchange import import_texts, is_texts
    from ops.labels import import_labels
    from server.clips.store import open_store

    ledger = opened(must_exist=True)
    if is_texts(file):
        added, known, problems = import_texts(file, ledger, open_store(clips), by or _user(), time.time())
    else:
        added, known, problems = import_labels(file, ledger, time.time())
    for problem in problems:
        typer.echo(f"asr: {problem}", err=True)
    typer.echo(f"{added} labels added, {known} were there, {len(problems)} lines left out")
    if problems:
        raise typer.Exit(1)


def labels_export(
    file: Annotated[Path, typer.Argument(help="Where to write.")],
    clips: Clips = "",
    form: Annotated[str, typer.Option(help="jsonl or label-studio.")] = "jsonl",
    labelled: Annotated[bool, typer.Option("--labelled", help="What people have labelled, not what waits.")] = False,
) -> None:
    """Write the clips that wait for a label, or those that have one, with their texts, for their owner alone."""
    import json

    from ops.labelling.exchange import exported, studio_task, write
    from server.clips.store import open_store

    if form not in ("jsonl", "label-studio"):
        raise ConfigError(f"found the form {form!r}, wanted jsonl or label-studio")
    rows = list(exported(opened(must_exist=True), open_store(clips), labelled))
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    text = json.dumps(list(map(studio_task, rows)), ensure_ascii=False) if form != "jsonl" else "\n".join(lines)
    write(file, text + "\n")
    typer.echo(f"{len(rows)} clips written")


def labels_serve(
    clips: Clips = "",
    by: Annotated[str, typer.Option(help="Who labels; by default the name of this user.")] = "",
    host: Annotated[str, typer.Option(help="Where to listen. The page has its token, and no TLS.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8010,
) -> None:
    """Open a page on which a person hears clips, corrects their texts and compares two releases blindly."""
    from ops.labelling.serve import serve
    from server.clips.store import open_store

    serve(opened(must_exist=True), open_store(clips), by or _user(), host, port, typer.echo)


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user has no name
        return "unknown"


def data_forget(
    consent: Annotated[str, typer.Argument(help="The consent that streams named, as they named it.")],
    clips: Clips = "",
) -> None:
    """Remove all audio and text of a consent for ever, and list the releases that were trained on it."""
    from ops.forget import forget, trained_on
    from server.clips.store import open_store

    store = open_store(clips)
    removed = forget(store, consent)
    typer.echo(f"{removed} files removed; nothing of this consent is kept from now on")
    releases: list[str] = []
    if _has_ledger():
        with opened(must_exist=True) as ledger:
            releases = [release.ref for release in trained_on(ledger, store.hash_of(consent))]
    typer.echo(f"trained on it: {', '.join(releases) or 'no release'}")


def data_sweep(
    retain_days: Annotated[float, typer.Option(min=0, help="Older audio and text are removed.")] = 30.0,
    clips: Clips = "",
) -> None:
    """Remove audio and text that are too old or forgotten. A server that keeps clips does so by itself."""
    import time

    from server.clips.store import open_store

    typer.echo(f"{open_store(clips).sweep(retain_days, time.time())} files removed")


def ops_serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 picks a free one.")] = 8300,
    operate: Annotated[
        bool, typer.Option("--operate", help="Let who has the printed address promote, roll back, run pipelines.")
    ] = False,
    pipeline: Annotated[
        list[Path] | None, typer.Option(help="A pipeline's settings that --operate may run; repeatable.")
    ] = None,
) -> None:
    """Serve the page on 127.0.0.1: what is live, whether it gets worse, what moved, and why nothing was done."""
    from asr.model_commands import user
    from ops.page.actions import Operator
    from ops.page.serve import serve

    if pipeline and not operate:
        raise ConfigError("found --pipeline without --operate, wanted both: a page that only reads starts nothing")
    serve(opened(must_exist=True), port, Operator(user(), tuple(pipeline or ())) if operate else None, typer.echo)


def models_gate(
    ref: Annotated[str, typer.Argument(metavar="NAME/NUMBER", help="A release, such as meetings/7.")],
    data: Annotated[list[Path], typer.Option(help="A manifest or a folder of recordings; repeatable.")],
    out: Annotated[Path, typer.Option(help="The folder of the runs; that of the champion is made once.")],
    max_wer_rise: Annotated[float, typer.Option(min=0, help="Allowed rise of WER, in points.")] = 1.0,
    max_p95_rise: Annotated[float | None, typer.Option(min=0, help="Allowed rise of the delay's p95, in s.")] = None,
    mode: Annotated[str, typer.Option(help="offline, replay; separate several by commas.")] = "replay",
    limit: Annotated[int | None, typer.Option(min=1, help="Use at most this many utterances of each set.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Limit the threads of the model's libraries.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write the checks as JUnit XML.")] = None,
    shadow: Annotated[
        float | None, typer.Option(min=0, max=1, help="If it passes, it becomes the shadow with this share of streams.")
    ] = None,
) -> None:
    """Run a release and the champion on standing sets; exit 1 if the release is worse, 2 if that cannot be said."""
    from eval.commands import eval_run
    from eval.report.gate import Limits
    from ops.gate import judge, releases

    book = opened(must_exist=True)
    gated = releases(book, ref)
    for release in (gated.champion, gated.new):
        folder = gated.run_of(release, out)
        eval_run(data, folder, model=[release.ref], mode=mode, limit=limit, threads=threads)
    judge(book, gated, out, Limits(wer=max_wer_rise, p95_s=max_p95_rise), junit, shadow)
    if shadow is not None:
        typer.echo(f"{gated.new.ref} is {gated.new.name}@shadow and hears {shadow:.0%} of the streams")


def _repeat(look: Callable[[], None], once: bool, every_s: float) -> None:
    """Looks once, or again and again until Ctrl-C or SIGTERM; then a failed look is reported, and does not end it."""
    import signal
    import threading

    from ops.monitor import run

    if once:
        return look()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run(look, lambda error: typer.echo(f"asr: {error}", err=True), every_s, stop)


def _has_ledger() -> bool:
    from asr.released import ledger_place

    place = ledger_place()
    return place is not None and ("://" in place or Path(place).expanduser().is_file())


def _ops() -> None:
    """A page about releases, drift and quality, for this machine."""


def _data() -> None:
    """Audio and text of live streams that are kept by consent."""


def _labels() -> None:
    """Labels of live streams: what people found wrong in the texts of releases."""
