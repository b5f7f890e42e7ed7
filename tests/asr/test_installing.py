"""The command that installs what is missing works where it is printed."""

import shlex
import sys

import pytest

from asr.installing import install_extra, pip_install


def test_it_is_this_pythons_pip() -> None:
    words = shlex.split(pip_install("a>=1", "b[c]").removeprefix("run: "))
    assert words == [sys.executable, "-m", "pip", "install", "a>=1", "b[c]"]


@pytest.mark.parametrize(
    ("extra", "package"),
    [("mic", "sounddevice"), ("mlops", "mlflow-skinny"), ("ray", "ray"), ("lm", "kenlm"), ("hub", "huggingface"),
     ("zeroconf", "zeroconf"), ("peers", "faster-whisper")],
)  # fmt: skip
def test_an_extra_is_named_by_its_packages(extra: str, package: str) -> None:
    """No index is sure to have the project itself."""
    words = shlex.split(install_extra(extra))
    assert package in "".join(words[5:])
    assert "steadyword" not in "".join(words[5:])


def test_an_extra_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        install_extra("nothing")
