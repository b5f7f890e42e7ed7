"""The command `asr`. Its subcommands are registered by each package, through an entry point of the group `GROUP`.

The only place that turns errors into exit codes: 0 for success, 1 for a failure, 2 for wrong use, 130 for Ctrl-C.
"""

import importlib.metadata
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint

import typer

from asr.console import finish, prepare
from asr.errors import AsrError, ConfigError
from asr.own_packages import find_own_packages_first
from asr.quick_start import end_quickly

GROUP = "steadyword.commands"
DEBUG = "STEADYWORD_DEBUG"

HELP_COLUMNS = 110
"""The widest help; a narrower terminal gets narrower lines."""

FAILURE = 1
WRONG_USE = 2
INTERRUPTED = 130

UsageError = typer.BadParameter.__base__ or typer.BadParameter
"""Click's base class of usage errors, which newer versions of Typer ship themselves: so take it from Typer."""


def main() -> None:
    """Runs the command line of this process and exits."""
    find_own_packages_first()
    prepare()
    code = run(sys.argv[1:])
    code = code if finish() else code or FAILURE
    end_quickly()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. Prints an error as one sentence on standard error.

    With `STEADYWORD_DEBUG=1` it raises the error instead, for the traceback.
    """
    try:
        code = build_app()(args=list(arguments) or ["--help"], prog_name="asr", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        say(_sentence(error))
        return WRONG_USE if isinstance(error, (ConfigError, UsageError)) else FAILURE


def say(sentence: str) -> None:
    """Prints a line on standard error: standard output is for results."""
    print(f"asr: {sentence}", file=sys.stderr)


def _sentence(error: Exception) -> str:
    if isinstance(error, AsrError):
        return str(error)
    if isinstance(error, UsageError):
        return _usage(error)
    found = " ".join(str(error).split()) or "no message"
    return f"failed with {type(error).__name__}: {found} (set {DEBUG}=1 to see where)"


def _usage(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "asr"
    message = " ".join(str(getattr(error, "format_message", error.__str__)()).split()).rstrip(".")
    return f"{message}; see {command} --help"


def build_app() -> typer.Typer:
    """The command `asr` with the subcommands of all packages.

    Help is plain text: as Rich's markup, "[vad]" and "[default: 20,10]" would be styles and vanish.
    """
    app = typer.Typer(
        name="asr",
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"max_content_width": HELP_COLUMNS},
    )
    app.callback()(_about)
    for entry in importlib.metadata.entry_points(group=GROUP):
        _register(entry, app)
    return app


def _register(entry: EntryPoint, app: typer.Typer) -> None:
    """Adds one package's subcommands. A package that cannot be imported loses its own, not those of others."""
    try:
        register = entry.load()
    except (ImportError, AttributeError) as error:
        say(f"the subcommands of {entry.name} are missing ({error}); reinstall steadyword to have them")
        return
    register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"steadyword {importlib.metadata.version('steadyword')}")
        raise typer.Exit


def _about(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Streaming speech recognition whose words stay, with the evidence."""
