"""Finds the recordings among files, folders and patterns, and where the texts of each go."""

import errno
import glob
import hashlib
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

from asr.audio.kinds import is_recording
from asr.errors import ConfigError
from asr.transcripts.formats import FORMATS
from batch.store import list_objects
from batch.urls import url_of

_MAX_STEM_BYTES = 255 - len(".jsonl")
"""A file name has at most 255 bytes on the usual file systems."""


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
    """Recordings in the order of their names, and the folders that could not be searched.

    `passed_over` are files of folders whose names are not those of recordings, and folders within, without --recursive.
    Hidden files do not count, and nothing does where patterns choose the files.
    """

    recordings: tuple[Recording, ...]
    failures: tuple[Failure, ...] = ()
    passed_over: tuple[Path, ...] = ()
    folders_passed_over: tuple[Path, ...] = ()
    renamed: tuple[Recording, ...] = ()
    """Recordings whose texts cannot have their names."""


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
    return Inputs(
        tuple(search.recordings.values()),
        tuple(search.failures),
        tuple(dict.fromkeys(search.passed_over)),
        tuple(dict.fromkeys(search.folders_passed_over)),
    )


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
        self.passed_over: list[Path] = []
        self.folders_passed_over: list[Path] = []

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
            if object_path == path or self._is_wanted(object_path):
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
        if identity in above or self._is_ours(folder):
            return  # a link to a folder that contains it, or our own results
        for entry in entries:
            if _is_dir(entry):
                if self._recursive:
                    yield from self._files(folder / entry.name, (*above, identity))
                elif not self._is_ours(folder / entry.name) and not entry.name.startswith("."):
                    self.folders_passed_over.append(folder / entry.name)
            elif self._is_wanted(folder / entry.name):
                yield folder / entry.name

    def _is_ours(self, folder: Path) -> bool:
        return self._leave_out is not None and folder.resolve() == self._leave_out

    def _is_wanted(self, path: Path) -> bool:
        """Whether a file of a folder is taken; counts it if it is passed over."""
        if self._include:
            return any(fnmatch(path.name.casefold(), pattern.casefold()) for pattern in self._include)
        if path.name.startswith("."):
            return False
        if not is_recording(path):
            self.passed_over.append(path)
            return False
        return True

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


def named_apart(inputs: Inputs, folder: Path, formats: Sequence[str], reserved: Sequence[str]) -> Inputs:
    """The same recordings with stems whose texts overwrite nothing: no other text, no recording, no file of ours.

    The first of several with the same stem keeps it, the others get their whole name: ``talk.mp4.txt`` beside
    ``talk.txt``. Stems that differ only in case, or in the form of their Unicode, count as the same: some file systems
    cannot hold both. A stem that is too long for a file name is cut.
    """
    taken = {_compared(os.path.realpath(recording.path)) for recording in inputs.recordings}
    where = os.path.realpath(folder)
    taken |= {_compared(os.path.join(where, name)) for name in reserved}
    recordings, renamed = [], []
    for recording in inputs.recordings:
        for stem in map(_cut, _stems(recording)):
            texts = {_compared(os.path.join(where, f"{stem}.{name}")) for name in formats}
            if not texts & taken:
                break
        taken |= texts
        recordings.append(replace(recording, stem=stem))
        if stem != recording.stem:
            renamed.append(recordings[-1])
    return replace(inputs, recordings=tuple(recordings), renamed=tuple(renamed))


def _stems(recording: Recording) -> Iterator[str]:
    """The stems that a recording may have, the first choice first."""
    yield recording.stem
    whole = f"{recording.stem}{recording.path.suffix}"
    yield whole
    yield from (f"{whole} ({number})" for number in count(2))


def _cut(stem: str) -> str:
    """The stem with a last part that leaves room for an ending; a cut one ends in a hash of the whole."""
    folder, name = os.path.split(stem)
    encoded = os.fsencode(name)
    if len(encoded) <= _MAX_STEM_BYTES:
        return stem
    digest = hashlib.sha256(encoded).hexdigest()[:8]
    kept = encoded[: _MAX_STEM_BYTES - len(digest) - 1].decode("utf-8", "ignore")
    return os.path.join(folder, f"{kept}~{digest}")


def _compared(path: str) -> str:
    """Equal for paths that some file system takes for one."""
    return unicodedata.normalize("NFC", path).casefold()


def check_output_dir(folder: Path) -> None:
    """Raises `ConfigError` if it is a file, or is not there and has the name of a text."""
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--output-dir {folder} is a file, wanted a folder")
    suffix = folder.suffix.removeprefix(".").lower()
    if suffix in FORMATS and not folder.exists():
        one = f"for one text: asr transcribe FILE --format {suffix} > {folder}"
        raise ConfigError(f"--output-dir {folder} is the name of a text, wanted a folder; {one}")
