"""Cuts single words out of labelled sentences by forced alignment: many voices for a small vocabulary."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr.align import Alignment, align
from asr.config import SAMPLE_RATE_HZ
from asr.engine import Engine
from asr.model_files.cache import write_text_atomically
from eval.data.dataset import load_dataset, read
from eval.data.types import Utterance

BEFORE_S, AFTER_S = 0.03, 0.05
"""Margins kept around a word, but at most half the gap to its neighbour."""
MIN_SCORE = 0.3
"""Words with a lower alignment score are left out: mispronounced, or not said."""
SHORTEST_S, LONGEST_S = 0.15, 1.2
LONGEST_SENTENCE_S = 30.0


def cut_words(sources: Sequence[Path], words: Mapping[str, str], aligner: Engine, folder: Path) -> int:
    """Cuts every occurrence of `words` out of the data sets; writes a data set to `folder` and returns its size.

    `words` maps each word to a second spelling, such as "8" for "eight". Of the two, the one with the higher score
    counts, because the aligner scores a text by how likely it would write it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    clips = (
        (word, samples, utterance.speaker or source.name)
        for source in sources
        for utterance in load_dataset(source).utterances
        for word, samples in _cut(utterance, words, aligner)
    )
    rows = [_write(folder, number, *clip) for number, clip in enumerate(clips)]
    write_text_atomically(folder / "manifest.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    return len(rows)


def _write(folder: Path, number: int, text: str, samples: np.ndarray, speaker: str) -> dict[str, Any]:
    """Writes one word's recording and returns its line of the manifest."""
    name = f"{number:03d}.flac"
    soundfile.write(folder / name, samples, SAMPLE_RATE_HZ)
    row = {"audio_filepath": name, "text": text, "language": "en", "speaker": speaker}
    return row | {"duration": len(samples) / SAMPLE_RATE_HZ}


def _cut(utterance: Utterance, words: Mapping[str, str], aligner: Engine) -> Iterator[tuple[str, np.ndarray]]:
    spoken = utterance.text.lower().split()
    if utterance.duration_s > LONGEST_SENTENCE_S or {bare(word) for word in spoken}.isdisjoint(words):
        return
    samples = read(utterance).samples
    respelled = [words.get(bare(word), word) for word in spoken]
    for word, score, (start_s, end_s) in _aligned(samples, spoken, respelled, aligner):
        if word in words and score >= MIN_SCORE and SHORTEST_S < end_s - start_s < LONGEST_S:
            yield word, samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]


def _aligned(
    samples: np.ndarray, spoken: Sequence[str], respelled: Sequence[str], aligner: Engine
) -> Iterator[tuple[str, float, tuple[float, float]]]:
    """Each word's letters, score and span, in the spelling with the higher score."""
    both = [align(samples, " ".join(text), aligner) for text in (spoken, respelled)]
    for word, *ways in zip(spoken, *(zip(a.words, spans(a), strict=True) for a in both), strict=True):
        aligned, span = max(ways, key=lambda way: way[0].score)
        yield bare(word), aligned.score, span


def spans(alignment: Alignment) -> list[tuple[float, float]]:
    """Start and end of each word with its margins, in seconds."""
    words = alignment.words
    ends_before_s = [0.0, *(word.end_s for word in words)]
    starts_after_s = [*(word.start_s for word in words[1:]), alignment.duration_s]
    return [
        (
            max(word.start_s - BEFORE_S, min(word.start_s, (before_s + word.start_s) / 2)),
            min(word.end_s + AFTER_S, max(word.end_s, (word.end_s + after_s) / 2)),
        )
        for word, before_s, after_s in zip(words, ends_before_s, starts_after_s, strict=False)
    ]


def bare(word: str) -> str:
    """The word's letters a to z, in lower case."""
    return "".join(letter for letter in word.casefold() if "a" <= letter <= "z")
