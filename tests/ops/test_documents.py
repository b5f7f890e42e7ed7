"""The workflow in docs/OPERATING.md: valid YAML, and each `asr` command in it exists with the options it names."""

import re
import shlex
from pathlib import Path
from typing import Any

import typer
import yaml

from asr.cli import build_app

DOCUMENT = Path(__file__).parents[2] / "docs" / "OPERATING.md"


def commands() -> list[list[str]]:
    """The `asr` commands of the workflow's steps, as words."""
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    workflow = yaml.safe_load(text)
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    found = [re.search(r"(?:^|\$\()asr (.*?)(?:\)$|$)", line) for line in lines]
    return [shlex.split(match.group(1)) for match in found if match]


def test_each_command_of_the_workflow_exists() -> None:
    """Every subcommand and every option is one of the command line's."""
    assert [words[:2] for words in commands()] == [
        ["train", "--config"],
        ["models", "add"],
        ["models", "gate"],
        ["monitor", "--once"],
    ]
    for words in commands():
        command: Any = typer.main.get_command(build_app())
        while hasattr(command, "commands"):
            assert words[0] in command.commands, words
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, words
