"""The subcommands `asr models ...`: the models of this machine, and their releases.

Heavy modules are imported inside the commands, so that `asr --help` starts quickly.
"""

import dataclasses
import getpass
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from asr.aliases import BASIS, CANARY, DEFAULT_SHARE, DEFAULT_WEIGHT, SHADOW, SHARE, WEIGHT
from asr.errors import AsrError, ConfigError, LedgerError, ModelError
from asr.installing import as_printed
from asr.options import LEDGER, takes_ledger

if TYPE_CHECKING:
    from asr.ledger import Ledger, Move, Release
    from asr.model_files import ModelStatus

MANY_LANGUAGES = 6
"""From this many languages on, the table shows only their number."""
HASH_SHOWN = 12
"""Characters of a SHA-256 in a table."""
SHOW = "show"

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Because = Annotated[str, typer.Option(help="The reason, for the history.")]
Ref = Annotated[str, typer.Argument(metavar="NAME/NUMBER", help="A release, such as meetings/7.")]


class ModelsGroup(TyperGroup):
    """`asr models NAME` is `asr models show NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            args = [SHOW, *args]
        return super().resolve_command(ctx, args)


def models_group() -> typer.Typer:
    """The group `models`. Another package adds its commands to it: `group_of(app, "models")`."""
    group = typer.Typer(cls=ModelsGroup, rich_markup_mode=None)
    group.callback(invoke_without_command=True)(models)
    group.command(name="list")(list_all)
    for command in (show, add, shadow, canary, promote, rollback):
        group.command()(takes_ledger(command))
    return group


def group_of(app: typer.Typer, name: str) -> typer.Typer:
    """A group that another package has added to the command `asr`."""
    return next(group.typer_instance for group in app.registered_groups if group.name == name and group.typer_instance)


def models(ctx: typer.Context, as_json: Json = False) -> None:
    """List the models, or add releases of one and choose which of them is live. `asr models NAME` shows one's releases.

    Without a command: where the files of each model come from, whether they are installed, and whether their SHA-256
    is right.
    """
    if ctx.invoked_subcommand is None:
        list_all(as_json)


def list_all(as_json: Json = False) -> None:
    """List the models: where their files come from, whether they are installed, and whether their SHA-256 is right."""
    from asr.model_files import list_models

    statuses = list_models()
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(status) for status in statuses], indent=2))
        return
    console = Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=160)
    console.print(_table(statuses))
    for status in statuses:
        if not status.present:
            console.print(f"{status.name} is not here; {escape(as_printed(status.install))}", soft_wrap=True)
    for line in _live():
        console.print(line, soft_wrap=True)
    console.print(
        "Further: any folder in Transformers' or CTranslate2's layout, and any hub id (openai/whisper-small)."
    )


def _live() -> list[str]:
    """A line for each model with releases: where its aliases are."""
    from asr.released import ledger_place

    if ledger_place() is None:
        return []
    with opened(must_exist=True) as ledger:
        return [f"{name}: {_aliases(ledger, name) or 'no champion'}" for name in ledger.names()]


def _aliases(ledger: "Ledger", name: str) -> str:
    """``m/7 champion, m/8 canary (weight 0.05)``."""
    shown = []
    for alias, release in ledger.aliases(name).items():
        options = ", ".join(f"{key} {value}" for key, value in ledger.options(name, alias).items())
        shown.append(f"{release.ref} {alias}" + (f" ({options})" if options else ""))
    return ", ".join(shown)


def show(
    name: Annotated[str, typer.Argument(help="A model with releases.")],
    history: Annotated[bool, typer.Option("--history", help="Show every move of its aliases instead.")] = False,
    as_json: Json = False,
) -> None:
    """Show a model's releases and where its aliases are, or all moves with who made them and why."""
    with opened(must_exist=True) as ledger:
        releases, moves = ledger.releases(name), ledger.moves(name)
        if not releases:
            known = ", ".join(ledger.names()) or "none"
            raise LedgerError(f"the ledger {ledger.where} has no releases of {name}; it has those of: {known}")
        if as_json:
            rows: Sequence[Release | Move] = moves if history else releases
            typer.echo(json.dumps([dataclasses.asdict(row) for row in rows], indent=2, default=str))
            return
        at = {alias: release.number for alias, release in ledger.aliases(name).items()}
        table = _history_table(moves) if history else _releases_table(releases, at)
    console = Console(soft_wrap=False) if sys.stdout.isatty() else Console(width=160)
    console.print(table)


