"""A model's folder -> a complete copy that never changes, named by the hash of its files.

The copy is a real one, not hard links: a training that goes on writes into the files of its folder, and would change
the live model with them. Where the file system can share blocks (Btrfs, XFS), `copy_file_range` does so at no cost.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from asr.errors import LedgerError
from asr.model_files.cache import known_sha256, remove_leftovers, sha256_of

_UNFINISHED = re.compile(
    r".*\.(part|partial|tmp|temp|incomplete|crdownload|download|aria2|filepart)|\..+\.[A-Za-z0-9]{6}", re.IGNORECASE
)
"""Names of files that programs are still writing; the last form is rsync's."""

_PIECE_BYTES = 1 << 30
_READ_ONLY = 0o444
_Marks = dict[str, tuple[int, int]]


def release_files(folder: Path) -> list[Path]:
    """The files of a release, by name: those of the folder itself without hidden ones. Subfolders do not count, since
    a training keeps its checkpoints in one."""
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def folder_sha256(folder: Path, sha256: Callable[[Sequence[Path]], str] = known_sha256) -> str:
    """SHA-256 of the names and the SHA-256 of all files of a release: `sha256sum * | sha256sum` prints it too.

    Hashes of unchanged files are remembered, unless `sha256` is another function. Raises OSError.
    """
    digest = hashlib.sha256()
    for path in release_files(folder):
        digest.update(f"{sha256([path])}  {path.name}\n".encode())
    return digest.hexdigest()


def check_complete(folder: Path) -> None:
    """Raises `LedgerError` if the folder holds no model, or only a part of one: files are missing, cut off or still
    being written."""
    if not folder.is_dir():
        raise LedgerError(f"found no folder {folder}; wanted the folder of a model")
    for path in folder.iterdir():
        if _UNFINISHED.fullmatch(path.name):
            raise _half(folder, f"{path.name} is still being written")
    if not (folder / "config.json").is_file():
        raise _half(folder, "it holds no config.json")
    for path in release_files(folder):
        _check_file(folder, path)


def _check_file(folder: Path, path: Path) -> None:
    if path.stat().st_size == 0 and path.suffix in (".json", ".safetensors", ".bin"):
        raise _half(folder, f"{path.name} is empty")
    if path.suffix == ".json":
        try:
            table = json.loads(path.read_bytes())
        except ValueError:
            raise _half(folder, f"{path.name} is cut off, or no JSON") from None
        if path.name.endswith(".index.json"):
            _check_shards(folder, table)
    elif path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="np"):
                pass
        except (SafetensorError, OSError) as error:
            raise _half(folder, f"{path.name} is cut off, or no safetensors ({error})") from None


def _check_shards(folder: Path, index: object) -> None:
    weights = index.get("weight_map") if isinstance(index, dict) else None
    for name in sorted({str(name) for name in weights.values()}) if isinstance(weights, dict) else ():
        if not (folder / name).is_file():
            raise _half(folder, f"{name} is missing")


def _half(folder: Path, found: str) -> LedgerError:
    return LedgerError(f"{folder} is not a whole model: {found}; wanted a folder that is copied to its end")


def store(folder: Path, releases: Path, check: Callable[[Path], None] | None = None) -> str:
    """Copies a model's folder to `releases`/HASH, and returns the hash.

    The copy is complete or not there at all. One that is there and whole is kept. `check` gets the copy before it has
    its name, so what was tested is what is stored. Raises `LedgerError`, and what `check` raises.
    """
    check_complete(folder)
    try:
        releases.mkdir(parents=True, exist_ok=True)
        remove_leftovers(releases)
        temporary = releases / f".{secrets.token_hex(8)}.tmp"
        try:
            _copy(folder, temporary)
            if check is not None:
                check(temporary)
            sha256 = folder_sha256(temporary, sha256_of)
            _put(temporary, releases / sha256, sha256)
            is_whole(releases / sha256, sha256)  # remembers the hashes: the first load need not read all files again
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise LedgerError(
            f"{folder} cannot be copied to {releases} ({error.strerror or error}); wanted files that can be read, and "
            "a disk with free space that this user may write"
        ) from None
    return sha256


def is_whole(folder: Path, sha256: str) -> bool:
    """Whether the folder of a release is there and has the hash that it had when it was added."""
    try:
        return folder_sha256(folder) == sha256
    except OSError:
        return False


def _copy(folder: Path, target: Path) -> None:
    before = _marks(folder)
    target.mkdir()
    for name in before:
        _copy_file(folder / name, target / name)
    if _marks(folder) != before:
        raise _half(folder, "its files changed during the copy")
    _sync_folder(target)


def _marks(folder: Path) -> _Marks:
    """Size and modification time of each file."""
    stats = {path.name: path.stat() for path in release_files(folder)}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as read, target.open("xb") as written:
        try:
            while os.copy_file_range(read.fileno(), written.fileno(), _PIECE_BYTES):
                pass
        except (OSError, AttributeError):  # another file system, an old kernel, not Linux
            read.seek(0)
            written.seek(0)
            written.truncate()
            shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(written.fileno())
    target.chmod(_READ_ONLY)


def _put(temporary: Path, target: Path, sha256: str) -> None:
    """Moves the copy to its place. A whole one there stays; a damaged one is replaced."""
    if is_whole(target, sha256):
        return
    if target.exists():
        target.rename(temporary.with_name(f".{secrets.token_hex(8)}.tmp"))  # removed as a leftover
    try:
        temporary.rename(target)
    except OSError:
        if not is_whole(target, sha256):  # else another process was faster, with the same files
            raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
