"""The help of every command prints its texts as they are written."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from asr.cli import build_app, run


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group with the words that call it."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(build_app())))


def squeezed(text: str) -> str:
    """Without white space: help is wrapped, also inside words with hyphens."""
    return "".join(text.split())


@pytest.mark.parametrize("path", sorted(COMMANDS), ids=" ".join)
def test_help_prints_every_text_whole(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets are text, not markup: ``[vad], [stream], [decode]`` was ", , ."."""
    assert run([*path, "--help"]) == 0
    shown = squeezed(capsys.readouterr().out)
    assert ",," not in shown
    command = COMMANDS[path]
    for text in (command.help, *(getattr(parameter, "help", None) for parameter in command.params)):
        assert squeezed(text or "") in shown


def test_all_packages_have_their_commands() -> None:
    """Otherwise the test above looks at half of them."""
    assert {("transcribe",), ("serve",), ("eval", "run"), ("train",), ("align",)} <= set(COMMANDS)
