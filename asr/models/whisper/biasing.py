"""Which hotwords a text may hold, as text: where they could stand, and what they are worth there.

A search that prefers hotwords cannot be trusted: a list of names before the text changes its style, makes it loop, or
becomes the text; and a greedy search cannot take back the bonus of a name that it began. So the window's text is found
without hotwords. Here are the *edits* of that text that put hotwords in it; `asr.models.whisper.rescoring` asks the
model what each costs and makes those that cost less than the hotword's reward.
"""

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

Tokens = tuple[int, ...]
Words = Sequence[tuple[str, Tokens]]
"""Words with their tokens, as `asr.models.whisper.tokenizer.Tokenizer.words` returns them."""

_MAX_SPAN_WORDS = 8
"""The most written words (characters where words are not separated) that are compared with one hotword."""
_MIN_SIMILARITY = 55
"""A hotword is tried in place of written words that are spelled at least this much like it, from 0 to 100."""
_MIN_PROPOSED = 40
"""The same where another text of the window has the hotword."""
_MAX_TRIED = 5
"""The most hotwords that are tried in place of similar words: each costs as much as the check of a draft."""
_PARTS = re.compile(r"(\W*)(.*?)((?:['’]s)?\W*)", re.DOTALL)
"""Written words: what stands before their letters, the letters, and what stands behind them, a possessive included."""


@dataclass(frozen=True, slots=True)
class Match:
    """The written words ``first`` to ``last`` (exclusive) resemble a hotword; ``similarity`` from 0 to 100."""

    hotword: str
    similarity: float
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Edit:
    """These tokens in place of the written words ``first`` to ``last`` (exclusive).

    ``similar``: they are spelled like the written words.
    """

    first: int
    last: int
    tokens: Tokens
    similar: bool = False

    def overlaps(self, other: "Edit") -> bool:
        """Whether both replace the same words, or insert at the same place."""
        return (self.first < other.last and other.first < self.last) or self.first == other.first


class HotwordList:
    """Distinct hotwords with at least one letter or digit, in the order given.

    `encode`: text -> tokens. `boost`: what each token of a hotword is worth (natural logarithm). `spaced`: the language
    writes spaces between words.
    """

    def __init__(
        self, words: Sequence[str], encode: Callable[[str], Tokens], boost: float, *, spaced: bool = True
    ) -> None:
        distinct = dict.fromkeys(" ".join(word.split()) for word in words)
        self.words = tuple(word for word in distinct if letters(word))
        self.boost, self._spaced, self._encode = boost, spaced, encode
        self._worth = {word: boost * len(self.tokens_of(word)) for word in self.words}
        self._by_length = sorted(self.words, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(self._alternative, self._by_length)))

    def tokens_of(self, word: str) -> Tokens:
        """The tokens of a hotword inside a text."""
        return self._encode(f" {word}" if self._spaced else word)

    def _alternative(self, word: str) -> str:
        """The regular expression of one hotword. Its first letter may be a capital, as at the start of a sentence."""
        first = f"[{word[0]}{word[0].upper()}]" if word[0].islower() else re.escape(word[0])
        before = r"(?<!\w)" if self._spaced or word[0].isascii() else ""
        behind = r"(?!\w)" if self._spaced or word[-1].isascii() else ""
        return f"{before}({first}{re.escape(word[1:])}){behind}"

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Where complete hotwords stand in a text: first character, end, hotword. Of two that overlap the longer."""
        matches = self._pattern.finditer(text) if self.words else ()
        return [(match.start(), match.end(), self._by_length[(match.lastindex or 1) - 1]) for match in matches]

    def reward(self, text: str) -> float:
        """The boost for each token of the complete hotwords in a text."""
        return sum(self._worth[word] for _, _, word in self.spans(text))

    def matches(self, words: Words) -> list[Match]:
        """For each hotword the written words that resemble it most; the most similar pair first.

        Spelling stands for sound here: what a model writes in place of a name that it does not know mostly looks
        like the name.
        """
        parts = [letters(text) for text, _ in words]
        longest = min(_MAX_SPAN_WORDS, 2 + max(map(self._length, self.words), default=0))
        spans = [(i, j) for i in range(len(parts)) for j in range(i + 1, min(i + longest, len(parts)) + 1)]
        if not spans or not self.words:
            return []
        written = ["".join(parts[i:j]) for i, j in spans]
        similarity = cdist([letters(word) for word in self.words], written, scorer=fuzz.ratio, dtype=np.float32)
        best = similarity.argmax(1).tolist()
        pairs = zip(self.words, similarity, best, strict=True)
        matches = [Match(word, float(row[k]), *spans[k]) for word, row, k in pairs]
        return sorted(matches, key=lambda match: -match.similarity)

    def _length(self, word: str) -> int:
        return len(word.split()) if self._spaced else len(letters(word))

    def similar_edits(self, words: Words, matches: Sequence[Match]) -> list[Edit]:
        """Hotwords in place of words that are spelled like them; punctuation around the words stays."""
        edits = []
        for match in matches[:_MAX_TRIED]:
            old = "".join(text for text, _ in words[match.first : match.last])
            if match.similarity >= _MIN_SIMILARITY and not self.spans(old):
                before, _, behind = _PARTS.fullmatch(old).groups()  # type: ignore[union-attr]  # it matches any text
                edits.append(Edit(match.first, match.last, self._encode(before + match.hotword + behind), similar=True))
        return edits

    def borrowed_edits(self, words: Words, proposal: Words) -> list[Edit]:
        """Where another text of the window has hotwords and other words than this: its words there; and all its words.

        The whole is an edit too because the right name often makes the words around it right.
        """
        starts = np.cumsum([0, *(len(text) for text, _ in proposal)]).tolist()
        spans = self.spans("".join(text for text, _ in proposal))
        old, new = ([letters(text) for text, _ in side] for side in (words, proposal))
        edits = [
            Edit(i, j, tokens_of(proposal[k:n]), fuzz.ratio("".join(old[i:j]), "".join(new[k:n])) >= _MIN_PROPOSED)
            for i, j, k, n in _differences(old, new)
            if any(first < starts[n] and end > starts[k] for first, end, _ in spans)
        ]
        return [*edits, Edit(0, len(words), tokens_of(proposal))] if edits else []


def _differences(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """Where two sequences of words differ: start and end in the old one, start and end in the new one."""
    for equal, group in itertools.groupby(Levenshtein.opcodes(old, new), lambda op: op.tag == "equal"):
        if not equal:
            ops = list(group)
            yield ops[0].src_start, ops[-1].src_end, ops[0].dest_start, ops[-1].dest_end


def letters(text: str) -> str:
    """A text's letters and digits, without case."""
    return "".join(c for c in text.casefold() if c.isalnum())


def tokens_of(words: Words) -> Tokens:
    """The tokens of words."""
    return tuple(token for _, tokens in words for token in tokens)


def edited(words: Words, edits: Sequence[Edit]) -> Tokens:
    """The tokens of a text after edits that do not overlap."""
    parts: list[Tokens] = [tokens for _, tokens in words]
    for edit in sorted(edits, key=lambda edit: -edit.first):
        parts[edit.first : edit.last] = [edit.tokens]
    return tuple(token for part in parts for token in part)
