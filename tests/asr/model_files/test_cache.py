"""The cache folder: remembered hashes, and files that are complete or not there."""

from pathlib import Path

import pytest

from asr.model_files.cache import cache_dir, write_atomically
from asr.models.registry import load_model_files
from tests.asr.model_files.packaged import Packaged

pytestmark = pytest.mark.usefixtures("own_cache")


def test_a_second_load_does_not_read_the_weights_again(packaged: Packaged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose size and times have not changed were hashed before; a start is quick then."""
    load_model_files("tiny-test")
    load_model_files("tiny-test")
    monkeypatch.setattr("asr.model_files.cache.sha256_of", lambda paths: pytest.fail(f"read {paths} again"))
    load_model_files("tiny-test")


def test_a_damaged_record_of_a_hash_is_not_believed(packaged: Packaged) -> None:
    """The remembered hashes are a cache too."""
    load_model_files("tiny-test")
    for record in (cache_dir() / "hashes").iterdir():
        record.write_text('{"files": [')
    assert load_model_files("tiny-test").weights_sha256 == packaged.sha256


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    """The new content goes to a temporary file first: a writer that dies leaves what was there, and no rubbish."""

    def die_half_way(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    target = tmp_path / "file"
    target.write_bytes(b"whole")
    with pytest.raises(KeyboardInterrupt):
        write_atomically(target, die_half_way)
    assert target.read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["file"]


def test_the_cache_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Our own variable first, then XDG's, then ~/.cache."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("STEADYWORD_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"
    monkeypatch.delenv("STEADYWORD_CACHE")
    assert cache_dir() == tmp_path / "xdg" / "steadyword"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == tmp_path / ".cache" / "steadyword"
