"""A given text on lattices written by hand."""

import itertools

import numpy as np
import pytest
import torch
from torchaudio.functional import forced_align

from asr.errors import CallerError
from asr.models.ctc.forced_align import best_path, emissions, place
from tests.asr.models.ctc.lattices import VOCABULARY, lattice


def test_a_given_text_is_placed_where_it_is_written() -> None:
    """Letters and words with their times; the text's case and punctuation do not matter."""
    placed = place(lattice("__o_n_e_|__t_w_oo_"), "One, two!", VOCABULARY, hop_s=0.02, offset_s=0.0)
    assert [(word.text, word.start_s, word.end_s) for word in placed] == [
        ("One,", pytest.approx(0.04), pytest.approx(0.14)),
        ("two!", pytest.approx(0.22), pytest.approx(0.34)),
    ]
    assert [character[0] for character in placed[1].characters] == ["t", "w", "o"]
    assert placed[0].score == pytest.approx(0.9)


def test_a_text_that_was_not_said_scores_low() -> None:
    """Its letters are forced into frames that say something else."""
    right, wrong = (place(lattice("__o_n_e___"), text, VOCABULARY, 0.02, 0.0)[0].score for text in ("one", "two"))
    assert right > 0.8
    assert wrong < 0.1


def test_letters_outside_the_vocabulary_are_listed() -> None:
    """An unknown letter is an error, with its count; it is not dropped silently."""
    with pytest.raises(CallerError, match=r"cannot write: 'x' \(2\), '7' \(1\)"):
        place(lattice("____________"), "xx 7 one", VOCABULARY, 0.02, 0.0)


def test_a_text_longer_than_its_recording_is_refused() -> None:
    """Each letter needs a frame, two equal ones a blank between them."""
    with pytest.raises(CallerError, match="4 letters does not fit in 5 frames; wanted 6"):
        emissions(lattice("_aab_"), [3, 3, 3, 4], 0)


@pytest.mark.parametrize("seed", range(12))
def test_the_path_is_torchaudios(seed: int) -> None:
    """An independent implementation, on random lattices: repeated tokens, a path without room, one token, many."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, (2, 4, 30)[seed % 3], size=(1, 7, 90)[seed % 3]).tolist()
    needed = len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))
    lattice = torch.tensor(rng.normal(size=(needed + int(rng.integers(0, 60)) * (seed % 4), 30))).log_softmax(-1)
    theirs, _ = forced_align(lattice[None], torch.tensor([tokens], dtype=torch.int32), blank=0)
    assert best_path(lattice.numpy(), tokens, 0).tolist() == theirs[0].tolist()
