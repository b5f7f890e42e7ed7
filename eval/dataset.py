"""Labelled recordings: manifests and folders -> utterances; clips joined into longer ones; samples read when needed."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio import duration_s, read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError, CallerError
from eval.text import is_by_character
from eval.trace import Span

MANIFEST = "manifest.jsonl"
FIELDS = frozenset({"audio_filepath", "text", "duration", "language", "speaker", "words", "segments"})
"""Of a manifest, with a meaning of their own; every other field is an attribute."""
GENDERS = {"m": "male", "f": "female", "male_masculine": "male", "female_feminine": "female"}
"""As speechocean762 and Common Voice (from version 17 on) write it -> as the others do."""
AUDIO_SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".mp4", ".webm", ".aac"})


class DataError(CallerError):
    """Data of which nothing can be used; broken parts of usable data are `Problem`s instead."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file and what is said in it.

    ``words`` is a forced alignment, ``segments`` pieces of the text with their times; empty where there is none.
    """

    audio: Path
    text: str
    duration_s: float
    words: tuple[Span, ...] = ()
    segments: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one session hears: one clip, or several with ``gap_s`` of digital silence between them."""

    id: str
    dataset: str
    clips: tuple[Clip, ...]
    language: str = ""
    speaker: str = ""
    gap_s: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()
    """What else is told of it, sorted by name: gender, age, accent, device, noise ...; reports slice by these."""

    @property
    def text(self) -> str:
        """The reference."""
        joiner = "" if is_by_character(self.language) else " "
        return joiner.join(clip.text for clip in self.clips if clip.text)

    @property
    def duration_s(self) -> float:
        """As the manifest tells; `read` knows to the sample."""
        return sum(clip.duration_s for clip in self.clips) + self.gap_s * (len(self.clips) - 1)


@dataclass(frozen=True, slots=True)
class Recording:
    """An utterance in memory: mono float32 ``(n,)`` at 16 kHz, aligned words where known.

    A segment is a clip, or a part of one whose times are known.
    """

    utterance: Utterance
    samples: np.ndarray
    segments: tuple[Span, ...]
    words: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the data that was left out. ``line`` counts from 1; 0 is the whole file."""

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}" if self.line else f"{self.file}: {self.what}"


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    utterances: tuple[Utterance, ...]
    problems: tuple[Problem, ...] = ()


def load_dataset(path: Path) -> Dataset:
    """A manifest, or a folder that holds `manifest.jsonl` or audio files with a `.txt` beside each.

    Manifests are JSON lines with NeMo's fields (audio_filepath relative to the manifest, text, duration) and where
    known language, speaker, words and segments (both [[start_s, end_s, text], ...]); every other field (gender, device
    ...) is an attribute. Lines that cannot be used become problems, never errors; raises `DataError` where there is
    nothing to read at all.
    """
    manifest = path / MANIFEST if path.is_dir() else path
    if manifest.is_file():
        name = manifest.resolve().parent.name if manifest.name == MANIFEST else manifest.stem
        return _collect(name, _from_manifest(manifest, name))
    if not path.is_dir():
        raise DataError(f"found nothing at {path}; wanted a {MANIFEST} or a folder of recordings")
    return _collect(path.resolve().name, _from_folder(path, path.resolve().name))


def join(utterances: Sequence[Utterance], target_s: float = 60.0, gap_s: float = 0.35) -> tuple[Utterance, ...]:
    """Clips joined, in order, into utterances of at least `target_s` each, but the last of a language.

    Clips of one language are joined with each other; speaker and attributes stay where all clips have the same.
    """
    joined: list[Utterance] = []
    for language in dict.fromkeys(utterance.language for utterance in utterances):
        batch: list[Utterance] = []
        for utterance in (u for u in utterances if u.language == language):
            batch.append(utterance)
            if _joined(batch, gap_s).duration_s >= target_s:
                joined.append(_joined(batch, gap_s))
                batch = []
        if batch:
            joined.append(_joined(batch, gap_s))
    return tuple(joined)


def read(utterance: Utterance) -> Recording:
    """The utterance's samples, with its segments and words placed to the sample. Raises `AudioError`."""
    gap = np.zeros(round(utterance.gap_s * SAMPLE_RATE_HZ), np.float32)
    pieces: list[np.ndarray] = []
    segments: list[Span] = []
    words: list[Span] = []
    at = 0
    for clip in utterance.clips:
        samples = _read_clip(clip.audio)
        start_s = at / SAMPLE_RATE_HZ
        segments += _moved(clip.segments or (Span(clip.text, 0.0, len(samples) / SAMPLE_RATE_HZ),), start_s)
        words += _moved(clip.words, start_s)
        pieces += [samples, gap]
        at += len(samples) + len(gap)
    aligned = tuple(words) if all(clip.words or not clip.text for clip in utterance.clips) else ()
    return Recording(utterance, np.concatenate(pieces[:-1]), tuple(segments), aligned)


