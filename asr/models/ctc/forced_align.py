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
    frames = lattice.numpy()
    path = best_path(frames, tokens, blank)
    return merge_runs(zip(path.tolist(), frames[np.arange(len(path)), path].tolist(), strict=True), blank)


def best_path(frames: np.ndarray, tokens: Sequence[int], blank: int) -> np.ndarray:
    """The token of each frame ``(n,)``, blanks included, on the most probable path that writes the tokens.

    `frames` are log-probabilities ``(n, V)`` and enough for the tokens. Viterbi's algorithm over the states of CTC
    (Graves et al. 2006, section 4.1): a blank, the first token, a blank, the second ... The same path as
    `torchaudio.functional.forced_align`, whose compiled part runs only beside the CUDA build of torch.
    """
    states = np.full(2 * len(tokens) + 1, blank)
    states[1::2] = tokens
    skips = np.full(len(states), -np.inf)  # from a token to the next one, past the blank in between
    skips[3::2] = np.where(states[3::2] != states[1:-2:2], 0.0, -np.inf)
    scores = np.full(len(states), -np.inf)
    scores[:2] = frames[0, states[:2]]
    moves = np.zeros((len(frames), len(states)), np.int8)
    arriving = np.full((3, len(states)), -np.inf)  # by staying, by one step, by two
    for frame in range(1, len(frames)):
        arriving[0] = scores
        arriving[1, 1:] = scores[:-1]
        arriving[2, 2:] = scores[:-2]
        arriving[2] += skips
        moves[frame] = arriving.argmax(0)
        scores = arriving.max(0) + frames[frame, states]
    path: np.ndarray = states[_followed(moves, len(states) - (1 if scores[-1] > scores[-2] else 2))]
    return path


def _followed(moves: np.ndarray, last: int) -> np.ndarray:
    """The state of each frame ``(n,)`` on the path that ends in `last`; ``moves[f, s]``: how many states it came up."""
    path = np.empty(len(moves), np.intp)
    for frame in range(len(moves) - 1, -1, -1):
        path[frame] = last
        last -= int(moves[frame, last])
    return path


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
