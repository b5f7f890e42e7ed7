"""A long recording and its text cut, together, into stretches that a model can see at once.

A rough transcript tells roughly when each word of the text is said: words that both have in common are anchors, those
between two anchors are spread evenly. A cut goes into the longest pause between two such words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np

from asr.align.speech import SpeechRuns
from asr.config import SAMPLE_RATE_HZ
from asr.events import Word

_SHORTEST = 0.3
"""Of the longest stretch: no cut before that, or there would be many little ones."""
_INSIDE_S = 0.1
"""So soon after its told beginning a word is surely being said; its told end may lie in a pause."""
_DOUBT_S = 10.0
"""A cut beside a word that is no anchor counts as if its pause were so much shorter."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The samples from `start` to `end` and what is said in them."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Cut:
    """A place between the word before `word` and that word."""

    word: int
    at_s: float
    worth: float


def stretches(whole: Stretch, heard: Sequence[Word], speech: SpeechRuns, longest: int) -> list[Stretch]:
    """The recording and its text in stretches of at most `longest` samples."""
    words = whole.text.split()
    times_s, anchored = _times(words, heard, whole.end / SAMPLE_RATE_HZ)
    cuts = _cuts(times_s, anchored, speech)
    begin, first, found = 0, 0, []
    while whole.end - begin > longest:
        cut = _best(cuts, first, begin, longest)
        end = round(cut.at_s * SAMPLE_RATE_HZ)
        found.append(Stretch(begin, end, " ".join(words[first : cut.word])))
        begin, first = end, cut.word
    return [*found, Stretch(begin, whole.end, " ".join(words[first:]))]


def _times(words: Sequence[str], heard: Sequence[Word], duration_s: float) -> tuple[np.ndarray, np.ndarray]:
    """When each word is being said, roughly, and whether it is an anchor: ``(n,)`` each."""
    known: dict[int, float] = {}
    if heard:
        left, right = " ".join(map(_bare, words)), " ".join(_bare(word.text) for word in heard)
        for chunk in jiwer.process_words(left, right).alignments[0]:
            if chunk.type == "equal":
                for i in range(chunk.ref_end_idx - chunk.ref_start_idx):
                    word = heard[chunk.hyp_start_idx + i]
                    known[chunk.ref_start_idx + i] = word.start_s + min(_INSIDE_S, (word.end_s - word.start_s) / 2)
    places = [-1, *known, len(words)]
    times_s = np.interp(np.arange(len(words)), places, [0.0, *known.values(), duration_s])
    return np.maximum.accumulate(times_s), np.isin(np.arange(len(words)), list(known))


def _cuts(times_s: np.ndarray, anchored: np.ndarray, speech: SpeechRuns) -> list[_Cut]:
    cuts = []
    for i in range(1, len(times_s)):
        pause = speech.pause(times_s[i - 1], times_s[i])
        doubt_s = 0.0 if anchored[i - 1] and anchored[i] else _DOUBT_S
        cuts.append(_Cut(i, pause.middle_s, pause.length_s - doubt_s))
    return cuts


def _best(cuts: Sequence[_Cut], first: int, begin: int, longest: int) -> _Cut:
    """The cut of most worth within reach; where no word lies there, silence is cut off alone."""
    begin_s, longest_s = begin / SAMPLE_RATE_HZ, longest / SAMPLE_RATE_HZ
    reach = [c for c in cuts if c.word > first and begin_s + _SHORTEST * longest_s <= c.at_s <= begin_s + longest_s]
    if reach:
        return max(reach, key=lambda cut: cut.worth)
    said = [cut for cut in cuts if cut.at_s <= begin_s + longest_s]
    return _Cut(max(first, said[-1].word if said else first), begin_s + longest_s, 0.0)


def _bare(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum()) or "_"
