"""Object storage (``s3://``, ``gs://`` and whatever else fsspec reaches), for recordings and for results.

A URL is kept as a path (see `batch.urls`). A recording is downloaded while it is read. A store writes an object whole
or not at all, so texts need no temporary file. The journal is one object for each recording that is done.
"""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from asr.errors import AudioError, ConfigError
from asr.installing import install_extra
from batch.journal import STATE_FOLDER, Entry, Speed, merged
from batch.messages import FileVersion
from batch.urls import url_of


def filesystem_of(path: Path) -> tuple[Any, str]:
    """The file system of a URL, and the name in it. Raises `ConfigError` if fsspec or its package is missing."""
    try:
        import fsspec
    except ImportError:
        raise ConfigError(f"{path} needs fsspec; {install_extra('ray')}") from None
    try:
        return fsspec.core.url_to_fs(url_of(path))  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{url_of(path)} cannot be reached ({error}); wanted fsspec's package for it") from None


def list_objects(path: Path, recursive: bool) -> list[tuple[Path, str]]:
    """The objects below a URL, or the object itself: the path of each, and its name below the URL."""
    system, root = filesystem_of(path)
    scheme = str(path).split(":", 1)[0]
    system.invalidate_cache()  # `--watch` must see what is new
    if system.isfile(root):
        return [(path, Path(root).name)]
    names = system.find(root, maxdepth=None if recursive else 1)
    base = root.rstrip("/") + "/"
    return [(Path(f"{scheme}:/{name.lstrip('/')}"), name.removeprefix(base)) for name in sorted(names)]


def object_version(path: Path) -> FileVersion:
    """The present version of an object. Raises `AudioError` where it cannot be read."""
    system, name = filesystem_of(path)
    try:
        info = system.info(name)
    except OSError as error:
        raise AudioError(f"found {url_of(path)} unreadable ({error}); wanted a recording") from None
    version = [str(info.get(key)) for key in ("ETag", "etag", "mtime", "LastModified", "created", "generation")]
    return FileVersion(int(info["size"]), int(hashlib.sha256(repr(version).encode()).hexdigest()[:15], 16))


@contextlib.contextmanager
def downloaded(path: Path) -> Iterator[Path]:
    """A local copy of an object, while the context lasts. Raises `AudioError` where it cannot be read."""
    system, name = filesystem_of(path)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / f"recording{Path(name).suffix}"
        try:
            system.get_file(name, str(local))
        except OSError as error:
            raise AudioError(f"found {url_of(path)} unreadable ({error}); wanted a recording") from None
        yield local


class StoredOutputs:
    """`batch.outputs.Outputs` in a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._system, self._root = filesystem_of(folder)

    def clear(self) -> None:
        """There are no temporary files."""

    def path(self, stem: str, text_format: str) -> Path:
        return self.folder / f"{stem}.{text_format}"

    def write(self, stem: str, texts: Mapping[str, str]) -> dict[str, str]:
        contents = {text_format: text.encode("utf-8") for text_format, text in texts.items()}
        for text_format, content in contents.items():
            self._system.pipe_file(f"{self._root}/{stem}.{text_format}", content)
        return {text_format: hashlib.sha256(content).hexdigest() for text_format, content in contents.items()}

    def write_list(self, name: str, text: str) -> None:
        if text:
            self._system.pipe_file(f"{self._root}/{name}", text.encode("utf-8"))
        elif self._system.exists(f"{self._root}/{name}"):
            self._system.rm_file(f"{self._root}/{name}")

    def lost(self, stems: Sequence[str], formats: Sequence[str]) -> list[str]:
        """None: objects are not looked at again, which would take as many requests as writing them did."""
        return []

    def hold(self, stem: str, hashes: Mapping[str, str], formats: Sequence[str]) -> bool:
        try:
            return all(
                text_format in hashes
                and hashlib.sha256(self._system.cat_file(f"{self._root}/{stem}.{text_format}")).hexdigest()
                == hashes[text_format]
                for text_format in formats
            )
        except OSError:
            return False


@dataclass(slots=True)
class StoredJournal:
    """`batch.journal.Journal` in a store. It cannot be locked, so two simultaneous runs are not noticed."""

    folder: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    speeds: list[Speed] = field(default_factory=list)

    def record(self, entry: Entry) -> None:
        self.entries[entry.stem] = merged(self.entries.get(entry.stem), entry)
        name = hashlib.sha256(entry.stem.encode("utf-8", "surrogateescape")).hexdigest()
        self._put(name, asdict(self.entries[entry.stem]))

    def record_speed(self, speed: Speed) -> None:
        self.speeds.append(speed)
        self._put("speed", asdict(speed))

    def _put(self, name: str, table: Mapping[str, object]) -> None:
        system, root = filesystem_of(self.folder)
        system.pipe_file(f"{root}/{STATE_FOLDER}/journal/{name}.json", json.dumps(table).encode("ascii"))


def read_stored_journal(folder: Path) -> StoredJournal:
    """The journal of a folder in a store, with the entries of earlier runs. Damaged objects are left out."""
    journal = StoredJournal(folder)
    system, root = filesystem_of(folder)
    names = system.find(f"{root}/{STATE_FOLDER}/journal")
    for name, content in (system.cat(names, on_error="omit") if names else {}).items():
        with contextlib.suppress(ValueError, TypeError):
            table = json.loads(content)
            if name.endswith("speed.json"):
                journal.speeds.append(Speed(**table))
            else:
                entry = Entry(**table)
                journal.entries[entry.stem] = entry
    return journal
