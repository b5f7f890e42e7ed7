"""Cuts a long recording, and its text with it, into stretches that a model can take.

A rough transcript says when each word of the text is said: words that occur in both are anchors, the words between two
anchors are spread evenly. Cuts are made in the longest pauses between words.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np

from asr.align.speech import SpeechRuns
from asr.config import SAMPLE_RATE_HZ
from asr.events import Word

_SHORTEST = 0.3
"""No stretch is shorter than this fraction of the longest, or there would be many short ones."""
_INSIDE_S = 0.1
"""This long after its estimated beginning a word is surely being said; its estimated end may be in a pause."""
_DOUBT_S = 10.0
"""A cut next to a word that is not an anchor is worth as much as a pause that is shorter by this."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The samples from `start` to `end`, and the text that is said in them."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Cut:
    """A possible cut before the word of index `word`. `worth` is the pause in seconds, less any doubt."""

    word: int
    at_s: float
    worth: float


def stretches(whole: Stretch, transcript: Sequence[Word], speech: SpeechRuns, longest: int) -> list[Stretch]:
    """The recording and its text in stretches of at most `longest` samples.

    `transcript` is what a model recognised in it, `speech` its voice activity.
    """
    words = whole.text.split()
    times_s, anchored = _times(words, transcript, whole.end / SAMPLE_RATE_HZ)
    cuts = _cuts(times_s, anchored, speech)
    begin, first, parts = 0, 0, []
    while whole.end - begin > longest:
        cut = _best(cuts, first, begin, longest)
        end = round(cut.at_s * SAMPLE_RATE_HZ)
        parts.append(Stretch(begin, end, " ".join(words[first : cut.word])))
        begin, first = end, cut.word
    return [*parts, Stretch(begin, whole.end, " ".join(words[first:]))]


def _times(words: Sequence[str], transcript: Sequence[Word], duration_s: float) -> tuple[np.ndarray, np.ndarray]:
    """A time in seconds when each word is being said, roughly, and whether it is an anchor: ``(n,)`` each."""
    anchors_s: dict[int, float] = {}
    if transcript:
        left, right = " ".join(map(_bare, words)), " ".join(_bare(word.text) for word in transcript)
        for chunk in jiwer.process_words(left, right).alignments[0]:
            if chunk.type == "equal":
                for i in range(chunk.ref_end_idx - chunk.ref_start_idx):
                    word = transcript[chunk.hyp_start_idx + i]
                    anchors_s[chunk.ref_start_idx + i] = word.start_s + min(_INSIDE_S, (word.end_s - word.start_s) / 2)
    places = [-1, *anchors_s, len(words)]
    times_s = np.interp(np.arange(len(words)), places, [0.0, *anchors_s.values(), duration_s])
    return np.maximum.accumulate(times_s), np.isin(np.arange(len(words)), list(anchors_s))


def _cuts(times_s: np.ndarray, anchored: np.ndarray, speech: SpeechRuns) -> list[_Cut]:
    """One possible cut between each two words; `times_s` and `anchored` are ``(n,)``, as from `_times`."""
    cuts = []
    for i in range(1, len(times_s)):
        pause = speech.pause(times_s[i - 1], times_s[i])
        doubt_s = 0.0 if anchored[i - 1] and anchored[i] else _DOUBT_S
        cuts.append(_Cut(i, pause.middle_s, pause.length_s - doubt_s))
    return cuts


def _best(cuts: Sequence[_Cut], first: int, begin: int, longest: int) -> _Cut:
    """The best cut within reach. If no word is within reach, the stretch has no words and is silence."""
    begin_s, longest_s = begin / SAMPLE_RATE_HZ, longest / SAMPLE_RATE_HZ
    reach = [c for c in cuts if c.word > first and begin_s + _SHORTEST * longest_s <= c.at_s <= begin_s + longest_s]
    if reach:
        return max(reach, key=lambda cut: cut.worth)
    passed = [cut for cut in cuts if cut.at_s <= begin_s + longest_s]
    return _Cut(max(first, passed[-1].word if passed else first), begin_s + longest_s, 0.0)


def _bare(word: str) -> str:
    """Letters and digits in lower case, for comparison; never empty."""
    return "".join(character for character in word.casefold() if character.isalnum()) or "_"
