"""The subcommands `asr pipeline run` and `asr pipeline status`. Imports nothing heavy at module level."""

from pathlib import Path
from typing import Annotated

import typer

from asr.options import takes_ledger

EXIT_CODES = {"done": 0, "failed": 1, "rejected": 3, "waiting": 4}
"""States of the last step, and how `asr pipeline run` exits."""


def register(app: typer.Typer) -> None:
    """Adds the group `pipeline` to the command `asr`."""
    group = typer.Typer(help="From data to the champion: audit, train, evaluate, gate, add, shadow, canary, promote.")
    group.callback()(pipeline)
    group.command("run")(takes_ledger(pipeline_run))
    group.command("status")(takes_ledger(pipeline_status))
    app.add_typer(group, name="pipeline")


def pipeline() -> None:
    """From data to the champion: audit, train, evaluate, gate, add, shadow, canary, promote."""


def pipeline_run(
    file: Annotated[Path, typer.Argument(help="The pipeline's settings, such as configs/pipeline.toml.")],
    condition: Annotated[str, typer.Option(help="Train and evaluate also under it, such as telephone+mulaw.")] = "",
    trigger: Annotated[int | None, typer.Option(min=1, help="The row of the trigger that starts it.")] = None,
) -> None:
    """Make the steps that are left. Exits 0: all done, 3: rejected, 4: waiting for live streams, 1: failed."""
    import time

    from asr.model_commands import opened
    from ops.pipeline.plan import load_plan
    from ops.pipeline.run import run

    plan = load_plan(file)
    last = run(opened(must_exist=True), plan, time.time(), typer.echo, condition, trigger)
    raise typer.Exit(EXIT_CODES[last.state])


def pipeline_status(
    name: Annotated[str, typer.Argument(help="A model with releases. [default: all]")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show the last run of each pipeline with its steps, and the last triggers and non-triggers with their reasons."""
    import json
    from dataclasses import asdict

    from asr.ledger import Pipelines
    from asr.model_commands import opened

    ledger = opened(must_exist=True)
    rows = Pipelines(ledger)
    for each in [name] if name else ledger.names():
        runs, triggers = rows.runs(each)[-1:], rows.triggers(each)[-5:]
        steps = [row for row in rows.steps(each) if runs and row.run == runs[0].id]
        if as_json:
            table = {"run": asdict(runs[0]) if runs else None, "steps": list(map(asdict, steps))}
            typer.echo(json.dumps({"name": each, **table, "triggers": list(map(asdict, triggers))}))
            continue
        typer.echo(f"{each}: " + (f"run {runs[0].id}" if runs else "no run yet"))
        for row in {row.step: row for row in steps}.values():  # the last row of each step
            typer.echo(f"  {row.step:8} {row.state:9} {row.why}")
        for one in triggers:
            typer.echo(f"  {'trigger' if one.fires else 'no trigger'}: {one.cause} ({one.kind}): {one.why}")
