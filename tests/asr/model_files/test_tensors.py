"""Weights as safetensors and as PyTorch files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import refusal

pytestmark = pytest.mark.usefixtures("own_cache")

Tensors = dict[str, torch.Tensor]


def test_pytorch_files_load_without_running_code(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """pytorch_model.bin is read as tensors only: a pickle that would run a function is refused, and not run."""
    folder = write_transformers(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    torch.save(random_whisper, folder / "pytorch_model.bin")
    model = load_model_files(str(folder))
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in random_whisper.items())
    torch.save({"a": _Bomb(tmp_path / "ran")}, folder / "pytorch_model.bin")
    assert "pytorch_model.bin cannot be read as weights" in refusal(folder)
    assert not (tmp_path / "ran").exists()


class _Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("end", [0, 5, 100, 20_000])
def test_a_cut_safetensors_file_is_refused(
    write_transformers: Callable[[Path], Path], tmp_path: Path, end: int
) -> None:
    """Wherever it ends: one sentence, and what helps."""
    path = write_transformers(tmp_path / "model") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:end])
    message = refusal(path.parent)
    assert message.startswith(f"{path} cannot be read as weights")
    assert message.endswith("fetch it again")