def _releases_table(releases: "Iterable[Release]", aliases: Mapping[str, int]) -> Table:
    table = Table("release", "aliases", "added (UTC)", "by", "why", "SHA-256")
    for release in releases:
        names = ", ".join(alias for alias, number in aliases.items() if number == release.number)
        row = (release.ref, names, _time(release.added_at_s), release.by, release.why, release.sha256[:HASH_SHOWN])
        table.add_row(*map(escape, row))
    return table


def _history_table(moves: "Iterable[Move]") -> Table:
    table = Table("move", "at (UTC)", "alias", "from", "to", "by", "why", "options", "evidence")
    for move in moves:
        ends = ("-" if number is None else str(number) for number in (move.from_number, move.to_number))
        evidence = {key: value for key, value in move.evidence.items() if key != BASIS}
        facts = (json.dumps(dict(values)) if values else "" for values in (move.options, evidence))
        row = (str(move.id), _time(move.at_s), move.alias, *ends, move.by, move.why, *facts)
        table.add_row(*map(escape, row))
    return table


def add(
    name: Annotated[str, typer.Argument(help="The model that it is a release of: letters, digits and .-_")],
    folder: Annotated[str, typer.Argument(help="The model's folder, or the name of an installed model.")],
    because: Because = "added",
) -> None:
    """Add a release: copy the folder, let the copy recognise the built-in sample, give it a number. Print its name."""
    from asr.model_files.export import exported

    with opened() as ledger, tempfile.TemporaryDirectory() as temporary:
        source = Path(folder).expanduser()
        if not source.is_dir():
            source = exported(_source(folder), Path(temporary))
        release = ledger.add_release(name, source, by=user(), why=because, check=_self_test(folder))
    typer.echo(release.ref)


def _source(name: str) -> Any:
    from asr.models.registry import find_model

    return find_model(name)[1]


def _self_test(shown: str) -> Callable[[Path], None]:
    """The check of a copied folder, whose errors name the folder that the user gave."""

    def check(folder: Path) -> None:
        from asr.engine import Engine
        from asr.self_test import self_test

        try:
            self_test(Engine.load(str(folder)))
        except Exception as error:  # noqa: BLE001 - weights of any content may fail anywhere in the networks
            words = str(error) if isinstance(error, AsrError) else f"{type(error).__name__}: {error}"
            reason = " ".join(words.split()).replace(str(folder), shown)
            raise ModelError(f"{shown} failed its self-test and was not added: {reason}") from None

    return check


def shadow(
    ref: Ref,
    share: Annotated[float, typer.Option(help="The share of streams that it hears, more than 0 to 1.")] = DEFAULT_SHARE,
    off: Annotated[bool, typer.Option("--off", help="Take the shadow away.")] = False,
    because: Because = "",
) -> None:
    """Let a release hear a share of the streams a second time; its words reach nobody."""

    _set_challenger(SHADOW, ref, None if off else {SHARE: _share("--share", share)}, because)


def canary(
    ref: Ref,
    weight: Annotated[float, typer.Option(help="Its share of the clients, more than 0 to 1.")] = DEFAULT_WEIGHT,
    off: Annotated[bool, typer.Option("--off", help="Take the canary away.")] = False,
    because: Because = "",
) -> None:
    """Serve a share of the clients with a release."""

    _set_challenger(CANARY, ref, None if off else {WEIGHT: _share("--weight", weight)}, because)


def _share(option: str, value: float) -> float:
    if not 0 < value <= 1:
        raise ConfigError(f"{option}: found {value:g}, wanted more than 0 and at most 1 (--off takes it away)")
    return value


