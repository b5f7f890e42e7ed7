"""Single words cut out of labelled sentences, where the aligner finds them: many voices for a small vocabulary."""

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

BEFORE_S, BEHIND_S = 0.03, 0.05
"""Kept of what surrounds a word, though never more than half of the way to its neighbour."""
SUREST = 0.3
"""Words that fit worse are left out: said otherwise, or not there."""
SHORTEST_S, LONGEST_S = 0.15, 1.2
LONGEST_SENTENCE_S = 30.0


def cut_words(sources: Sequence[Path], words: Mapping[str, str], aligner: Engine, folder: Path) -> int:
    """Each of `words` wherever it is said in the data sets, as a data set in `folder`; returns how many there are.

    With each word goes another spelling that the aligner may prefer, such as "8": its score is of what it would write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = (
        (word, samples, utterance.speaker or source.name)
        for source in sources
        for utterance in load_dataset(source).utterances
        for word, samples in _cut(utterance, words, aligner)
    )
    rows = [_write(folder, number, *three) for number, three in enumerate(found)]
    write_text_atomically(folder / "manifest.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    return len(rows)


def _write(folder: Path, number: int, text: str, samples: np.ndarray, speaker: str) -> dict[str, Any]:
    """One word's recording; returns its line of the manifest."""
    name = f"{number:03d}.flac"
    soundfile.write(folder / name, samples, SAMPLE_RATE_HZ)
    row = {"audio_filepath": name, "text": text, "language": "en", "speaker": speaker}
    return row | {"duration": len(samples) / SAMPLE_RATE_HZ}


def _cut(utterance: Utterance, words: Mapping[str, str], aligner: Engine) -> Iterator[tuple[str, np.ndarray]]:
    said = utterance.text.lower().split()
    if utterance.duration_s > LONGEST_SENTENCE_S or {bare(word) for word in said}.isdisjoint(words):
        return
    samples = read(utterance).samples
    spelled = [words.get(bare(word), word) for word in said]
    for word, score, (start_s, end_s) in _placed(samples, said, spelled, aligner):
        if word in words and score >= SUREST and SHORTEST_S < end_s - start_s < LONGEST_S:
            yield word, samples[round(start_s * SAMPLE_RATE_HZ) : round(end_s * SAMPLE_RATE_HZ)]


def _placed(
    samples: np.ndarray, said: Sequence[str], spelled: Sequence[str], aligner: Engine
) -> Iterator[tuple[str, float, tuple[float, float]]]:
    """Each word's letters, score and span, in the spelling that fits it better."""
    both = [align(samples, " ".join(text), aligner) for text in (said, spelled)]
    for word, *ways in zip(said, *(zip(a.words, spans(a), strict=True) for a in both), strict=True):
        aligned, span = max(ways, key=lambda way: way[0].score)
        yield bare(word), aligned.score, span


def spans(alignment: Alignment) -> list[tuple[float, float]]:
    """From where to where each word is cut out, in seconds."""
    words = alignment.words
    ends_before_s = [0.0, *(word.end_s for word in words)]
    starts_behind_s = [*(word.start_s for word in words[1:]), alignment.duration_s]
    return [
        (
            max(word.start_s - BEFORE_S, min(word.start_s, (before_s + word.start_s) / 2)),
            min(word.end_s + BEHIND_S, max(word.end_s, (word.end_s + behind_s) / 2)),
        )
        for word, before_s, behind_s in zip(words, ends_before_s, starts_behind_s, strict=False)
    ]


def bare(word: str) -> str:
    """A word's letters from a to z, in lower case."""
    return "".join(letter for letter in word.casefold() if "a" <= letter <= "z")
