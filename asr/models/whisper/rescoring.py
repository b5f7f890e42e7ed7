"""Puts hotwords into a text where the model says that they may stand there.

The texts that edits make are scored whole, by the model that knows no hotword: its log-probability of the text, plus
the reward for each complete hotword. An edit that raises the score is made. So however a text was proposed, it is at
most as much less probable as its hotwords are worth.

A name that sounds exactly like a common word fails there, because the model has never seen it spelled like that. Such
an edit is scored once more, with the hotwords standing before the text: now both spellings are known, and what is left
is the sound. This is done only for words spelled like the hotword; of other texts that score says little, because a
list of names before the text makes nearly any text of names probable.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from asr.models.whisper.biasing import Edit, HotwordList, Tokens, edited
from asr.models.whisper.network import WhisperMemory
from asr.models.whisper.search import Searcher, SearchState
from asr.models.whisper.tokenizer import Tokenizer

_SOUND_ALIKE = 6.0
"""An edit is scored with hotwords before the text if it costs at most this many times the boost without them. Names
that sound alike cost up to 16.5 nats ("Foxx" for "fox"). Others of similar spelling cost 20 and more ("Chittagong" for
"Chicago"), and the second score takes some of those."""


class Rescorer:
    """Chooses among the edits of a text."""

    def __init__(self, searcher: Searcher, tokenizer: Tokenizer) -> None:
        self._searcher, self._tokenizer = searcher, tokenizer

    def apply(
        self,
        memory: WhisperMemory,
        state: SearchState,
        edits: Sequence[Edit],
        hotwords: HotwordList,
        with_hotwords: Sequence[int],
    ) -> None:
        """Make the edits of a state's text that raise its score.

        `with_hotwords`: the tokens before the text, as `SearchState.head`, with the likely hotwords among them.
        """
        prefix = len(state.window.prefix)
        words, room = self._tokenizer.words(state.tokens[prefix:]), state.budget - prefix
        before = edited(words, [])
        tried: dict[Tokens, Edit] = {}
        for edit in edits:
            text = edited(words, [edit])
            if len(text) <= room and text != before:
                tried.setdefault(text, edit)
        if not tried:
            return
        rewards = self._rewards([before, *tried], hotwords)
        costs = self._costs(memory, state, [before, *tried])
        gains = {text: reward - cost for text, reward, cost in zip(tried, rewards, costs, strict=True)}
        alike = [
            text
            for (text, edit), reward, cost in zip(tried.items(), rewards, costs, strict=True)
            if edit.similar and reward <= cost < _SOUND_ALIKE * hotwords.boost
        ]
        knowing = replace(state, head=list(with_hotwords))
        for text, cost in zip(alike, self._costs(memory, knowing, [before, *alike]), strict=True):
            gains[text] = hotwords.boost - cost
        chosen = _best_edits([(gains[text], edit) for text, edit in tried.items()], len(words))
        text = edited(words, chosen)
        if chosen and len(text) <= room:
            self._searcher.write([memory], [state], [text])
            state.edited = True
            self._raise_confidence(state, hotwords)

    def _costs(self, memory: WhisperMemory, state: SearchState, texts: Sequence[Tokens]) -> list[float]:
        """By how much each text after the first is less probable than the first (natural logarithm)."""
        if len(texts) < 2:
            return []
        states = [replace(state, queries=[], logprobs=[], tokens=[]) for _ in texts]
        self._searcher.write([memory] * len(texts), states, texts)
        first, *others = (sum(written.logprobs) for written in states)
        return [first - other for other in others]

    def _rewards(self, texts: Sequence[Tokens], hotwords: HotwordList) -> list[float]:
        """By how much the hotwords of each text after the first are worth more than those of the first."""
        first, *others = (hotwords.reward(self._tokenizer.decode(text)) for text in texts)
        return [other - first for other in others]

    def _raise_confidence(self, state: SearchState, hotwords: HotwordList) -> None:
        """Log-probabilities of hotwords' tokens as they are when the boost is a prior.

        The model finds a name that it does not know improbable, also where it is surely said.
        """
        words = self._tokenizer.words(state.tokens[len(state.window.prefix) :])
        spans = hotwords.spans("".join(text for text, _ in words))
        character = at = 0
        for text, tokens in words:
            if any(first < character + len(text) and end > character for first, end, _ in spans):
                for i in range(at, at + len(tokens)):
                    state.logprobs[i] = with_prior(state.logprobs[i], hotwords.boost)
            character, at = character + len(text), at + len(tokens)


def with_prior(logprob: float, boost: float) -> float:
    """The log-probability of a token when its score is raised by `boost` and the others' scores stay."""
    return logprob + boost - math.log1p(math.exp(logprob) * math.expm1(boost))


def _best_edits(gains: Sequence[tuple[float, Edit]], words: int) -> list[Edit]:
    """The edits with the largest gain together that do not overlap: one of all words, or several of some."""
    parts: list[tuple[float, Edit]] = []
    whole: list[tuple[float, Edit]] = []
    for gain, edit in sorted(gains, key=lambda pair: -pair[0]):
        if gain <= 0:
            break
        if (edit.first, edit.last) == (0, words) and not edit.similar:
            whole.append((gain, edit))
        elif not any(edit.overlaps(other) for _, other in parts):
            parts.append((gain, edit))
    best = max(parts, whole[:1], key=lambda pairs: sum(gain for gain, _ in pairs))
    return [edit for _, edit in best]
