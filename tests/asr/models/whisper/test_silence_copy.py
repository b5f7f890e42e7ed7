"""The states of silence are computed once for each model and precision, then read from the user's cache."""

from pathlib import Path

import pytest
import torch

from asr.models.registry import load_model_files
from asr.models.whisper.architecture import recogniser_of
from asr.models.whisper.files import WhisperFiles
from asr.models.whisper.network import WhisperNetwork
from asr.models.whisper.silence_copy import SilenceCopy
from tests.asr.model_files.packaged import flip_a_byte

STATES = torch.arange(12.0).view(3, 4)


def files_of(sha256: str = "a" * 64, device: str = "cpu") -> WhisperFiles:
    """What the copy needs of a model's files: a width, a hash, and where the tensors are."""
    tensors = {"model.decoder.embed_tokens.weight": torch.empty(1, device=device)}
    return WhisperFiles("tiny-test", "whisper", tensors, {"d_model": 4}, Path(), sha256, {})


def copies(cache: Path) -> list[Path]:
    return sorted((cache / "models").glob("*.silence"))


def test_a_copy_gives_the_same_states(own_cache: Path) -> None:
    """For its model and its precision alone."""
    assert SilenceCopy(files_of(), "int8").read() is None
    SilenceCopy(files_of(), "int8").write(STATES)
    assert torch.equal(SilenceCopy(files_of(), "int8").read(), STATES)
    assert SilenceCopy(files_of(), "float32").read() is None
    assert SilenceCopy(files_of("b" * 64), "int8").read() is None


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "a folder"])
def test_a_damaged_copy_is_no_copy(own_cache: Path, damage: str) -> None:
    """It is computed and written again."""
    SilenceCopy(files_of(), "int8").write(STATES)
    (copy,) = copies(own_cache)
    whole = copy.read_bytes()
    if damage == "flipped":
        flip_a_byte(copy, len(whole) - 5)
    elif damage == "a folder":
        copy.unlink()
        copy.mkdir()
    else:
        copy.write_bytes(b"" if damage == "empty" else whole[: len(whole) // 2])
    assert SilenceCopy(files_of(), "int8").read() is None
    SilenceCopy(files_of(), "int8").write(STATES)
    assert damage == "a folder" or copy.read_bytes() == whole


def test_other_code_and_other_devices_have_no_copy(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy made by another version of the network would be wrong; a model without a hash is a training's."""
    SilenceCopy(files_of(), "int8").write(STATES)
    for files in (files_of(device="meta"), files_of(sha256="")):
        SilenceCopy(files, "int8").write(STATES)
        assert SilenceCopy(files, "int8").read() is None
    assert len(copies(own_cache)) == 1
    monkeypatch.setattr("asr.models.whisper.silence_copy._CODE", ())
    assert SilenceCopy(files_of(), "int8").read() is None


def test_a_copy_replaces_those_of_other_code(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own model and precision alone."""
    kept = [("a", "float32"), ("b", "int8")]
    for letter, precision in [*kept, ("a", "int8")]:
        SilenceCopy(files_of(letter * 64), precision).write(STATES)
    others = [path for path in copies(own_cache) if not path.name.startswith("a" * 32 + "-int8-")]
    monkeypatch.setattr("asr.models.whisper.silence_copy._CODE", ())
    SilenceCopy(files_of(), "int8").write(STATES + 1)
    assert torch.equal(SilenceCopy(files_of(), "int8").read(), STATES + 1)
    assert len(others) == len(kept)
    assert len(copies(own_cache)) == len(kept) + 1
    assert set(others) < set(copies(own_cache))


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a file where its folder should be, there is never a copy, and never an error."""
    (tmp_path / "occupied").touch()
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "occupied"))
    SilenceCopy(files_of(), "int8").write(STATES)
    assert SilenceCopy(files_of(), "int8").read() is None


@pytest.mark.model
def test_a_second_load_computes_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real model: the states of the second load are those of the first, bit for bit, and so is what it decodes."""
    files = load_model_files("whisper-tiny.en")
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "cache"))
    first = recogniser_of(files, "int8").network
    monkeypatch.setattr(WhisperNetwork, "_states_of_silence", _must_not_run)
    second = recogniser_of(files, "int8").network
    assert torch.equal(first.silence, second.silence)
    for one, other in zip(first._silence, second._silence, strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.values, other.values)


def _must_not_run(network: WhisperNetwork) -> torch.Tensor:
    raise AssertionError("computed again")
