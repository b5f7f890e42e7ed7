"""Lattices written by hand: one frame a character."""

import math

import torch

from asr.models.ctc.vocabulary import Vocabulary

LETTERS = ("<pad>", "<unk>", "|", *"abcdeinortw")
VOCABULARY = Vocabulary(LETTERS, blank=0, delimiter="|", special=frozenset({1}), normalise=False)


def lattice(frames: str, sure: float = 0.9) -> torch.Tensor:
    """One frame a character: a letter, the delimiter, or `_` for blank; the other outputs share the rest."""
    rows = torch.full((len(frames), len(LETTERS)), math.log((1 - sure) / (len(LETTERS) - 1)))
    for i, letter in enumerate(frames):
        rows[i, 0 if letter == "_" else LETTERS.index(letter)] = math.log(sure)
    return rows


def doubtful(frames: str, at: int, letters: str, shares: tuple[float, ...]) -> torch.Tensor:
    """A lattice with one frame in which several letters have the given probabilities."""
    rows = lattice(frames)
    rows[at] = math.log(1e-6)
    for letter, share in zip(letters, shares, strict=True):
        rows[at, LETTERS.index(letter)] = math.log(share)
    return rows
