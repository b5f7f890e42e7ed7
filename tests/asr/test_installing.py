"""The command that installs what is missing works where it is printed."""

import shlex
import sys
from pathlib import Path

import pytest

from asr.installing import install_extra, pip_install

ROOT = Path(__file__).parents[2]


def test_it_is_this_pythons_pip() -> None:
    words = shlex.split(pip_install("a>=1", "b[c]").removeprefix("run: "))
    assert words == [sys.executable, "-m", "pip", "install", "a>=1", "b[c]"]


@pytest.mark.parametrize(
    ("extra", "package"),
    [("mic", "sounddevice"), ("mlops", "mlflow-skinny"), ("ray", "ray"), ("lm", "kenlm"), ("hub", "huggingface"),
     ("zeroconf", "zeroconf"), ("peers", "faster-whisper"), ("data", "pyarrow")],
)  # fmt: skip
def test_an_extra_is_named_by_its_packages(extra: str, package: str) -> None:
    """No index is sure to have the project itself."""
    words = shlex.split(install_extra(extra))
    assert package in "".join(words[5:])
    assert "steadyword" not in "".join(words[5:])


def test_an_extra_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        install_extra("nothing")


def test_nobody_is_sent_to_an_index_that_lacks_the_project() -> None:
    """Neither by a message nor by a document: a checkout installs an extra as `-e '.[EXTRA]'`."""
    code = [
        path
        for package in ("asr", "server", "batch", "eval", "train", "ops")
        for path in (ROOT / package).rglob("*.py")
    ]
    texts = [*code, *(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    texts.remove(ROOT / "asr" / "installing.py")
    assert [str(path) for path in texts if "steadyword[" in path.read_text(encoding="utf-8")] == []
