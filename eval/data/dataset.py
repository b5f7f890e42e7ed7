"""Loads labelled recordings of any known layout, joins clips into longer ones, and reads samples on demand."""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from asr.audio.files import read_blocks
from asr.config import SAMPLE_RATE_HZ
from asr.errors import AudioError
from eval.data.huggingface import is_saved, saved_rows
from eval.data.manifests import MANIFEST, TRANSCRIPTS, folder_rows, librispeech_rows, manifest_rows
from eval.data.rows import SourceRows, utterances_of_rows
from eval.data.tables import COMMON_VOICE, table_rows
from eval.data.types import Clip, DataError, Dataset, Problem, Recording, Utterance
from eval.defaults import CLIP_S
from eval.trace import Span


def load_dataset(path: Path) -> Dataset:
    """A data set in any known layout: a file, or a folder whose files show its layout.

    Files: a manifest of JSON lines, a CSV, a TSV of Common Voice. Folders, the first match counts: one with
    `manifest.jsonl`; one saved by Hugging Face's `datasets`; Common Voice; LibriSpeech; audio files, each with a
    `.txt` of the same name. Unusable lines become problems. Raises `DataError` if there is nothing to read.
    """
    rows, name = _layout(path)
    results = list(utterances_of_rows(rows, name))
    utterances = tuple(item for item in results if isinstance(item, Utterance))
    return Dataset(name, utterances, tuple(item for item in results if isinstance(item, Problem)))


def _layout(path: Path) -> tuple[SourceRows, str]:
    """The rows and the set's name: the folder's, or the file's own unless it is `manifest.jsonl`."""
    if path.is_file():
        reader = table_rows if path.suffix in (".csv", ".tsv") else manifest_rows
        return reader(path), path.resolve().parent.name if path.name == MANIFEST else path.stem
    if not path.is_dir():
        raise DataError(f"found nothing at {path}; wanted a {MANIFEST} or a folder of recordings")
    return _folder_reader(path)(), path.resolve().name


def _folder_reader(folder: Path) -> Callable[[], SourceRows]:
    if (folder / MANIFEST).is_file():
        return lambda: manifest_rows(folder / MANIFEST)
    if is_saved(folder):
        return lambda: saved_rows(folder)
    tables = [folder / name for name in COMMON_VOICE if (folder / name).is_file()]
    if tables:
        return lambda: table_rows(tables[0])
    if any(folder.rglob(TRANSCRIPTS)):
        return lambda: librispeech_rows(folder)
    return lambda: folder_rows(folder)


def join(utterances: Sequence[Utterance], target_s: float = CLIP_S, gap_s: float = 0.35) -> tuple[Utterance, ...]:
    """Clips joined in order into utterances of at least `target_s` each; the last of a language may be shorter.

    Only clips of one language are joined. Speaker and attributes are kept if all joined clips share them.
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
    """The utterance's samples ``(n,)`` under its conditions; segment and word times are exact to the sample.

    Raises `AudioError` for audio that cannot be decoded or is empty.
    """
    gap = np.zeros(round(utterance.gap_s * SAMPLE_RATE_HZ), np.float32)
    pieces: list[np.ndarray] = []
    segments: list[Span] = []
    words: list[Span] = []
    position = 0
    for clip in utterance.clips:
        samples = _read_clip(clip)
        start_s = position / SAMPLE_RATE_HZ
        segments += _shifted(clip.segments or (Span(clip.text, 0.0, len(samples) / SAMPLE_RATE_HZ),), start_s)
        words += _shifted(clip.words, start_s)
        pieces += [samples, gap]
        position += len(samples) + len(gap)
    aligned = tuple(words) if all(clip.words or not clip.text for clip in utterance.clips) else ()
    samples = np.concatenate(pieces[:-1])
    if utterance.overlay:
        samples = utterance.overlay.apply(samples, utterance.id)
    return Recording(utterance, samples, tuple(segments), aligned)


def data_sha256(utterances: Iterable[Utterance]) -> str:
    """Hash of everything that can change a score, in order: audio bytes, texts, languages, gaps, conditions."""
    digest, utterances = hashlib.sha256(), list(utterances)
    for overlay in dict.fromkeys(utterance.overlay for utterance in utterances):
        digest.update(overlay.digest().encode() if overlay else b"")
    for utterance in utterances:
        digest.update(json.dumps([utterance.language, utterance.gap_s, len(utterance.clips)]).encode())
        for clip in utterance.clips:
            digest.update(hashlib.sha256(clip.audio.read_bytes()).digest())
            if clip.offset_s is not None:
                digest.update(json.dumps([clip.offset_s, clip.duration_s]).encode())
            # segments came later than words: without them the hash is as it always was
            timed = [clip.words, clip.segments] if clip.segments else [clip.words]
            spans = [[[span.text, span.start_s, span.end_s] for span in part] for part in timed]
            digest.update(json.dumps([clip.text, *spans]).encode())
    return digest.hexdigest()


def _shifted(spans: Iterable[Span], by_s: float) -> list[Span]:
    return [Span(span.text, span.start_s + by_s, span.end_s + by_s) for span in spans]


def _joined(utterances: Sequence[Utterance], gap_s: float) -> Utterance:
    first, speakers = utterances[0], {utterance.speaker for utterance in utterances}
    name = first.id if len(utterances) == 1 else f"{first.id}+{len(utterances) - 1}"
    clips = tuple(clip for utterance in utterances for clip in utterance.clips)
    speaker = first.speaker if len(speakers) == 1 else ""
    common = set(first.attributes).intersection(*(utterance.attributes for utterance in utterances))
    attributes = tuple(sorted(common))
    return replace(first, id=name, clips=clips, speaker=speaker, gap_s=gap_s, attributes=attributes, source=None)


def _read_clip(clip: Clip) -> np.ndarray:
    blocks = list(read_blocks(clip.audio))
    samples = _part(np.concatenate(blocks), clip) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise AudioError(f"{clip.audio} holds no sound{_where(clip)}; wanted at least one sample")
    return samples


def _part(samples: np.ndarray, clip: Clip) -> np.ndarray:
    if clip.offset_s is None:
        return samples
    start = round(clip.offset_s * SAMPLE_RATE_HZ)
    return samples[start : start + round(clip.duration_s * SAMPLE_RATE_HZ)]


def _where(clip: Clip) -> str:
    return "" if clip.offset_s is None else f" at {clip.offset_s} s"
