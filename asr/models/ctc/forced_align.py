"""A known text on a lattice: the best path that writes it, with the time and the score of each letter and word."""

import itertools
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from asr.errors import CallerError
from asr.models.base import Placed
from asr.models.ctc.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Emission:
    """A token written from frame ``first`` to ``last``; ``logprob`` is the best of its frames'."""

    token: int
    first: int
    last: int
    logprob: float


def emissions(lattice: torch.Tensor, tokens: Sequence[int], blank: int) -> list[Emission]:
    """The best path that writes the tokens through a lattice ``(n, V)``. Raises `CallerError` for too few frames."""
    if not tokens:
        return []
    needed = len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
    if needed > len(lattice):
        raise CallerError(f"a text of {len(tokens)} letters is not said in {len(lattice)} frames; wanted {needed}")
    from torchaudio.functional import forced_align

    path, scores = forced_align(
        lattice[None].contiguous(), torch.tensor([list(tokens)], dtype=torch.int32), blank=blank
    )
    found: list[Emission] = []
    before = blank
    for frame, (token, logprob) in enumerate(zip(path[0].tolist(), scores[0].tolist(), strict=True)):
        if token != blank and token == before:
            run = found[-1]
            found[-1] = Emission(token, run.first, frame, max(run.logprob, logprob))
        elif token != blank:
            found.append(Emission(token, frame, frame, logprob))
        before = token
    return found


def place(lattice: torch.Tensor, text: str, vocabulary: Vocabulary, hop_s: float, offset_s: float) -> list[Placed]:
    """Each word of a text with its letters, on a lattice whose frames are `hop_s` apart, the first at `offset_s`."""
    words = text.split()
    spelled = [spell(word, vocabulary) for word in words]
    _check_letters(words, vocabulary)
    delimiter = vocabulary.letters.index(vocabulary.delimiter) if vocabulary.delimiter else None
    tokens: list[int] = []
    for ids in spelled:
        tokens += [delimiter] if tokens and ids and delimiter is not None else []
        tokens += ids
    found = [e for e in emissions(lattice, tokens, vocabulary.blank) if e.token != delimiter]
    placed, at, last_s = [], 0, 0.0
    for word, ids in zip(words, spelled, strict=True):
        part = found[at : at + len(ids)]
        at += len(ids)
        placed.append(_placed(word, part, vocabulary, hop_s, offset_s, last_s))
        last_s = placed[-1].end_s
    return placed


def spell(word: str, vocabulary: Vocabulary) -> list[int]:
    """The letters of a word that the model can write, in the vocabulary's case; its punctuation has no sound."""
    ids = vocabulary.ids
    return [ids[letter] for letter in _letters(word, vocabulary) if letter in ids]


def _letters(word: str, vocabulary: Vocabulary) -> str:
    """By one rule: the vocabulary's case; punctuation that it does not have is left out."""
    cased = {"upper": word.upper(), "lower": word.lower()}.get(vocabulary.case, word)
    return "".join(c for c in cased if c in vocabulary.ids or not unicodedata.category(c).startswith("P"))


def _check_letters(words: Sequence[str], vocabulary: Vocabulary) -> None:
    """Raises `CallerError` that lists the letters nobody can place."""
    strange = Counter(c for word in words for c in _letters(word, vocabulary) if c not in vocabulary.ids)
    if strange:
        listed = ", ".join(f"{letter!r} ({count})" for letter, count in strange.most_common(20))
        raise CallerError(f"the text has letters that the model cannot write: {listed}; wanted them spelled out")


def _placed(
    word: str, part: Sequence[Emission], vocabulary: Vocabulary, hop_s: float, offset_s: float, last_s: float
) -> Placed:
    """A word without letters has no length and stands behind the one before."""
    if not part:
        return Placed(word, last_s, last_s, 1.0)
    spans = [(e.first * hop_s + offset_s, (e.last + 1) * hop_s + offset_s) for e in part]
    characters = tuple(
        (vocabulary.letters[e.token], start_s, end_s) for e, (start_s, end_s) in zip(part, spans, strict=True)
    )
    score = float(np.exp(np.mean([e.logprob for e in part])))
    return Placed(word, spans[0][0], spans[-1][1], score, characters)
