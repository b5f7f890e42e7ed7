"""Recordings for a page: inside it while they are small, beside it by a relative link otherwise."""

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from eval.data.types import Clip, Utterance

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".mp4": "audio/mp4",
    ".webm": "audio/webm",
    ".aac": "audio/aac",
}


@dataclass(slots=True)
class Players:
    """``sounds`` is what a page needs: a key of each utterance that was asked for -> an address that can be played.

    Files go into the page in the order in which they are asked for, until `budget_bytes` are full.
    """

    utterances: Iterable[Utterance]
    folder: Path
    budget_bytes: int
    sounds: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[str, str], Utterance] = field(init=False)

    def __post_init__(self) -> None:
        self._known = {(utterance.dataset, utterance.id): utterance for utterance in self.utterances}

    def key(self, dataset: str, utterance: str) -> str:
        """The key of this utterance's sound; "" where there is none to play."""
        found = self._known.get((dataset, utterance))
        if found is None:
            return ""
        key = f"{dataset}/{utterance}"
        if key not in self.sounds:
            self.sounds[key] = self._address(found.clips[0])
        return key

    def _address(self, clip: Clip) -> str:
        part = "" if clip.offset_s is None else f"#t={clip.offset_s:g},{clip.offset_s + clip.duration_s:g}"
        try:
            size = clip.audio.stat().st_size
        except OSError:
            return ""
        if part or size * 4 / 3 > self.budget_bytes:
            return quote(os.path.relpath(clip.audio.resolve(), self.folder.resolve())) + part
        self.budget_bytes -= size * 4 // 3
        kind = MEDIA_TYPES.get(clip.audio.suffix.lower(), "audio/*")
        return f"data:{kind};base64,{base64.b64encode(clip.audio.read_bytes()).decode()}"
