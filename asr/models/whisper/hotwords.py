"""Hotwords: a bonus on the scores of the tokens that spell them (shallow fusion, as in Zhao et al. 2019).

    bonus = Hotwords(sequences, boost=3.0).bonus(tokens)    # token -> bonus on its score after these tokens

The first token of a hotword gets half the bonus, because any word could begin here; a token that continues a hotword
gets all of it.
"""

from collections.abc import Sequence

Tokens = tuple[int, ...]


class Hotwords:
    """The token sequences of the hotwords, as a prefix tree: beginning of a sequence -> possible next tokens."""

    def __init__(self, sequences: Sequence[Tokens], boost: float) -> None:
        self._boost = boost
        self._next: dict[Tokens, set[int]] = {}
        for sequence in sequences:
            for i, token in enumerate(sequence):
                self._next.setdefault(sequence[:i], set()).add(token)
        self._longest = max(map(len, sequences), default=0)

    def bonus(self, tokens: Sequence[int]) -> dict[int, float]:
        """Next token -> what is added to its score (natural logarithm); `tokens` are all tokens up to now."""
        bonus = dict.fromkeys(self._next.get((), ()), self._boost / 2)
        for length in range(1, min(self._longest, len(tokens) + 1)):
            continuing = self._next.get(tuple(tokens[len(tokens) - length :]), ())
            bonus |= dict.fromkeys(continuing, self._boost)
        return bonus
