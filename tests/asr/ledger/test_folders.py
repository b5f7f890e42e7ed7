"""A release is a whole copy that never changes."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.ledger import Ledger, LedgerError
from asr.ledger.folders import folder_sha256
from tests.asr.ledger.releases import model_folder


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def name_a_missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


HALF: dict[str, Callable[[Path], object]] = {
    "it holds no config.json": lambda folder: (folder / "config.json").unlink(),
    "model.safetensors is cut off": lambda folder: cut_off(folder / "model.safetensors"),
    "model.safetensors is empty": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "vocab.json is cut off": lambda folder: cut_off(folder / "vocab.json"),
    "config.json is empty": lambda folder: (folder / "config.json").write_bytes(b""),
    "model-00001-of-00002.safetensors is missing": name_a_missing_shard,
    "lm.bin.part is still being written": lambda folder: (folder / "lm.bin.part").write_bytes(b"half"),
    ".lm.bin.Ab3dE6 is still being written": lambda folder: (folder / ".lm.bin.Ab3dE6").write_bytes(b"half"),
}


@pytest.mark.parametrize("found", HALF)
def test_a_half_copied_folder_is_refused(ledger: Ledger, tmp_path: Path, found: str) -> None:
    """The sentence names the file; the ledger and its folder stay as they were."""
    folder = model_folder(tmp_path / "a")
    HALF[found](folder)
    with pytest.raises(LedgerError, match=f"is not a whole model: {found}.*wanted a folder that is copied to its end"):
        ledger.add_release("m", folder, by="ann", why="too early")
    assert ledger.releases("m") == []
    assert not ledger.releases_folder.exists()


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_folder_is_refused(ledger: Ledger, tmp_path: Path, name: str) -> None:
    """A typo, or a file's path in place of its folder's."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(LedgerError, match=r"found no folder .*; wanted the folder of a model"):
        ledger.add_release("m", tmp_path / name, by="ann", why="typo")


def test_a_folder_that_changes_during_the_copy_is_refused(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program still writes into it."""
    folder = model_folder(tmp_path / "a")

    def copy(source: int, target: int, count: int) -> int:
        (folder / "vocab.json").write_text('{"another": 0}')
        raise OSError

    monkeypatch.setattr(os, "copy_file_range", copy)
    with pytest.raises(LedgerError, match="its files changed during the copy"):
        ledger.add_release("m", folder, by="ann", why="too early")
    assert list(ledger.releases_folder.iterdir()) == []


def test_a_release_does_not_change_with_its_folder(ledger: Ledger, tmp_path: Path) -> None:
    """A training that goes on writes into its files in place."""
    folder = model_folder(tmp_path / "a")
    release = ledger.add_release("m", folder, by="ann", why="a test")
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\0")
    assert ledger.verified_folder(release) == release.folder
    assert ledger.add_release("m", folder, by="ann", why="trained on").number == 2


def test_a_release_may_not_be_written(ledger: Ledger, tmp_path: Path) -> None:
    """Its files have no write permission."""
    release = ledger.add_release("m", model_folder(tmp_path / "a"), by="ann", why="a test")
    assert {path.stat().st_mode & 0o777 for path in release.folder.iterdir()} == {0o444}


@pytest.mark.parametrize("damage", ["changed", "missing", "one more", "all gone"])
def test_files_with_another_hash_are_refused_and_mended_by_adding_again(
    ledger: Ledger, tmp_path: Path, damage: str
) -> None:
    """What was added is compared with its hash before it is loaded."""
    folder = model_folder(tmp_path / "a")
    release = ledger.add_release("m", folder, by="ann", why="a test")
    weights = release.folder / "model.safetensors"
    if damage == "changed":
        content = weights.read_bytes()
        weights.chmod(0o644)
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "missing":
        weights.unlink()
    elif damage == "one more":
        (release.folder / "decoding.json").write_text("{}")
    else:
        release.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(LedgerError, match=r"the files of m/1 in .*; wanted the same files: add their folder again"):
        ledger.verified_folder(release)
    assert ledger.add_release("m", folder, by="ann", why="mended") == release
    assert ledger.verified_folder(release) == release.folder


def test_subfolders_and_hidden_files_are_not_part_of_a_release(ledger: Ledger, tmp_path: Path) -> None:
    """A training keeps its checkpoints in a subfolder, and desktops leave hidden files."""
    folder = model_folder(tmp_path / "a")
    (folder / "training").mkdir()
    (folder / "training" / "checkpoint.pt").write_bytes(b"large")
    (folder / ".DS_Store").write_bytes(b"desktop")
    release = ledger.add_release("m", folder, by="ann", why="a test")
    assert {path.name for path in release.folder.iterdir()} == {"config.json", "vocab.json", "model.safetensors"}


def test_links_to_files_are_followed(ledger: Ledger, tmp_path: Path) -> None:
    """A hub's cache holds links to blobs; the release holds their content."""
    folder = model_folder(tmp_path / "a")
    (folder / "model.safetensors").rename(tmp_path / "blob")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    release = ledger.add_release("m", folder, by="ann", why="a test")
    assert not (release.folder / "model.safetensors").is_symlink()
    (tmp_path / "blob").unlink()
    assert ledger.verified_folder(release) == release.folder


def test_the_hash_is_that_of_sha256sum(tmp_path: Path) -> None:
    """Anybody can check it: `sha256sum * | sha256sum` of GNU coreutils."""
    folder = model_folder(tmp_path / "a")
    sums = subprocess.run("LC_ALL=C; sha256sum *", shell=True, cwd=folder, capture_output=True, check=True).stdout
    assert folder_sha256(folder) == hashlib.sha256(sums).hexdigest()
