"""The subcommands `asr monitor` and `asr labels`. Imports nothing heavy at module level: `asr --help` stays fast."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.errors import AsrError
from asr.model_commands import group_of
from asr.options import takes_ledger

if TYPE_CHECKING:
    from ops.monitor import Decision

LedgerPlace = Annotated[
    str, typer.Option("--ledger", envvar="ASR_LEDGER", help="The ledger of releases: a file, or an SQLAlchemy URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def register(app: typer.Typer) -> None:
    """Adds the subcommands to the command `asr`."""
    app.command()(monitor)
    labels = typer.Typer(help="Labels of live streams: what people found wrong in the texts of releases.")
    labels.callback()(_labels)
    labels.command("import")(labels_import)
    app.add_typer(labels, name="labels")
    group_of(app, "models").command()(takes_ledger(mirror))


def monitor(
    ledger: LedgerPlace,
    once: Annotated[bool, typer.Option("--once", help="Look once, and exit.")] = False,
    config: Annotated[Path | None, typer.Option(help="TOML that overrides configs/rollout.toml.")] = None,
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 10.0,
    metrics: Annotated[Path | None, typer.Option(help="A file for Prometheus' textfile collector.")] = None,
    as_json: AsJson = False,
) -> None:
    """Promote, stop and roll back releases by what the ledger proves. The server lives without it."""
    import json
    import signal
    import threading
    import time

    from asr.ledger import open_ledger
    from ops.metrics import write
    from ops.monitor import look, run
    from ops.policy import load_policy

    policy, book, stop = load_policy(config), open_ledger(ledger), threading.Event()
    said: dict[str, str] = {}

    def report(decision: "Decision") -> None:
        line = json.dumps(decision.as_dict(), ensure_ascii=False) if as_json else str(decision)
        if once or said.get(decision.name) != line:  # a monitor that waits says so once
            typer.echo(line)
        said[decision.name] = line

    def look_once() -> None:
        decisions = look(book, policy, time.time(), report)
        if metrics is not None:
            write(metrics, decisions, time.time())

    def failed(error: AsrError) -> None:
        typer.echo(f"asr: {error}", err=True)

    if once:
        return look_once()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    run(look_once, failed, every_s, stop)


def mirror(
    mlflow: Annotated[str, typer.Option(help="MLflow's registry: a server's address, sqlite:///FILE, or a folder.")],
    once: Annotated[bool, typer.Option("--once", help="Mirror once, and exit.")] = False,
    every_s: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = 5.0,
) -> None:
    """Show releases and aliases in MLflow's registry. An alias moved there passes the same gate, or is put back."""
    import signal
    import threading

    from asr.model_commands import opened
    from ops.mlflow import synchronise
    from ops.monitor import run

    stop = threading.Event()
    with opened() as ledger:

        def look() -> None:
            for sentence in synchronise(ledger, mlflow):
                typer.echo(sentence)

        if once:
            return look()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        run(look, lambda error: typer.echo(f"asr: {error}", err=True), every_s, stop)


def labels_import(
    file: Annotated[Path, typer.Argument(help="JSON lines: stream_id, name, release, words, errors, by.")],
    ledger: LedgerPlace,
) -> None:
    """Add labels to the ledger. Lines that are there already are not added twice; bad lines are left out."""
    import time

    from asr.ledger import open_ledger
    from ops.labels import import_labels

    added, known, problems = import_labels(file, open_ledger(ledger), time.time())
    for problem in problems:
        typer.echo(f"asr: {problem}", err=True)
    typer.echo(f"{added} labels added, {known} were there, {len(problems)} lines left out")
    if problems:
        raise typer.Exit(1)


def _labels() -> None:
    """Labels of live streams: what people found wrong in the texts of releases."""
