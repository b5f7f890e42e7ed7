"""What was asked for (files, folders, patterns) -> recordings, and where each one's texts go."""

import errno
import glob
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from asr.errors import ConfigError

SUFFIXES = frozenset(
    [
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".m4a",
        ".mp4",
        ".m4b",
        ".mov",
        ".webm",
        ".mkv",
        ".mka",
        ".aac",
        ".aiff",
        ".aif",
        ".aifc",
        ".au",
        ".caf",
        ".w64",
        ".wma",
        ".amr",
        ".3gp",
    ]
)
"""What is taken for a recording in a folder, unless patterns are given."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file to write down; its texts go to ``stem`` (relative to the output folder) and a format's name."""

    path: Path
    stem: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or folder that gave nothing, and why, in one sentence."""

    path: Path
    sentence: str


@dataclass(frozen=True, slots=True)
class Found:
    """In the order of their names; what could not be looked into is a failure, not the end."""

    recordings: tuple[Recording, ...]
    failures: tuple[Failure, ...] = ()


_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)


def address(path: Path) -> str | None:
    """``s3://bucket/key`` of a path that was made of it, and lost a slash; None for a path of this machine."""
    found = _ADDRESS.fullmatch(str(path))
    return f"{found[1]}://{found[2]}" if found else None


def name_of(path: Path) -> str:
    """What the journal calls it."""
    return address(path) or str(path.absolute())


def find(
    asked: Sequence[Path], *, recursive: bool = False, include: Sequence[str] = (), leave_out: Path | None = None
) -> Found:
    """Files as they are, a folder's recordings, and what patterns such as ``talks/*.mp3`` match.

    A folder's tree is kept in the stems; `leave_out`, the output folder, is not searched. Links are followed, but
    never into a folder that holds them. A file that is asked for twice is taken once.
    """
    search = _Search(recursive, tuple(include), None if leave_out is None else leave_out.absolute().resolve())
    for path in asked:
        for match in _matches(path):
            search.take(match)
    return Found(tuple(search.recordings.values()), tuple(search.failures))


def _matches(path: Path) -> list[Path]:
    if address(path) or os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    found = sorted(glob.glob(str(path), recursive=True))
    if not found:
        raise ConfigError(f"no file matches {str(path)!r}; wanted files, folders or patterns that match some")
    return [Path(name) for name in found]


class _Search:
    def __init__(self, recursive: bool, include: tuple[str, ...], leave_out: Path | None) -> None:
        self._recursive, self._include, self._leave_out = recursive, include, leave_out
        self.recordings: dict[str, Recording] = {}
        self.failures: list[Failure] = []

    def take(self, path: Path) -> None:
        """A file, whatever it is called, or a folder's recordings. What is missing fails later, where it is read."""
        if address(path):
            self._take_stored(path)
            return
        if not path.is_dir():
            self._add(Recording(path, path.stem))
            return
        for file in self._files(path, ()):
            self._add(Recording(file, str(file.relative_to(path).with_suffix(""))))

    def _take_stored(self, path: Path) -> None:
        """Objects below an address, or one."""
        from batch.store import listed

        for object_path, name in listed(path, self._recursive):
            if object_path == path or self._is_wanted(Path(name).name):
                self._add(Recording(object_path, str(Path(name).with_suffix(""))))

    def _add(self, recording: Recording) -> None:
        self.recordings.setdefault(str(recording.path.absolute()), recording)

    def _files(self, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
        """Depth first, by name."""
        try:
            stat = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self._fail(folder, error)
            return
        mark = (stat.st_dev, stat.st_ino)
        if mark in above or (self._leave_out is not None and folder.resolve() == self._leave_out):
            return  # a link back to a folder that holds it, or our own results
        for entry in entries:
            if _is_dir(entry):
                if self._recursive:
                    yield from self._files(folder / entry.name, (*above, mark))
            elif self._is_wanted(entry.name):
                yield folder / entry.name

    def _is_wanted(self, name: str) -> bool:
        if self._include:
            return any(fnmatch(name.casefold(), pattern.casefold()) for pattern in self._include)
        return not name.startswith(".") and Path(name).suffix.casefold() in SUFFIXES

    def _fail(self, folder: Path, error: OSError) -> None:
        if error.errno != errno.ENOENT:  # gone while we looked: nothing to tell
            self.failures.append(Failure(folder, f"folder cannot be read ({error.strerror}); wanted leave to list it"))


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere for ever
        return False


def without_clashes(found: Found) -> Found:
    """Of recordings that would be written to one file the first; the others are failures.

    For who cannot refuse the whole: files that arrive one by one.
    """
    taken: dict[str, Recording] = {}
    failures = list(found.failures)
    for recording in found.recordings:
        other = taken.setdefault(recording.stem, recording)
        if other is not recording:
            sentence = f"would be written to the same file as {other.path}; wanted another name"
            failures.append(Failure(recording.path, sentence))
    return Found(tuple(taken.values()), tuple(failures))


def check_outputs(
    recordings: Sequence[Recording], folder: Path, formats: Sequence[str], reserved: Sequence[str]
) -> None:
    """Raises `ConfigError` where two recordings would be written to one file, or one over a recording or our notes.

    Found out before any work is done: after a night it would be too late to hear of it.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output-dir {folder} is a file, wanted a folder")
    sources = {os.path.realpath(recording.path) for recording in recordings}
    where = os.path.realpath(folder)
    taken: dict[str, Recording] = {}
    for recording in recordings:
        other = taken.setdefault(recording.stem, recording)
        if other is not recording:
            names = f"{other.path} and {recording.path}"
            raise ConfigError(
                f"two files would both be written to {folder / recording.stem}.{formats[0]} ({names}); "
                "wanted different names, or a run for each"
            )
        for text_format in formats:
            name = f"{recording.stem}.{text_format}"
            if os.path.join(where, name) in sources:
                raise ConfigError(f"{folder / name} is itself one of the files to read; wanted another --output-dir")
            if name in reserved:
                raise ConfigError(f"{recording.path} would be written to {name}, which is our own; wanted another name")
