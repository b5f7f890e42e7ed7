"""Which clips a folder holds, by the names of their files alone, without listing again what has not changed.

A process that asks often, such as the page for labels or the monitor, looks at the time of each consent's folder, and
lists those in which a file came or went. So a request costs as much as there are consents, and not clips.
"""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.clips.store import CLIP, LABEL, SECOND

_SETTLED_NS = 2_000_000_000
"""A folder that changed so lately may change again within one tick of its clock: it is listed once more."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """One consent's folder when its time was ``stamp``: stream -> files of its clips, and ids with a label."""

    stamp: int
    files: Mapping[str, list[Path]]
    labelled: frozenset[str]


@dataclass(slots=True)
class ClipNames(Mapping[str, list[Path]]):
    """Stream -> the files of its clips by channel and utterance, as of the last `refresh`."""

    folder: Path
    _folders: dict[str, _Listed] = field(default_factory=dict)
    _streams: dict[str, dict[str, None]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Lists the folders of consents that are new or have changed. A folder that is missing holds no clip."""
        try:
            with os.scandir(self.folder) as entries:
                stamps = {entry.name: entry.stat().st_mtime_ns for entry in entries if entry.is_dir()}
        except FileNotFoundError:
            stamps = {}
        for consent in [*stamps, *(known for known in self._folders if known not in stamps)]:
            before = self._folders.get(consent)
            if before is None or before.stamp != stamps.get(consent):
                self._replace(consent, before, stamps.get(consent))

    def is_labelled(self, file: Path) -> bool:
        """Whether a person has written what is said in this clip."""
        listed = self._folders.get(file.parent.name)
        return listed is not None and id_of(file) in listed.labelled

    def __getitem__(self, stream_id: str) -> list[Path]:
        consents = self._streams[stream_id]
        return [file for consent in consents for file in self._folders[consent].files[stream_id]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._streams)

    def __len__(self) -> int:
        return len(self._streams)

    def _replace(self, consent: str, before: _Listed | None, stamp: int | None) -> None:
        for stream in before.files if before else ():
            del self._streams[stream][consent]
            if not self._streams[stream]:
                del self._streams[stream]
        self._folders.pop(consent, None)
        if stamp is not None:
            listed = self._folders[consent] = _listed(self.folder / consent, stamp)
            for stream in listed.files:
                self._streams.setdefault(stream, {})[consent] = None


def id_of(file: Path) -> str:
    """The clip's id, which is the name of its file."""
    return file.name.removesuffix(CLIP)


def _listed(folder: Path, stamp: int) -> _Listed:
    files: dict[str, list[Path]] = {}
    labelled = set()
    is_settled = time.time_ns() - stamp > _SETTLED_NS
    for file in folder.glob(f"*{CLIP}"):
        if file.name.endswith(LABEL):
            labelled.add(file.name.removesuffix(LABEL))
        elif not file.name.endswith(SECOND):
            files.setdefault(id_of(file).rsplit(".", 2)[0], []).append(file)
    for mine in files.values():
        mine.sort(key=lambda file: [int(part) for part in id_of(file).rsplit(".", 2)[1:] if part.isdecimal()])
    return _Listed(stamp if is_settled else 0, files, frozenset(labelled))
