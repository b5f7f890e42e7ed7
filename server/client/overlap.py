"""Words of a stream that begins again within an utterance: those that were final before are dropped. Pure."""

from collections import deque
from collections.abc import Iterable, Sequence

from asr.events import Word

NEAR_S = 0.7
"""The middle of a word that is recognised again lies within this of its first place."""


class Overlap:
    """Compares the words of the new stream with those that were final before, each by text and time.

    A word is known if it is one of theirs, or lies before the end of the last of them: what was final stays as it was.
    """

    def __init__(self, known: Iterable[Word]) -> None:
        self._known = deque(known)
        self._end_s = self._known[-1].end_s if self._known else 0.0

    def new(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Of the next final words those that were not final before."""
        return tuple(word for word in words if not self._knows(word))

    def later(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """Of words that may still change those that can be new."""
        return tuple(word for word in words if not self._known or _middle_s(word) >= self._end_s)

    def _knows(self, word: Word) -> bool:
        if not self._known:
            return False
        same = next((i for i, known in enumerate(self._known) if _is_same(known, word)), None)
        if same is not None:
            for _ in range(same + 1):
                self._known.popleft()
            return True
        if _middle_s(word) < self._end_s:
            return True
        self._known.clear()
        return False


def _is_same(known: Word, word: Word) -> bool:
    return abs(_middle_s(known) - _middle_s(word)) <= NEAR_S and _letters(known) == _letters(word)


def _middle_s(word: Word) -> float:
    return (word.start_s + word.end_s) / 2


def _letters(word: Word) -> str:
    return "".join(filter(str.isalnum, word.text.lower())) or word.text.strip()
