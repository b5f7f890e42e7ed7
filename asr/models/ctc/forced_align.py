"""Forced alignment: the best path through a lattice that writes a given text, with times and scores of its letters."""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from asr.errors import CallerError
from asr.models.base import Placed
from asr.models.ctc.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Emission:
    """A token and its frames, ``first`` to ``last``; ``logprob`` is the highest of its frames."""

    token: int
    first: int
    last: int
    logprob: float


def emissions(lattice: torch.Tensor, tokens: Sequence[int], blank: int) -> list[Emission]:
    """The best path through a lattice of log-probabilities ``(n, V)`` that writes the tokens.

    Raises `CallerError` if the lattice has too few frames for them.
    """
    if not tokens:
        return []
    needed = len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
    if needed > len(lattice):
        raise CallerError(f"a text of {len(tokens)} letters does not fit in {len(lattice)} frames; wanted {needed}")
    from torchaudio.functional import forced_align

    path, scores = forced_align(
        lattice[None].contiguous(), torch.tensor([list(tokens)], dtype=torch.int32), blank=blank
    )
    return merge_runs(zip(path[0].tolist(), scores[0].tolist(), strict=True), blank)


def merge_runs(path: Iterable[tuple[int, float]], blank: int) -> list[Emission]:
    """A path (token and log-probability of each frame) -> its tokens; a run of one token is one emission."""
    tokens: list[Emission] = []
    before = blank
    for frame, (token, logprob) in enumerate(path):
        if token != blank and token == before:
            run = tokens[-1]
            tokens[-1] = Emission(token, run.first, frame, max(run.logprob, logprob))
        elif token != blank:
            tokens.append(Emission(token, frame, frame, logprob))
        before = token
    return tokens


def place(lattice: torch.Tensor, text: str, vocabulary: Vocabulary, hop_s: float, offset_s: float) -> list[Placed]:
    """When each word of a text is spoken, and each of its letters.

    The lattice ``(n, V)`` has a frame every `hop_s` seconds, the first at `offset_s`. Raises `CallerError` for letters
    that are not in the vocabulary, and for more letters than frames.
    """
    words = text.split()
    spelled = [spell(word, vocabulary) for word in words]
    _check_letters(words, vocabulary)
    delimiter = vocabulary.letters.index(vocabulary.delimiter) if vocabulary.delimiter else None
    tokens: list[int] = []
    for ids in spelled:
        tokens += [delimiter] if tokens and ids and delimiter is not None else []
        tokens += ids
    letters = [e for e in emissions(lattice, tokens, vocabulary.blank) if e.token != delimiter]
    placed, start, last_s = [], 0, 0.0
    for word, ids in zip(words, spelled, strict=True):
        part = letters[start : start + len(ids)]
        start += len(ids)
        placed.append(_placed(word, part, vocabulary, hop_s, offset_s, last_s))
        last_s = placed[-1].end_s
    return placed


def spell(word: str, vocabulary: Vocabulary) -> list[int]:
    """The tokens of a word, in the vocabulary's case; letters and punctuation outside the vocabulary are left out."""
    ids = vocabulary.ids
    return [ids[letter] for letter in _letters(word, vocabulary) if letter in ids]


def _letters(word: str, vocabulary: Vocabulary) -> str:
    """The word in the vocabulary's case, without punctuation that the vocabulary lacks."""
    cased = {"upper": word.upper(), "lower": word.lower()}.get(vocabulary.case, word)
    return "".join(c for c in cased if c in vocabulary.ids or not unicodedata.category(c).startswith("P"))


def _check_letters(words: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raises `CallerError` that lists the letters outside the vocabulary."""
    unknown = Counter(c for word in words for c in _letters(word, vocabulary) if c not in vocabulary.ids)
    if unknown:
        listed = ", ".join(f"{letter!r} ({count})" for letter, count in unknown.most_common(20))
        raise CallerError(f"the text has letters that the model cannot write: {listed}; wanted them spelled out")


def _placed(
    word: str, part: Sequence[Emission], vocabulary: Vocabulary, hop_s: float, offset_s: float, last_s: float
) -> Placed:
    """A word with the times of its letters. A word without letters has no length and follows the previous word."""
    if not part:
        return Placed(word, last_s, last_s, 1.0)
    spans = [(e.first * hop_s + offset_s, (e.last + 1) * hop_s + offset_s) for e in part]
    characters = tuple(
        (vocabulary.letters[e.token], start_s, end_s) for e, (start_s, end_s) in zip(part, spans, strict=True)
    )
    score = float(np.exp(np.mean([e.logprob for e in part])))
    return Placed(word, spans[0][0], spans[-1][1], score, characters)
