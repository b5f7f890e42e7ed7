"""Recordings in a page: inside it as data URIs while they fit a budget, beside it as links otherwise."""

import base64
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from eval.data.types import Clip, Utterance
from eval.metrics.scored_trace import ScoredTrace

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

_LEAST_BYTES_PER_S = 2000
"""A second of speech as MP3 in base64 is hardly smaller."""
_MISFITS = 8
"""After this many recordings in a row that do not fit, the budget counts as spent."""


def embed_as_mp3(scored: Sequence[ScoredTrace], budget_bytes: int) -> dict[tuple[str, str], str]:
    """Data URIs by data set and utterance, in the order of `scored` until the budget is spent.

    Each recording is encoded as MP3, about 3 kB per second of audio. One that cannot be read has no entry. Encoding
    takes most of a report's time, so nothing is encoded that can hardly fit, and nothing twice.
    """
    uris: dict[tuple[str, str], str] = {}
    left, too_large = budget_bytes, 0
    for each in _each_once(scored):
        if not each.trace.audio or each.trace.duration_s * _LEAST_BYTES_PER_S > left:
            continue
        uri = _mp3_uri(each.trace.audio)
        if uri is not None and len(uri) <= left:
            uris[each.key] = uri
            left -= len(uri)
            too_large = 0
        elif uri is not None and (too_large := too_large + 1) == _MISFITS:
            break
    return uris


def _each_once(scored: Iterable[ScoredTrace]) -> Iterator[ScoredTrace]:
    """The first of each recording."""
    seen: set[tuple[str, str]] = set()
    for each in scored:
        if each.key not in seen:
            seen.add(each.key)
            yield each


@dataclass(slots=True)
class Players:
    """The files that a page plays as they are, inside it or linked by a relative path.

    Files are embedded in the order of the calls of `key`, until the budget is spent.

    Attributes:
        utterances: All recordings that may be asked for.
        folder: The page's folder, from which links are relative.
        budget_bytes: Bytes that may still be embedded.
        sounds: For the page: the address of each recording that was asked for, by its key.
    """

    utterances: Iterable[Utterance]
    folder: Path
    budget_bytes: int
    sounds: dict[str, str] = field(default_factory=dict)
    _by_id: dict[tuple[str, str], Utterance] = field(init=False)

    def __post_init__(self) -> None:
        self._by_id = {(utterance.dataset, utterance.id): utterance for utterance in self.utterances}

    def key(self, dataset: str, utterance: str) -> str:
        """The key of a recording in `sounds`; "" where there is nothing to play."""
        recording = self._by_id.get((dataset, utterance))
        if recording is None:
            return ""
        key = f"{dataset}/{utterance}"
        if key not in self.sounds:
            self.sounds[key] = self._address(recording.clips[0])
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
        return _data_uri(MEDIA_TYPES.get(clip.audio.suffix.lower(), "audio/*"), clip.audio.read_bytes())


def _mp3_uri(file: str) -> str | None:
    import soundfile

    from asr.audio.files import read_blocks

    if not Path(file).is_file():
        return None
    written = io.BytesIO()
    try:
        samples = np.concatenate(list(read_blocks(Path(file))))
        soundfile.write(written, samples, SAMPLE_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III", compression_level=0.9)
    except (AudioError, ValueError, RuntimeError):  # no audio, or a library without MP3: the page links the file
        return None
    return _data_uri("audio/mpeg", written.getvalue())


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
