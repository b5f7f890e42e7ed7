"""The command `asr`: which text goes to which stream, and which exit code."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

import pytest
import typer

from asr import cli
from asr.errors import AsrError, AudioError, ConfigError, InternalError, ModelError, SessionError

CORE = EntryPoint("asr", "asr.commands:register", cli.GROUP)


@dataclass(frozen=True)
class Provided:
    """An entry point, as far as `asr.cli` uses it, for a function of this file."""

    name: str
    command: Callable[[], Any]

    def load(self) -> Callable[[typer.Typer], None]:
        return lambda app: app.command(name=self.name)(self.command) and None


@pytest.fixture(autouse=True)
def core_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The subcommands of the core, whatever else is installed."""
    entries(monkeypatch, CORE)


def entries(monkeypatch: pytest.MonkeyPatch, *points: EntryPoint | Provided) -> None:
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)


def provide(monkeypatch: pytest.MonkeyPatch, command: Callable[[], Any]) -> None:
    """Makes `asr do` run the given function."""
    entries(monkeypatch, Provided("do", command))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "asr: No such command 'nope'; see asr --help\n"),
        (["align"], "asr: Missing argument 'FILE'; see asr align --help\n"),
        (["align", "--nope", "a.wav"], "No such option: --nope"),
        (["align", "a.wav", "text", "--model"], "Option '--model' requires an argument"),
    ],
)
def test_wrong_use_is_one_sentence_and_two(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """Exit code 2, one line on standard error that ends with where to read more."""
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert err.endswith("--help\n")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AudioError("found x; wanted y"), 1),
        (ModelError("found x; wanted y"), 1),
        (SessionError("found x; wanted y"), 1),
        (InternalError("found x; wanted y"), 1),
        (ConfigError("found x; wanted y"), 2),
        (typer.BadParameter("found x; wanted y"), 2),
    ],
)
def test_errors_become_a_sentence_and_a_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    """1 for a failure, 2 for wrong use, whichever package's command raised it."""

    def do() -> None:
        raise error

    provide(monkeypatch, do)
    assert cli.run(["do"]) == code
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("asr: ")
    assert "found x; wanted y" in err


@pytest.mark.parametrize("error", [KeyError("k"), OSError(28, "No space left on device"), RuntimeError("a\nb")])
def test_an_unexpected_error_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    """Users never get a traceback; the sentence says how to see it."""

    def do() -> None:
        raise error

    provide(monkeypatch, do)
    assert cli.run(["do"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(f"asr: failed with {type(error).__name__}: ")
    assert err.count("\n") == 1
    assert "STEADYWORD_DEBUG=1" in err


def test_debugging_raises_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """With STEADYWORD_DEBUG=1 the exception is not turned into a sentence."""

    def do() -> None:
        raise ModelError("no")

    provide(monkeypatch, do)
    monkeypatch.setenv("STEADYWORD_DEBUG", "1")
    with pytest.raises(AsrError):
        cli.run(["do"])


def test_ctrl_c_is_130_and_silent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """128 + SIGINT, as shells have it."""

    def do() -> None:
        raise KeyboardInterrupt

    provide(monkeypatch, do)
    assert cli.run(["do"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_commands_own_exit_code_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `typer.Exit(3)` a command (a gate, say) returns a code of its choice."""

    def do() -> None:
        raise typer.Exit(3)

    provide(monkeypatch, do)
    assert cli.run(["do"]) == 3


def test_a_missing_package_takes_only_its_own_commands_away(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others work, and a line on standard error names what is missing."""
    entries(
        monkeypatch,
        EntryPoint("gone", "steadyword_gone.commands:register", cli.GROUP),
        EntryPoint("bare", "asr.errors:register", cli.GROUP),
        Provided("do", lambda: typer.echo("done")),
    )
    assert cli.run(["do"]) == 0
    out, err = capsys.readouterr()
    assert out == "done\n"
    assert [line.split(" are missing")[0] for line in err.splitlines()] == [
        "asr: the subcommands of gone",
        "asr: the subcommands of bare",
    ]


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """`asr` without arguments shows the help."""
    assert cli.run(arguments) == 0
    out, err = capsys.readouterr()
    assert "align" in out
    assert "models" in out
    assert err == ""


def test_the_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """One number, from the installed metadata."""
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("steadyword 0.")
