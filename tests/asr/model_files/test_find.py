"""From a name to a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.asr.model_files.packaged import refusal

pytestmark = pytest.mark.usefixtures("own_cache")


def test_an_unknown_name_suggests_the_close_ones() -> None:
    """The error for a typing mistake has the closest names, and then all of them."""
    message = refusal("whisper-tiny.n")
    assert message.startswith("no model named 'whisper-tiny.n'; did you mean whisper-tiny.en")
    assert "whisper-base, whisper-tiny.en, a local folder, or a hub id" in message
    assert "did you mean" not in refusal("qqqq")
    assert "no model named ''" in refusal("")


def test_a_path_to_a_file_asks_for_its_folder(write_transformers: Callable[[Path], Path], tmp_path: Path) -> None:
    """`--model .../model.safetensors` is a natural mistake."""
    path = write_transformers(tmp_path / "model") / "model.safetensors"
    assert refusal(path) == f"{path} is a file, wanted a model's name or the folder that its files are in"
