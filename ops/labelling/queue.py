"""Which clips wait for a person: those of streams whose two texts were drawn, then utterances that were drawn alone."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from asr.ledger import Draw, Draws, Ledger
from asr.normalisation.normalise import normalise, units
from server.clips.names import ClipNames, id_of
from server.clips.store import Clip, ClipStore


@dataclass(slots=True)
class Task:
    """A clip that a person is to hear. ``texts`` has the release and its text, twice where two releases differ: then
    in a random order, which nobody who listens knows."""

    clip: Clip
    texts: list[tuple[int, str]]

    def as_dict(self, left: int) -> dict[str, Any]:
        """For the page: without the numbers of the releases."""
        clip = self.clip
        shown = [text for _, text in self.texts]
        return {"id": clip.id, "language": clip.language, "audio_s": clip.audio_s, "texts": shown, "left": left}


@dataclass(slots=True)
class _Rows:
    """What was read of one model's rows: the drawn streams and utterances in their order, and what has a label."""

    pair_id: int = 0
    draw_id: int = 0
    label_id: int = 0
    streams: dict[str, None] = field(default_factory=dict)
    draws: dict[str, Draw] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Queue:
    """What waits now. What was skipped comes last, until this process ends.

    A request reads new rows and folders that changed, and the one clip that it shows: names of files say the rest.
    """

    ledger: Ledger
    store: ClipStore
    skipped: list[str] = field(default_factory=list)
    _orders: dict[str, bool] = field(default_factory=dict)
    _rows: dict[str, _Rows] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _names: ClipNames = field(init=False)

    def __post_init__(self) -> None:
        self._names = ClipNames(self.store.folder)

    def next(self) -> tuple[Clip | None, int]:
        """The clip that comes first, and how many wait. Raises `LedgerError`."""
        files = self._files()
        clips = (clip for file in files if (clip := self.store.clip(file)) is not None)
        return next(clips, None), len(files)

    def waiting(self) -> list[Clip]:
        """All clips, in their order. A clip whose consent was forgotten is not among them. Raises `LedgerError`."""
        return [clip for file in self._files() if (clip := self.store.clip(file)) is not None]

    def find(self, clip_id: str) -> Clip | None:
        """The clip that waits under this name; None if none does."""
        mine = (self.store.clip(file) for file in self._files() if id_of(file) == clip_id)
        return next(mine, None)

    def _files(self) -> list[Path]:
        """Of the clips that wait."""
        with self._lock:
            self._names.refresh()
            forgotten = self.store.forgotten()
            found: dict[str, Path] = {}
            for name in self.ledger.names():
                for stream_id, utterance in self._wanted(name):
                    for file in self._names.get(stream_id, ()):
                        is_it = utterance is None or id_of(file).rsplit(".", 1)[1] == str(utterance)
                        if is_it and file.parent.name not in forgotten and not self._names.is_labelled(file):
                            found[id_of(file)] = file
        late = {name: place for place, name in enumerate(self.skipped)}
        return sorted(found.values(), key=lambda file: late.get(id_of(file), -1))

    def _wanted(self, name: str) -> Iterator[tuple[str, int | None]]:
        """Streams, and utterances of streams, that were drawn and have no label."""
        rows, draws = self._rows.setdefault(name, _Rows()), Draws(self.ledger)
        for stream_id, pair_id in draws.drawn_pairs(name, rows.pair_id):
            rows.pair_id = pair_id
            rows.streams[stream_id] = None
        for draw in draws.of_model(name, rows.draw_id):
            rows.draw_id = draw.id
            if draw.is_drawn:
                rows.draws[draw.label_id] = draw
        for label in self.ledger.labels(name, rows.label_id):
            rows.label_id = label.id
            rows.labelled.add(label.stream_id)
        yield from ((stream_id, None) for stream_id in rows.streams)
        yield from ((d.stream_id, d.utterance) for key, d in rows.draws.items() if key not in rows.labelled)

    def task(self, clip: Clip) -> Task:
        """The same order each time the clip is shown."""
        texts = [(clip.release, clip.text)]
        second = self.store.second(clip)
        if second is not None and _units(second[1], clip) != _units(clip.text, clip):
            texts.append(second)
            if self._orders.setdefault(clip.id, bool(secrets.randbelow(2))):
                texts.reverse()
        return Task(clip, texts)

    def skip(self, clip_id: str) -> None:
        """Puts it behind all others."""
        self.skipped = [*(each for each in self.skipped if each != clip_id), clip_id]


def _units(text: str, clip: Clip) -> tuple[str, ...]:
    return units(normalise(text, clip.language), clip.language)
