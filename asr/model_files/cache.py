"""The user's cache folder: remembered hashes, and files that are written completely or not at all.

The cache only saves time: a folder that cannot be written makes the next start slower and changes no result.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

_PIECE_BYTES = 1 << 20
_TEMPORARY = ".tmp"
_DAY_S = 86_400


def cache_dir() -> Path:
    """`$STEADYWORD_CACHE`, else `$XDG_CACHE_HOME/steadyword`, else `~/.cache/steadyword`. It may not exist yet."""
    if own := os.environ.get("STEADYWORD_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "steadyword"
    return Path.home() / ".cache" / "steadyword"


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a temporary name in `path`'s folder, then move the file to `path`.

    A crash leaves the old file or none. Of two writers the last one wins, with its complete file. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}{_TEMPORARY}")
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """`write_atomically` for a text, in UTF-8. Raises OSError."""
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders that crashed writers left in the folder more than a day ago.

    Younger ones may belong to a writer that is still running. Does nothing if the folder cannot be written.
    """
    with contextlib.suppress(OSError):
        oldest_s = _clock_s(folder) - _DAY_S
        for path in folder.glob(f".*{_TEMPORARY}"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest_s:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _clock_s(folder: Path) -> float:
    """The file system's time: the clock that dates the files in it. Raises OSError."""
    with tempfile.TemporaryFile(dir=folder) as file:
        return os.fstat(file.fileno()).st_mtime


def sha256_of(paths: Iterable[Path]) -> str:
    """SHA-256 of the files' contents joined in order. Reads all of them. Raises OSError."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
    return digest.hexdigest()


def known_sha256(paths: Iterable[Path]) -> str:
    """Like `sha256_of`, but the result is remembered while every file keeps its size and times. Raises OSError.

    The change time counts too, since no program can set it back: a file altered in place is read again even if its
    modification time was restored.
    """
    files = tuple(paths)
    marks = [_mark(path) for path in files]
    record = cache_dir() / "hashes" / f"{hashlib.sha256(repr(marks).encode()).hexdigest()[:32]}.json"
    try:
        remembered = json.loads(record.read_text(encoding="utf-8"))
        if remembered["files"] == marks:
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no record, or a damaged one: hash the files
    digest = sha256_of(files)
    if [_mark(path) for path in files] == marks:
        with contextlib.suppress(OSError):  # read-only home: hashed again next time
            write_text_atomically(record, json.dumps({"files": marks, "sha256": digest}))
    return digest


def _mark(path: Path) -> list[str | int]:
    """Path, size, modification time and change time: they identify a file's content without reading it."""
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
