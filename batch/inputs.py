"""Finds the recordings among files, folders and patterns, and where the texts of each go."""

import errno
import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from asr.errors import ConfigError
from batch.store import list_objects
from batch.urls import url_of

SUFFIXES = frozenset(
    [
        *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".m4b", ".mov", ".webm", ".mkv", ".mka"),
        *(".aac", ".aiff", ".aif", ".aifc", ".au", ".caf", ".w64", ".wma", ".amr", ".3gp"),
    ]
)
"""Files of a folder with these endings are recordings, unless patterns are given."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file to transcribe. Its texts go to ``STEM.FORMAT`` in the output folder; a stem may have folders."""

    path: Path
    stem: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or folder without a result, and why, in one sentence."""

    path: Path
    sentence: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """Recordings in the order of their names, and the folders that could not be searched."""

    recordings: tuple[Recording, ...]
    failures: tuple[Failure, ...] = ()


def size_bytes(recording: Recording) -> int:
    """The size of the file; 0 where it cannot be read."""
    try:
        return recording.path.stat().st_size
    except OSError:
        return 0


def find_inputs(
    paths: Sequence[Path], *, recursive: bool = False, include: Sequence[str] = (), leave_out: Path | None = None
) -> Inputs:
    """Files as they are, the recordings of folders, and the matches of patterns such as ``talks/*.mp3``.

    Stems keep the tree of a folder. `leave_out`, the output folder, is not searched. Links are followed, but not into a
    folder that contains them. A file that is given twice is taken once. Raises `ConfigError` for a pattern without a
    match.
    """
    search = _Search(recursive, tuple(include), None if leave_out is None else leave_out.absolute().resolve())
    for path in paths:
        for match in _matches(path):
            search.take(match)
    return Inputs(tuple(search.recordings.values()), tuple(search.failures))


def _matches(path: Path) -> list[Path]:
    if url_of(path) or os.path.lexists(path) or not glob.has_magic(str(path)):
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True))
    if not matches:
        raise ConfigError(f"no file matches {str(path)!r}; wanted files, folders or patterns that match some")
    return [Path(name) for name in matches]


class _Search:
    def __init__(self, recursive: bool, include: tuple[str, ...], leave_out: Path | None) -> None:
        self._recursive, self._include, self._leave_out = recursive, include, leave_out
        self.recordings: dict[str, Recording] = {}
        self.failures: list[Failure] = []

    def take(self, path: Path) -> None:
        """A file of any name, or the recordings of a folder. A missing file fails later, when it is read."""
        if url_of(path):
            self._take_stored(path)
            return
        if not path.is_dir():
            self._add(Recording(path, path.stem))
            return
        for file in self._files(path, ()):
            self._add(Recording(file, str(file.relative_to(path).with_suffix(""))))

    def _take_stored(self, path: Path) -> None:
        """The objects below a URL, or the object itself."""
        for object_path, name in list_objects(path, self._recursive):
            if object_path == path or self._is_wanted(Path(name).name):
                self._add(Recording(object_path, str(Path(name).with_suffix(""))))

    def _add(self, recording: Recording) -> None:
        self.recordings.setdefault(str(recording.path.absolute()), recording)

    def _files(self, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
        """The recordings of a folder, depth first, by name. `above`: device and inode of the folders around it."""
        try:
            stat = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            self._fail(folder, error)
            return
        identity = (stat.st_dev, stat.st_ino)
        if identity in above or (self._leave_out is not None and folder.resolve() == self._leave_out):
            return  # a link to a folder that contains it, or our own results
        for entry in entries:
            if _is_dir(entry):
                if self._recursive:
                    yield from self._files(folder / entry.name, (*above, identity))
            elif self._is_wanted(entry.name):
                yield folder / entry.name

    def _is_wanted(self, name: str) -> bool:
        if self._include:
            return any(fnmatch(name.casefold(), pattern.casefold()) for pattern in self._include)
        return not name.startswith(".") and Path(name).suffix.casefold() in SUFFIXES

    def _fail(self, folder: Path, error: OSError) -> None:
        if error.errno != errno.ENOENT:  # removed during the search
            self.failures.append(
                Failure(folder, f"folder cannot be read ({error.strerror}); wanted permission to list it")
            )


def _is_dir(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def without_clashes(inputs: Inputs) -> Inputs:
    """Of recordings with the same stem only the first; the others are failures.

    For `--watch`, where files arrive one by one and the rest must not be refused.
    """
    by_stem: dict[str, Recording] = {}
    failures = list(inputs.failures)
    for recording in inputs.recordings:
        first = by_stem.setdefault(recording.stem, recording)
        if first is not recording:
            sentence = f"would be written to the same file as {first.path}; wanted another name"
            failures.append(Failure(recording.path, sentence))
    return Inputs(tuple(by_stem.values()), tuple(failures))


def check_outputs(
    recordings: Sequence[Recording], folder: Path, formats: Sequence[str], reserved: Sequence[str]
) -> None:
    """Raises `ConfigError` where two recordings share an output file, or one would overwrite a recording or our files.

    Before any work: at the end of a night it would be too late.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output-dir {folder} is a file, wanted a folder")
    sources = {os.path.realpath(recording.path) for recording in recordings}
    where = os.path.realpath(folder)
    by_stem: dict[str, Recording] = {}
    for recording in recordings:
        first = by_stem.setdefault(recording.stem, recording)
        if first is not recording:
            raise ConfigError(
                f"two files would both be written to {folder / recording.stem}.{formats[0]} "
                f"({first.path} and {recording.path}); wanted different names, or a run for each"
            )
        for text_format in formats:
            name = f"{recording.stem}.{text_format}"
            if os.path.join(where, name) in sources:
                raise ConfigError(f"{folder / name} is itself one of the files to read; wanted another --output-dir")
            if name in reserved:
                raise ConfigError(f"{recording.path} would be written to {name}, a reserved name; wanted another name")
