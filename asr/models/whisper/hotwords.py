"""Words to expect: a bonus on the scores of the tokens that spell them (shallow fusion, as in Zhao et al. 2019).

    bonus = Hotwords(sequences, boost=3.0).bonus(tokens)    # token -> what is added to its score after these tokens

A first token gets half of it, since any word could begin now; a token that goes on with a word gets all of it.
"""

from collections.abc import Sequence

Tokens = tuple[int, ...]


class Hotwords:
    """Token sequences of the words, as a prefix tree: what may come next after a part of a word."""

    def __init__(self, sequences: Sequence[Tokens], boost: float) -> None:
        self._boost = boost
        self._next: dict[Tokens, set[int]] = {}
        for sequence in sequences:
            for i, token in enumerate(sequence):
                self._next.setdefault(sequence[:i], set()).add(token)
        self._longest = max(map(len, sequences), default=0)

    def bonus(self, tokens: Sequence[int]) -> dict[int, float]:
        """What is added to the scores of the next token, after all tokens so far."""
        found = dict.fromkeys(self._next.get((), ()), self._boost / 2)
        for length in range(1, min(self._longest, len(tokens) + 1)):
            going_on = self._next.get(tuple(tokens[len(tokens) - length :]), ())
            found |= dict.fromkeys(going_on, self._boost)
        return found