def data_sha256(utterances: Iterable[Utterance]) -> str:
    """Hash of what is heard and what is expected, in order: audio files' bytes, texts, languages, gaps."""
    digest = hashlib.sha256()
    for utterance in utterances:
        digest.update(json.dumps([utterance.language, utterance.gap_s, len(utterance.clips)]).encode())
        for clip in utterance.clips:
            digest.update(hashlib.sha256(clip.audio.read_bytes()).digest())
            known = [clip.words, clip.segments] if clip.segments else [clip.words]
            spans = [[[span.text, span.start_s, span.end_s] for span in part] for part in known]
            digest.update(json.dumps([clip.text, *spans]).encode())
    return digest.hexdigest()


def _collect(name: str, found: Iterator[Utterance | Problem]) -> Dataset:
    everything = list(found)
    utterances = tuple(item for item in everything if isinstance(item, Utterance))
    return Dataset(name, utterances, tuple(item for item in everything if isinstance(item, Problem)))


def _from_manifest(manifest: Path, dataset: str) -> Iterator[Utterance | Problem]:
    """Ids are the audio files' names, with the line's number where one comes again."""
    seen: set[str] = set()
    for number, line in enumerate(manifest.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            utterance = _utterance(json.loads(line.decode("utf-8")), manifest.parent, dataset)
        except (ValueError, AudioError) as error:
            yield Problem(manifest, number, _reason(error))
            continue
        name = utterance.id if utterance.id not in seen else f"{utterance.id}:{number}"
        seen.add(name)
        yield replace(utterance, id=name)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return f"found no JSON ({error}), wanted one object a line"
    return str(error)


def _utterance(row: Any, folder: Path, dataset: str) -> Utterance:
    """Raises ValueError that says which field is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"found {type(row).__name__}, wanted an object")
    audio = folder / _string(row, "audio_filepath", required=True)
    if not audio.is_file():
        raise ValueError(f"no audio file at {audio}")
    clip = Clip(audio, _string(row, "text"), _duration(row, audio), _spans(row, "words"), _spans(row, "segments"))
    language, speaker = _string(row, "language"), _string(row, "speaker")
    return Utterance(audio.stem, dataset, (clip,), language, speaker, attributes=_attributes(row))


def _attributes(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Every other field that holds one value, as text; empty ones say nothing."""
    told = {key: str(value).strip() for key, value in row.items() if isinstance(value, str | int | float)}
    told["gender"] = GENDERS.get(told.get("gender", "").lower(), told.get("gender", ""))
    return tuple(sorted((key, value) for key, value in told.items() if value and key not in FIELDS))


def _string(row: Mapping[str, Any], key: str, required: bool = False) -> str:
    value = row.get(key)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value):
        raise ValueError(f"found {key} {value!r}, wanted a text")
    return value


def _duration(row: Mapping[str, Any], audio: Path) -> float:
    value = row.get("duration")
    if value is None:
        value = duration_s(audio)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"found duration {value!r} of {audio.name}, wanted seconds above 0")
    return float(value)


def _spans(row: Mapping[str, Any], key: str) -> tuple[Span, ...]:
    try:
        return tuple(Span(str(text), float(start), float(end)) for start, end, text in row.get(key) or ())
    except (TypeError, ValueError):
        raise ValueError(f"found {key} {str(row[key])[:60]}, wanted [[start_s, end_s, text], ...]") from None


def _moved(spans: Iterable[Span], by_s: float) -> list[Span]:
    return [Span(span.text, span.start_s + by_s, span.end_s + by_s) for span in spans]


def _from_folder(folder: Path, dataset: str) -> Iterator[Utterance | Problem]:
    """Every audio file with a text of the same name beside it; the language is the folder's name if that is a code."""
    language = folder.resolve().name if len(folder.resolve().name) == 2 else ""
    for audio in sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES):
        beside = audio.with_suffix(".txt")
        try:
            row = {
                "audio_filepath": audio.name,
                "text": beside.read_text(encoding="utf-8").strip(),
                "language": language,
            }
            yield _utterance(row, folder, dataset)
        except FileNotFoundError:
            yield Problem(audio, 0, f"no text at {beside.name} beside it")
        except (ValueError, AudioError) as error:
            yield Problem(audio, 0, str(error))


def _joined(utterances: Sequence[Utterance], gap_s: float) -> Utterance:
    first, speakers = utterances[0], {utterance.speaker for utterance in utterances}
    name = first.id if len(utterances) == 1 else f"{first.id}+{len(utterances) - 1}"
    clips = tuple(clip for utterance in utterances for clip in utterance.clips)
    speaker = first.speaker if len(speakers) == 1 else ""
    common = set(first.attributes).intersection(*(utterance.attributes for utterance in utterances))
    return Utterance(name, first.dataset, clips, first.language, speaker, gap_s, tuple(sorted(common)))


def _read_clip(audio: Path) -> np.ndarray:
    blocks = list(read_blocks(audio))
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise AudioError(f"{audio} holds no sound; wanted at least one sample")
    return samples