def _set_challenger(alias: str, ref: str, options: Mapping[str, float] | None, because: str) -> None:
    """Puts the alias on the release, or takes it away without `options`."""
    with opened(must_exist=True) as ledger:
        release = _release(ledger, ref)
        at = ledger.aliases(release.name).get(alias)
        if options is None and at != release:
            found = "no release" if at is None else at.ref
            raise LedgerError(f"{release.name}@{alias} is on {found}, wanted {release.ref} to take it away")
        _move(ledger, release, alias, at, because or "by hand", options=options, away=options is None)


def promote(ref: Ref, because: Because = "") -> None:
    """Make a release the champion, which new streams get. Without a passed gate it needs --because."""
    from asr.ledger import by_hand

    with opened(must_exist=True) as ledger:
        for move in by_hand.promote(ledger, _release(ledger, ref), user(), because):
            _print_move(move)


def rollback(
    name: Annotated[str, typer.Argument(help="A model with releases.")], because: Because = "rolled back by hand"
) -> None:
    """Make the release before the champion the champion again."""
    from asr.ledger import by_hand

    with opened(must_exist=True) as ledger:
        _print_move(by_hand.roll_back(ledger, name, user(), because))


def _move(
    ledger: "Ledger",
    release: "Release",
    alias: str,
    at: "Release | None",
    because: str,
    options: Mapping[str, float] | None = None,
    away: bool = False,
) -> None:
    """Moves the alias from `at` to the release, or `away` from it, and prints the move as one line."""
    name, expected, to = release.name, None if at is None else at.number, None if away else release.number
    _print_move(ledger.move(name, alias, expected=expected, to=to, by=user(), why=because, options=options))


def _print_move(move: "Move") -> None:
    numbers = (move.from_number, move.to_number)
    before, after = ("no release" if number is None else f"{move.name}/{number}" for number in numbers)
    typer.echo(f"{move.name}@{move.alias}: {before} -> {after} ({move.why})")


def _release(ledger: "Ledger", ref: str) -> "Release":
    """The release of NAME/7 or NAME@alias. A bare NAME is none: it would be the champion itself."""
    from asr.ledger import resolve

    release = resolve(ref, ledger) if "/" in ref or "@" in ref else None
    if release is None:
        known = ", ".join(release.ref for name in ledger.names() for release in ledger.releases(name)) or "none yet"
        raise LedgerError(f"found {ref}, wanted a release such as NAME/7; the ledger {ledger.where} has: {known}")
    return release


def opened(must_exist: bool = False) -> "Ledger":
    """The ledger of `--ledger`, of the environment, or the user's own. A new one is created, unless it ``must_exist``.

    Raises `LedgerError`, and `ConfigError` for an empty place.
    """
    from asr.ledger import open_ledger
    from asr.ledger.database import missing_file
    from asr.released import ledger_place, own_ledger

    if os.environ.get(LEDGER) == "":
        raise ConfigError(f"found an empty {LEDGER}, which means no ledger; wanted a file or a URL of PostgreSQL")
    place = ledger_place() or str(own_ledger())
    if must_exist and (file := missing_file(place)):
        raise LedgerError(f"there is no ledger at {file}; wanted one: asr models add NAME FOLDER")
    return open_ledger(place)


def user() -> str:
    """The user's name, for the history."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no entry for this user, as in some containers
        return f"user {os.getuid()}"


def _time(at_s: float) -> str:
    """``2026-11-27 02:30:00``, in UTC."""
    import numpy as np

    return str(np.datetime64(int(at_s), "s")).replace("T", " ")


def _table(statuses: "Sequence[ModelStatus]") -> Table:
    table = Table("name", "architecture", "languages", "source", "size", "here", "SHA-256")
    for status in statuses:
        table.add_row(
            status.name,
            status.architecture,
            _languages(status.languages),
            escape(status.source),
            "-" if status.size_bytes is None else f"{status.size_bytes / 1e6:.0f} MB",
            "yes" if status.present else "no",
            {None: "-", True: "holds", False: "[red]does not hold[/red]"}[status.hash_ok],
        )
    return table


def _languages(codes: Sequence[str]) -> str:
    return ", ".join(codes) if len(codes) < MANY_LANGUAGES else f"{len(codes)} languages"
