"""The command that installs what is missing, such that it works where it is printed: with this Python's own pip, and
with the packages themselves, since `steadyword[EXTRA]` is found only where an index has steadyword."""

import importlib.metadata
import re
import shlex
import sys

PROJECT = "steadyword"
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


def pip_install(*arguments: str) -> str:
    """``run: /usr/bin/python3.11 -m pip install 'ray>=2.40'``, to end a sentence."""
    return "run: " + shlex.join([sys.executable, "-m", "pip", "install", *arguments])


def as_printed(command: str) -> str:
    """``pip install a b``, as the models' settings have it, as a command for this Python."""
    return pip_install(*command.removeprefix("pip install ").split())


def install_extra(extra: str) -> str:
    """The same for the packages of one of the project's extras. Raises `KeyError` for an unknown extra."""
    needed = []
    for requirement in importlib.metadata.requires(PROJECT) or ():
        package, _, marker = requirement.partition(";")
        found = _EXTRA.search(marker)
        if found and found[1] == extra:
            needed.append(package.strip())
    if not needed:
        raise KeyError(extra)
    return pip_install(*needed)
