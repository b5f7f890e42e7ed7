"""Lattice of log-probabilities -> words with their frames: greedy, or prefix beam search with a language model.

Graves et al. 2006 for CTC and its best path; Hannun et al. 2014, "First-Pass Large Vocabulary Continuous Speech
Recognition using Bi-Directional Recurrent DNNs", for the prefix beam search with a language model on whole words.
"""

import functools
import importlib.util
import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from asr.config import CtcSettings
from asr.errors import ConfigError
from asr.installing import install_extra
from asr.models.ctc.forced_align import Emission, emissions, merge_runs
from asr.models.ctc.vocabulary import Vocabulary
from asr.word_boundaries import UNSPACED, is_word_boundary

_LEAST = math.log(1e-3)
"""A frame's tokens below this log-probability are not tried, except its best one."""
_TO_NATURAL = math.log(10)
"""KenLM's logarithms have base ten."""


@dataclass(frozen=True, slots=True)
class LatticeWord:
    """One word and its frames, ``first`` to ``last``.

    At frame ``until`` the delimiter or the next word begins; `NEVER` if neither was found yet.
    """

    text: str
    tokens: tuple[int, ...]
    first: int
    last: int
    until: int
    confidence: float


NEVER = 1 << 60


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a lattice is searched.

    ``beam`` 1: the best path. More: prefix beam search of this width, which uses the language model of ``settings`` and
    ``hotwords``.
    """

    beam: int = 1
    hotwords: tuple[str, ...] = ()
    settings: CtcSettings = field(default_factory=CtcSettings)


def search(
    lattice: torch.Tensor, vocabulary: Vocabulary, options: SearchOptions, context: Sequence[str] = ()
) -> list[LatticeWord]:
    """The words of a lattice of log-probabilities ``(n, V)``; `context`: the words before it, for the language model.

    Raises `ConfigError` for a language model that cannot be loaded.
    """
    if not len(lattice):
        return []
    if options.beam > 1:
        tokens = _beam(lattice, vocabulary, options, context)
        return words_of(emissions(lattice, tokens, vocabulary.blank), vocabulary)
    return words_of(_best_path(lattice, vocabulary.blank), vocabulary)


def words_of(tokens: Sequence[Emission], vocabulary: Vocabulary) -> list[LatticeWord]:
    """Tokens with their frames -> words, split at the delimiter and between characters of scripts without spaces.

    Without a delimiter each token is a word.
    """
    delimiter = vocabulary.letters.index(vocabulary.delimiter) if vocabulary.delimiter else -1
    words: list[LatticeWord] = []
    part: list[Emission] = []
    written = [emission for emission in tokens if emission.token not in vocabulary.special]
    space = " " if delimiter >= 0 and written and not UNSPACED.match(_text(written[:1], vocabulary)) else ""
    for emission in written:
        if part and (delimiter < 0 or emission.token == delimiter or _is_boundary(part, emission, vocabulary)):
            words.append(_word(space, part, vocabulary, emission.first))
            part, space = [], ""
        if emission.token == delimiter:
            space = " "
        else:
            part.append(emission)
    return [*words, _word(space, part, vocabulary, NEVER)] if part else words


def _is_boundary(part: Sequence[Emission], emission: Emission, vocabulary: Vocabulary) -> bool:
    """Whether a word begins with this token although no delimiter stands before it."""
    return is_word_boundary(_text(part, vocabulary), vocabulary.letters[emission.token])


def _word(space: str, part: Sequence[Emission], vocabulary: Vocabulary, until: int) -> LatticeWord:
    confidence = math.exp(sum(emission.logprob for emission in part) / len(part))
    tokens = tuple(emission.token for emission in part)
    return LatticeWord(space + _text(part, vocabulary), tokens, part[0].first, part[-1].last, until, confidence)


def _text(part: Sequence[Emission], vocabulary: Vocabulary) -> str:
    return "".join(vocabulary.letters[emission.token] for emission in part)


def _best_path(lattice: torch.Tensor, blank: int) -> list[Emission]:
    """The most probable token of each frame; a run of one token is one emission."""
    logprobs, best = lattice.max(-1)
    return merge_runs(zip(best.tolist(), logprobs.tolist(), strict=True), blank)


# -- prefix beam search ------------------------------------------------------------------------------------------------

Prefix = tuple[int, ...]


def _beam(
    lattice: torch.Tensor, vocabulary: Vocabulary, options: SearchOptions, context: Sequence[str]
) -> tuple[int, ...]:
    """The best tokens by acoustic score, language model and hotwords together."""
    scorer = _Scorer(vocabulary, options, tuple(context))
    blank = vocabulary.blank
    beams: dict[Prefix, tuple[float, float]] = {(): (0.0, -math.inf)}  # log p ending in blank, log p ending in a token
    for row in lattice.tolist():
        best = max(row)
        tried = [i for i, logprob in enumerate(row) if logprob > _LEAST or logprob == best]
        grown: dict[Prefix, list[float]] = defaultdict(lambda: [-math.inf, -math.inf])
        for prefix, (ends_blank, ends_token) in beams.items():
            either = _add(ends_blank, ends_token)
            for token in tried:
                logprob = row[token]
                if token == blank:
                    grown[prefix][0] = _add(grown[prefix][0], either + logprob)
                elif prefix and token == prefix[-1]:
                    grown[prefix][1] = _add(grown[prefix][1], ends_token + logprob)
                    longer = (*prefix, token)
                    grown[longer][1] = _add(grown[longer][1], ends_blank + logprob)
                else:
                    longer = (*prefix, token)
                    grown[longer][1] = _add(grown[longer][1], either + logprob)
        ranked = sorted(grown, key=lambda p: _add(*grown[p]) + scorer.score(p), reverse=True)
        beams = {prefix: (grown[prefix][0], grown[prefix][1]) for prefix in ranked[: options.beam]}
    return max(beams, key=lambda p: _add(*beams[p]) + scorer.score(p, whole=True))


class _Scorer:
    """The score of a prefix from language model and hotwords, added to the acoustic one."""

    def __init__(self, vocabulary: Vocabulary, options: SearchOptions, context: tuple[str, ...]) -> None:
        settings = options.settings
        self._vocabulary, self._settings, self._context = vocabulary, settings, context
        self._delimiter = vocabulary.letters.index(vocabulary.delimiter) if vocabulary.delimiter else -1
        self._model = language_model(settings.lm) if settings.lm else None
        self._beginnings = beginnings(settings.lm) if settings.lm else frozenset()
        self._hotwords = frozenset(tuple(word.casefold().split()) for word in options.hotwords if word.strip())
        self._lengths = {len(hotword) for hotword in self._hotwords}
        self._shares = shares(self._hotwords)

    def score(self, prefix: Prefix, whole: bool = False) -> float:
        """The score of the complete words and of what the last one may become; with `whole` it counts as complete."""
        if self._model is None and not self._hotwords:
            return 0.0
        words, rest = self._split(prefix)
        ended = (*words, rest) if whole and rest else words
        return self._of_words(ended) + (0.0 if whole else self._of_part(words, rest))

    def _split(self, prefix: Prefix) -> tuple[tuple[str, ...], str]:
        letters = self._vocabulary.letters
        text = "".join(" " if token == self._delimiter else letters[token] for token in prefix)
        words = text.split(" ")
        return tuple(word for word in words[:-1] if word), words[-1]

    def _of_words(self, words: tuple[str, ...]) -> float:
        s = self._settings
        total = s.hotword_weight * self._complete(tuple(word.casefold() for word in words))
        if self._model is not None and words:
            context = (*self._context, *words)
            scores = [
                score for score, _, _ in self._model.full_scores(" ".join(context).casefold(), bos=False, eos=False)
            ]
            total += sum(s.lm_weight * _TO_NATURAL * score + s.word_bonus for score in scores[len(self._context) :])
        return total

    def _complete(self, words: tuple[str, ...]) -> int:
        """How many hotwords stand complete among these words; one may have several words."""
        lengths = self._lengths
        return sum(words[i : i + n] in self._hotwords for n in lengths for i in range(len(words) - n + 1))

    def _of_part(self, words: tuple[str, ...], rest: str) -> float:
        """The score of an unfinished word after complete ones.

        If no word of the language model begins like this, it is scored as a finished, unknown word; otherwise the beam
        would fill with words that never end. The beginning of a hotword has part of the hotword's weight.
        """
        bare = rest.casefold()
        if self._beginnings and bare and bare not in self._beginnings:
            return self._of_words((rest,))
        last = tuple(word.casefold() for word in words[-max(self._lengths, default=1) :])
        begun = (self._shares.get((*last[i:], bare), 0.0) for i in range(len(last) + 1))
        return self._settings.hotword_weight * max(begun)


def shares(hotwords: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """Beginnings of hotwords, as complete words and a part of the next -> the share of their letters; the largest."""
    largest: dict[tuple[str, ...], float] = {}
    for hotword in hotwords:
        total, before = sum(map(len, hotword)), 0
        for count, word in enumerate(hotword):
            for letters in range(len(word) + 1):
                key = (*hotword[:count], word[:letters])
                largest[key] = max(largest.get(key, 0.0), (before + letters) / total)
            before += len(word)
    return largest


@functools.cache
def language_model(path: str) -> Any:
    """An n-gram model in ARPA's or KenLM's format, its words in lower case. Raises `ConfigError`."""
    if importlib.util.find_spec("kenlm") is None:
        raise ConfigError(f"a language model needs the package kenlm, which is not installed; {install_extra('lm')}")
    import kenlm

    if not Path(path).is_file():
        raise ConfigError(f"no language model at {path}, wanted an n-gram model in ARPA's or KenLM's format")
    quiet = kenlm.Config()
    quiet.show_progress = False
    quiet.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(path, quiet)
    except OSError as error:
        raise ConfigError(f"{path} is no n-gram model ({error}), wanted one in ARPA's or KenLM's format") from None


@functools.cache
def beginnings(path: str) -> frozenset[str]:
    """Every beginning of every word of a model in ARPA's format; empty for KenLM's, which does not list its words."""
    prefixes: set[str] = set()
    with Path(path).open(encoding="utf-8", errors="replace") as file:
        if not any(line.startswith("\\1-grams:") for line in itertools.islice(file, 100)):
            return frozenset()
        for line in file:
            if line.startswith("\\"):
                break
            parts = line.split("\t")
            word = parts[1].strip() if len(parts) > 1 else ""
            prefixes.update(word[:i] for i in range(1, len(word) + 1))
    return frozenset(prefixes)


def _add(a: float, b: float) -> float:
    """The sum of two probabilities, all as logarithms: log(exp(a) + exp(b))."""
    high, low = (a, b) if a > b else (b, a)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))
