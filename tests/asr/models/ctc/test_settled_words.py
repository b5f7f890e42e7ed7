"""Which words a CTC model reports as settled, on a network whose lattice is written by hand.

What was changed in `CtcRecogniser._hypothesis` -> the test that fails then:

    `<=` for `<`; all words or none; unsettled frames count; the last frame of a word instead of the next one; `right_s`
    ignored -> test_a_word_is_settled_when_the_frame_behind_it_is
    settled frames count from the window -> test_the_next_hypothesis_begins_behind_the_settled_words
    the open frames of the memory are dropped or cut elsewhere; other times; no samples released
        -> test_each_word_is_settled_once_however_the_audio_is_cut
    they begin a frame later -> test_without_a_delimiter_the_next_word_begins_in_the_frame_that_settles_one
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from asr.config import CtcSettings, DecodeSettings
from asr.models.base import Hypothesis, Window
from asr.models.ctc.network import StepOutput
from asr.models.ctc.recogniser import CtcRecogniser
from asr.models.ctc.vocabulary import Vocabulary

LETTERS = ("<pad>", "|", *"acdgot")
VOCABULARY = Vocabulary(LETTERS, blank=0, delimiter="|", special=frozenset(), normalise=False)
HOP = 320
SETTINGS = DecodeSettings(ctc=CtcSettings(right_s=2 * HOP / 16_000))
"""A frame is settled when two more have followed."""


class WrittenNetwork:
    """Unreal: the frames of a stream are given, one letter each (`_` is blank), and a frame sees its own samples only.

    Its state is how many frames are settled, and how many were received.
    """

    precision = "float32"
    encoder = SimpleNamespace(hop_samples=HOP, receptive_samples=HOP)

    def __init__(self, frames: str) -> None:
        self.frames = frames

    def step(
        self, samples: Sequence[np.ndarray], states: Sequence[object], rights: Sequence[int], lefts: Sequence[int]
    ) -> list[StepOutput]:
        return [
            self._step(len(part) // HOP, state, right)
            for part, state, right in zip(samples, states, rights, strict=True)
        ]

    def _step(self, new: int, state: object, right: int) -> StepOutput:
        first, received = state if isinstance(state, tuple) else (0, 0)
        received += new
        logprobs = torch.full((received - first, len(LETTERS)), math.log(0.01))
        for i, letter in enumerate(self.frames[first:received]):
            logprobs[i, 0 if letter == "_" else LETTERS.index(letter)] = math.log(0.93)
        settled = max(0, received - first - right)
        return StepOutput(logprobs, settled, new * HOP, (first + settled, received))  # type: ignore[arg-type]


def hypotheses(frames: str, ends: Sequence[int], vocabulary: Vocabulary = VOCABULARY) -> list[Hypothesis]:
    """What the recogniser answers to windows that end at these frames, each behind the samples released before."""
    recogniser = CtcRecogniser("written", "wav2vec2", "0" * 64, WrittenNetwork(frames), vocabulary)
    answers: list[Hypothesis] = []
    start, memory = 0, None
    for end in ends:
        window = Window(np.zeros(end * HOP - start, np.float32), memory=memory, settings=SETTINGS)
        answers += recogniser.recognise([window])
        start, memory = start + answers[-1].released, answers[-1].memory
    return answers


def words(hypothesis: Hypothesis, count: int | None = None) -> list[str]:
    return [piece.text.strip() for piece in hypothesis.pieces[:count]]


@pytest.mark.parametrize(("end", "settled"), [(3, 0), (4, 0), (5, 0), (6, 1), (9, 1), (10, 2), (11, 2)])
def test_a_word_is_settled_when_the_frame_behind_it_is(end: int, settled: int) -> None:
    """The delimiter of "cat" is frame 3, that of "dog" frame 7: with two frames of future they are settled at 6 and 10.

    Without it another letter could still follow.
    """
    (hypothesis,) = hypotheses("cat|dog|a__", [end])
    assert hypothesis.settled == settled
    assert words(hypothesis) == "cat|dog|a__"[:end].replace("|", " ").replace("_", "").split()


def test_the_next_hypothesis_begins_behind_the_settled_words() -> None:
    """Frames that are settled count from the stream's start, though each window has new samples only."""
    answers = hypotheses("cat|dog|a__cat|__", [7, 9, 10, 17])
    assert [words(answer) for answer in answers] == [["cat", "dog"], ["dog", "a"], ["dog", "a"], ["acat"]]
    assert [answer.settled for answer in answers] == [1, 0, 1, 1]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 30])
def test_each_word_is_settled_once_however_the_audio_is_cut(step: int) -> None:
    """The settled words, and those of the last hypothesis, are the text. Times count from the released samples."""
    frames = "_cat||do_gg|_a_|t_ta|cat_dog___"
    ends = [*range(step, len(frames), step), len(frames)]
    answers = hypotheses(frames, ends)
    committed: list[str] = []
    starts, released = [], 0
    for answer in answers[:-1]:
        committed += words(answer, answer.settled)
        starts += [released + round(piece.start_s * 16_000) for piece in answer.pieces[: answer.settled]]
        released += answer.released
    assert committed + words(answers[-1]) == ["cat", "dog", "a", "tta", "catdog"]
    starts += [released + round(piece.start_s * 16_000) for piece in answers[-1].pieces]
    assert [start // HOP for start in starts] == [1, 6, 13, 16, 21]


@pytest.mark.parametrize("step", [1, 2, 3, 7])
def test_without_a_delimiter_the_next_word_begins_in_the_frame_that_settles_one(step: int) -> None:
    """Each letter is a word, as in Chinese: the frame behind a letter is the next letter, and is decoded again."""
    frames = "cat_dog__"
    answers = hypotheses(frames, [*range(step, len(frames), step), len(frames)], replace(VOCABULARY, delimiter=""))
    committed = [word for answer in answers[:-1] for word in words(answer, answer.settled)]
    assert "".join(committed + words(answers[-1])) == "catdog"
    assert len(committed) >= 2
