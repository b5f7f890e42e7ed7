"""Object storage (``s3://``, ``gs://`` and whatever fsspec knows), as inputs and as the output folder.

An address is kept as a path (see `batch.inputs.address`). A recording is fetched to
this machine while it is listened to. Objects are put whole or not at all, so texts need no file in the making; the
journal is an object for each recording that is done.
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
from batch.inputs import address
from batch.journal import NOTES, Entry, Speed, joined


def opened(path: Path) -> tuple[Any, str]:
    """The file system of an address and its name there. Raises `ConfigError` where it cannot be had."""
    try:
        import fsspec
    except ImportError:
        raise ConfigError(f"{path} needs fsspec; run: pip install 'steadyword[ray]'") from None
    try:
        return fsspec.core.url_to_fs(address(path))  # type: ignore[no-any-return]
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{address(path)} cannot be reached ({error}); wanted fsspec's package for it") from None


def listed(path: Path, recursive: bool) -> list[tuple[Path, str]]:
    """The objects below an address, or the object itself: the path of each, and its name below the address."""
    system, root = opened(path)
    scheme = str(path).split(":", 1)[0]
    system.invalidate_cache()  # who watches wants to see what is new
    if system.isfile(root):
        return [(path, Path(root).name)]
    names = system.find(root, maxdepth=None if recursive else 1)
    base = root.rstrip("/") + "/"
    return [(Path(f"{scheme}:/{name.lstrip('/')}"), name.removeprefix(base)) for name in sorted(names)]


def told(path: Path) -> tuple[int, int]:
    """Size and a number that changes when the object does. Raises `AudioError`."""
    system, name = opened(path)
    try:
        info = system.info(name)
    except OSError as error:
        raise AudioError(f"found {address(path)} unreadable ({error}); wanted a recording") from None
    version = [str(info.get(key)) for key in ("ETag", "etag", "mtime", "LastModified", "created", "generation")]
    return int(info["size"]), int(hashlib.sha256(repr(version).encode()).hexdigest()[:15], 16)


@contextlib.contextmanager
def fetched(path: Path) -> Iterator[Path]:
    """The recording as a file of this machine, while the context lasts. Raises `AudioError`."""
    if address(path) is None:
        yield path
        return
    system, name = opened(path)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder) / f"recording{Path(name).suffix}"
        try:
            system.get_file(name, str(local))
        except OSError as error:
            raise AudioError(f"found {address(path)} unreadable ({error}); wanted a recording") from None
        yield local


class StoredOutputs:
    """`batch.outputs.Outputs` for an address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._system, self._root = opened(folder)

    def clear(self) -> None:
        """Nothing is ever in the making."""

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
    """`batch.journal.Journal` for an address. Two runs at once are not found out there."""

    folder: Path
    entries: dict[str, Entry] = field(default_factory=dict)
    speeds: list[Speed] = field(default_factory=list)

    def done(self, entry: Entry) -> None:
        self.entries[entry.stem] = joined(self.entries.get(entry.stem), entry)
        self._put(
            hashlib.sha256(entry.stem.encode("utf-8", "surrogateescape")).hexdigest(), asdict(self.entries[entry.stem])
        )

    def ran(self, speed: Speed) -> None:
        self.speeds.append(speed)
        self._put("speed", asdict(speed))

    def replay(self) -> None:
        """Read what earlier runs noted."""
        system, root = opened(self.folder)
        names = system.find(f"{root}/{NOTES}/journal")
        for name, content in (system.cat(names, on_error="omit") if names else {}).items():
            with contextlib.suppress(ValueError, TypeError):
                table = json.loads(content)
                if name.endswith("speed.json"):
                    self.speeds.append(Speed(**table))
                else:
                    entry = Entry(**table)
                    self.entries[entry.stem] = entry

    def _put(self, name: str, table: Mapping[str, object]) -> None:
        system, root = opened(self.folder)
        system.pipe_file(f"{root}/{NOTES}/journal/{name}.json", json.dumps(table).encode("ascii"))
