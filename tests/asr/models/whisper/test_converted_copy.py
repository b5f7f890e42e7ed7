"""CTranslate2's weights are converted once; the copy in the cache is used only while it is intact."""

import hashlib
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from asr.model_files.cache import cache_dir
from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import Packaged, flip_a_byte

pytestmark = pytest.mark.usefixtures("own_cache")

Tensors = dict[str, torch.Tensor]


def test_a_second_load_takes_the_cached_copy_and_is_the_same(packaged: Packaged) -> None:
    """The converted copy holds the very tensors, configuration and hash of the first load."""
    first, second = load_model_files("tiny-test"), load_model_files("tiny-test")
    assert len(list((cache_dir() / "models").glob("*.safetensors"))) == 1
    assert first.config == second.config
    assert first.weights_sha256 == second.weights_sha256 == packaged.sha256
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "no note", "wrong note"])
def test_a_damaged_copy_is_made_again(packaged: Packaged, damage: str) -> None:
    """A copy that is incomplete or damaged costs a second conversion, never a wrong tensor or an error."""
    good = load_model_files("tiny-test").tensors
    copy = next((cache_dir() / "models").glob("*.safetensors"))
    note = copy.with_suffix(".sha256")
    whole = copy.read_bytes()
    if damage == "empty":
        copy.write_bytes(b"")
    elif damage == "half":
        copy.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        flip_a_byte(copy, len(whole) - 50)
    elif damage == "no note":
        note.unlink()
    else:
        note.write_text("0" * 64)
    again = load_model_files("tiny-test").tensors
    assert all(torch.equal(good[name], again[name]) for name in good)
    assert copy.read_bytes() == whole
    assert note.read_text() == hashlib.sha256(whole).hexdigest()


def test_leftovers_of_killed_writers_are_cleared_after_a_day(packaged: Packaged) -> None:
    """A killed process cannot clean up. The next conversion does, except for files that may still be written."""
    folder = cache_dir() / "models"
    folder.mkdir(parents=True)
    old, young = folder / ".x.safetensors.aa.tmp", folder / ".x.safetensors.bb.tmp"
    old.touch()
    young.touch()
    os.utime(old, (1, 1))
    load_model_files("tiny-test")
    assert not old.exists()
    assert young.exists()


def _load_in_a_process(folder: str, queue: "multiprocessing.Queue[float]") -> None:
    torch.set_num_threads(1)
    queue.put(float(sum(t.double().sum() for t in load_model_files(folder).tensors.values())))


@pytest.mark.slow
def test_two_processes_may_convert_at_once(write_ctranslate2: Callable[..., Path], tmp_path: Path) -> None:
    """Both get the model, and the copy in the cache is intact."""
    folder = str(write_ctranslate2(tmp_path / "model", "float16"))
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[float] = context.Queue()
    workers = [context.Process(target=_load_in_a_process, args=(folder, queue)) for _ in range(2)]
    for worker in workers:
        worker.start()
    sums = [queue.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join(timeout=60)
    here = float(sum(t.double().sum() for t in load_model_files(folder).tensors.values()))
    assert sums == [here, here]
    assert not list((cache_dir() / "models").glob(".*.tmp"))


def test_a_cache_that_cannot_be_written_does_no_harm(
    packaged: Packaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cache is a convenience: with a file where its folder should be, the model loads all the same."""
    (tmp_path / "occupied").touch()
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "occupied"))
    assert load_model_files("tiny-test").weights_sha256 == packaged.sha256


def test_the_hash_of_a_converted_copy_is_that_of_its_source(
    write_ctranslate2: Callable[..., Path], tmp_path: Path
) -> None:
    """Reports are signed with the hash of what the user has, not of our copy of it."""
    path = write_ctranslate2(tmp_path / "model") / "model.bin"
    assert load_model_files(str(path.parent)).weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_changed_under_the_same_name_is_another_model(
    write_ctranslate2: Callable[..., Path], random_whisper: Tensors, tmp_path: Path
) -> None:
    """The copy belongs to the content, not to the path."""
    before = load_model_files(str(write_ctranslate2(tmp_path / "model")))
    changed = random_whisper | {"model.encoder.conv1.bias": torch.zeros(16)}
    after = load_model_files(str(write_ctranslate2(tmp_path / "model", None, changed)))
    assert before.weights_sha256 != after.weights_sha256
    assert after.tensors["model.encoder.conv1.bias"].abs().sum() == 0
    assert load_file(next((cache_dir() / "models").glob(f"{after.weights_sha256[:32]}*.safetensors")))
