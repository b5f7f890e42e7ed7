"""Local folders: which layout they have, and which files are the weights."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import refusal

pytestmark = pytest.mark.usefixtures("own_cache")

Tensors = dict[str, torch.Tensor]


def test_an_empty_folder_says_what_is_wanted(tmp_path: Path) -> None:
    """Both layouts are named."""
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path} holds no model; wanted model.bin (CTranslate2), or config.json with")


def test_shards_are_one_model(
    write_transformers: Callable[[Path], Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """A model saved in several files has an index; its hash is that of the files joined in the order of their names."""
    folder = write_transformers(tmp_path / "model")
    shards = _shard(folder, random_whisper)
    model = load_model_files(str(folder))
    assert model.tensors.keys() == random_whisper.keys()
    joined = b"".join(shard.read_bytes() for shard in shards)
    assert model.weights_sha256 == hashlib.sha256(joined).hexdigest()
    shards[1].unlink()
    assert "names model-00002-of-00002.safetensors, which is not beside it" in refusal(folder)


def _shard(folder: Path, tensors: Tensors) -> list[Path]:
    names = sorted(tensors)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in halves.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    placed = {name: file for file, held in halves.items() for name in held}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": placed}))
    (folder / "model.safetensors").unlink()
    return [folder / file for file in halves]


def test_an_index_cannot_point_outside_its_folder(write_transformers: Callable[[Path], Path], tmp_path: Path) -> None:
    """A downloaded index must not make us read other files of this machine."""
    folder = write_transformers(tmp_path / "model")
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../outside.safetensors"}}))
    assert "../outside.safetensors, which is not beside it" in refusal(folder)


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "\ufeff"])
def test_a_broken_config_is_refused(write_transformers: Callable[[Path], Path], tmp_path: Path, text: str) -> None:
    """Not JSON, or JSON of another shape."""
    folder = write_transformers(tmp_path / "model")
    (folder / "config.json").write_text(text)
    assert str(folder / "config.json") in refusal(folder)
